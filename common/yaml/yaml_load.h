/*
 * YAML into JSON trees, with the place of every node. The only code that includes libyaml.
 *
 * Values mean what they mean to Kubernetes (sigs.k8s.io/yaml): plain yes/no/y/n/on/off/true/false
 * are booleans, ~ and null and nothing are null, 0755 and 0x1f are integers, timestamps are
 * strings, quoted text is a string; integer and boolean keys become strings. Anchors, aliases and
 * merge keys (<<) are expanded within the node limit, so that no input explodes. JSON is valid
 * input.
 *
 *     struct yaml_docs *docs = NULL;
 *     r = yaml_load_file("cluster.yaml", NULL, &docs, e);
 *     for (size_t i = 0; i < yaml_count(docs); i++) {
 *         const struct json *doc = yaml_doc(docs, i);
 *         r = json_get_str(doc, "metadata.name", &name, e);
 *         if (r < 0)
 *             return yaml_blame(docs, i, "metadata.name", e);
 *                 // "cluster.yaml:4:3: metadata.name: expected a string, found a number"
 *     }
 *     yaml_free(docs);
 *
 * Ownership: the set owns its trees; yaml_take() hands one over (its places stay known).
 * Threads: one at a time. Failure: -PROTOCOL (bad YAML, with "NAME:LINE:COLUMN: what"), -LIMIT,
 * -NOMEM, -NOT_FOUND/-IO/... for files.
 */
#ifndef YAML_YAML_LOAD_H
#define YAML_YAML_LOAD_H

#include "json/json.h"

struct yaml_docs; /* the documents of one text */

/* Limits on text from outside; a zero member means the default. */
struct yaml_limits {
    size_t max_bytes;     /* of text; default 4 MiB */
    size_t max_nodes;     /* of all documents, aliases expanded; default 200,000 */
    size_t max_documents; /* default 256 */
    unsigned max_depth;   /* default and most 64 */
};

/* Where a node stands in the text. */
struct yaml_place {
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in characters */
};

/* Loads every document; empty ones are left out. `name` is for messages ("cluster.yaml", "-"). */
int yaml_load(const char *text, size_t len, const char *name, const struct yaml_limits *limits,
              struct yaml_docs **ret_docs, struct raia_error *e);
int yaml_load_file(const char *path, const struct yaml_limits *limits, struct yaml_docs **ret_docs,
                   struct raia_error *e);
/* Loads text that must hold exactly one document, and forgets its places. */
int yaml_load_one(const char *text, size_t len, const char *name, const struct yaml_limits *limits,
                  struct json **ret_root, struct raia_error *e);
void yaml_free(struct yaml_docs *docs); /* accepts NULL */
void yaml_freep(void *p);               /* for _cleanup_ */

size_t yaml_count(const struct yaml_docs *docs);
const char *yaml_name(const struct yaml_docs *docs);
struct json *yaml_doc(const struct yaml_docs *docs, size_t i); /* NULL if there is no such one */
struct json *yaml_take(struct yaml_docs *docs, size_t i);      /* now the caller's */

/* The place of a node (a member's is that of its key). -NOT_FOUND if it was not loaded here. */
int yaml_place_of(const struct yaml_docs *docs, const struct json *node, struct yaml_place *ret);
/* The place of a path in document i, or of the nearest thing above it that exists. */
int yaml_where(const struct yaml_docs *docs, size_t i, const char *path, struct yaml_place *ret);
/* Puts "NAME:LINE:COLUMN: " before the error's text. Returns the negative code of e. */
int yaml_blame(const struct yaml_docs *docs, size_t i, const char *path, struct raia_error *e);

#endif
