/*
 * JSON: reading, walking, building and printing trees. The only code that includes cJSON.
 *
 * The reader is strict (RFC 8259): UTF-8, no trailing text, no duplicate keys, no \u0000; every
 * error names line:column. Integers are kept exactly, whatever their size; json_int() gives those
 * that fit an int64_t, json_number_text() the digits of any number.
 *
 *     struct json *root = NULL;
 *     r = json_parse(text, len, NULL, &root, e);
 *     r = json_get_str(root, "metadata.name", &name, e);            // required
 *     r = json_opt_int(root, "spec.groups[0].replicas", 1, &n, e);  // absent or null: 1
 *     JSON_FOREACH (item, json_at(root, "spec.groups"))
 *         ...
 *     json_free(root);
 *
 * Paths: keys joined by '.', items as [N]; a key with '.', '[' or '"' in it is written
 * ["ray.io/x"]. The empty path is the node itself. Matching is case-sensitive.
 * Ownership: a tree is owned by whoever holds its root; nodes and strings read out of it live as
 * long as it does. Functions that add a child take it over, on failure too (they free it).
 * Threads: a tree belongs to one thread at a time; any number may read one that nobody changes.
 * Failure: readers return -INVALID (wrong type), -NOT_FOUND, -LIMIT or -PROTOCOL (bad text) with a
 * text; builders return NULL or -NOMEM. Readers and builders accept NULL nodes (as absent), so a
 * chain of builders on a NULL object yields -NOMEM.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "raia/error.h"

struct json; /* a node; never defined: the library's own node behind a cast */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Limits on text from outside; a zero member means the default. */
struct json_limits {
    size_t max_bytes;   /* of text; default 16 MiB */
    size_t max_nodes;   /* values in the tree; default 1,000,000 */
    unsigned max_depth; /* nested arrays and objects; default and most 64 */
    /* What is JSON and no more than this library does not hold is replaced, and the rest is read:
     * what is nested too deeply by JSON_TOO_DEEP, \u0000 and halves of surrogate pairs by U+FFFD; of
     * a key that is there twice the first counts. For what others have stored, and must not stop all that comes with it. */
    bool repair;
    /* Members of this name whose values are arrays or objects are passed over: they are not in the
     * tree, and only their brackets and strings are looked at. NULL: none. */
    const char *skip;
    /* What is wanted, as a tree: of an object the members that it names, of an array the same of each
     * item, of anything else (true, say) all. Members that it does not name are passed over as those
     * of `skip` are. Borrowed. NULL: everything. */
    const struct json *keep;
};
#define JSON_DEPTH_MAX 64
#define JSON_TOO_DEEP  "(nested too deeply)"

/* -- reading ------------------------------------------------------------------------------- */

/* Reads exactly one value out of `text` (white space around it allowed). limits may be NULL. */
int json_parse(const char *text, size_t len, const struct json_limits *limits,
               struct json **ret_root, struct raia_error *e);
/* The same for a file; errors name it. */
int json_load(const char *path, const struct json_limits *limits, struct json **ret_root,
              struct raia_error *e);
void json_free(struct json *root); /* accepts NULL */
void json_freep(void *p);          /* for _cleanup_ */

/* -- walking: NULL in gives NULL, 0 or JSON_NULL out --------------------------------------- */

enum json_type json_type(const struct json *n);
const char *json_type_name(enum json_type t); /* "an object", "a string", ...: for messages */
bool json_is(const struct json *n, enum json_type t); /* false for NULL */
size_t json_size(const struct json *n);               /* children; walks them */
const char *json_key(const struct json *n);           /* a member's key; NULL for others */
struct json *json_first(const struct json *n);
struct json *json_next(const struct json *n);
struct json *json_get(const struct json *object, const char *key);
struct json *json_at(const struct json *root, const char *path); /* NULL: none, or bad path */
/* The deepest node on the way to `path` that exists (root at least): to say where one is missing.
 */
struct json *json_at_nearest(const struct json *root, const char *path);
struct json *json_item(const struct json *array, size_t i); /* walks: not for loops */
#define JSON_FOREACH(it, parent) for (struct json *it = json_first(parent); it; it = json_next(it))

/* Writes the path of `node` in `root` ("spec.groups[1].name"); searches: for error texts only.
 * false if it is not in there. A path that does not fit is cut. */
bool json_path_of(const struct json *root, const struct json *node, char *buf, size_t size);

/* -- values of one node: -INVALID if it is of another type (or NULL) ------------------------ */

const char *json_str(const struct json *n); /* NULL if not a string */
bool json_true(const struct json *n);       /* is the value true */
int json_bool(const struct json *n, bool *ret_v);
int json_int(const struct json *n, int64_t *ret_v); /* 3.0 is 3; -LIMIT if beyond int64_t */
int json_double(const struct json *n, double *ret_v);
/* The digits of a number into buf (cut if need be); -INVALID if it is not one. */
int json_number_text(const struct json *n, char *buf, size_t size);

/* -- values by path, with errors that name the path ----------------------------------------- */

int json_get_str(const struct json *root, const char *path, const char **ret_v,
                 struct raia_error *e);
int json_get_int(const struct json *root, const char *path, int64_t *ret_v, struct raia_error *e);
int json_get_double(const struct json *root, const char *path, double *ret_v, struct raia_error *e);
int json_get_bool(const struct json *root, const char *path, bool *ret_v, struct raia_error *e);
/* A node that must be there and be of this type. */
int json_get_node(const struct json *root, const char *path, enum json_type t,
                  struct json **ret_node, struct raia_error *e);

/* The same with a default for what is absent or null; another type is still an error. */
int json_opt_str(const struct json *root, const char *path, const char *def, const char **ret_v,
                 struct raia_error *e);
int json_opt_int(const struct json *root, const char *path, int64_t def, int64_t *ret_v,
                 struct raia_error *e);
int json_opt_double(const struct json *root, const char *path, double def, double *ret_v,
                    struct raia_error *e);
int json_opt_bool(const struct json *root, const char *path, bool def, bool *ret_v,
                  struct raia_error *e);
/* NULL if absent or null. */
int json_opt_node(const struct json *root, const char *path, enum json_type t,
                  struct json **ret_node, struct raia_error *e);

/* -- building: NULL or -NOMEM when memory runs out; strings must be UTF-8 ------------------- */

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_str(const char *v); /* NULL text gives null */
struct json *json_new_strn(const char *v, size_t len);
struct json *json_new_int(int64_t v);
struct json *json_new_uint(uint64_t v);
struct json *json_new_double(double v); /* what JSON cannot say (nan, inf) becomes null */
struct json *json_new_bool(bool v);
struct json *json_new_null(void);
/* A number given by its digits, kept as they are; NULL if they are no JSON number. */
struct json *json_new_number(const char *digits);

/* Adds or replaces a member (replacing keeps its place); takes `child` over, on failure too. */
int json_set(struct json *object, const char *key, struct json *child);
int json_set_str(struct json *object, const char *key, const char *v);
int json_set_int(struct json *object, const char *key, int64_t v);
int json_set_double(struct json *object, const char *key, double v);
int json_set_bool(struct json *object, const char *key, bool v);
int json_set_null(struct json *object, const char *key);
/* Adds a member known to be new: constant time, for large objects. */
int json_add(struct json *object, const char *key, struct json *child);
/* Adds at the end of an array; takes `child` over, on failure too. */
int json_append(struct json *array, struct json *child);
int json_append_str(struct json *array, const char *v);
/* Removes a member and returns it, now the caller's; NULL if there is none. */
struct json *json_detach(struct json *object, const char *key);
/* The same for an item of an array, which it must be. */
struct json *json_detach_item(struct json *array, struct json *item);

struct json *json_copy(const struct json *n); /* deep; NULL when memory runs out or n is NULL */
/* Same value: numbers by value (1 equals 1.0), objects in any order. */
bool json_equal(const struct json *a, const struct json *b);
/* The second member of `object` that has a key seen before; NULL if there is none (or on NOMEM,
 * with *ret_nomem set). n log n. */
struct json *json_duplicate(const struct json *object, bool *ret_nomem);

/* -- printing -------------------------------------------------------------------------------- */

enum json_style { JSON_COMPACT, JSON_PRETTY }; /* PRETTY: two spaces a level, no end newline */

/* The text of a tree, to be freed with mem_free; NULL when memory runs out. ret_len may be NULL. */
char *json_print(const struct json *n, enum json_style style, size_t *ret_len);

#endif
