/*
 * One table of a daemon's settings, from which come its parsing, its help and its documentation.
 *
 *     struct opts { uint64_t store_memory; int64_t heartbeat_ns; char *node_ip; bool head; };
 *     static const struct setting list[] = {
 *         SETTING_SIZE(struct opts, store_memory, "object-store-memory", "2GiB", "64MiB", NULL,
 *                      "Memory of the object store."),
 *         SETTING_DURATION(struct opts, heartbeat_ns, "heartbeat", "1s", "10ms", "1h", "..."),
 *         SETTING_STRING(struct opts, node_ip, "node-ip", "", "Address of this node."),
 *         SETTING_BOOL(struct opts, head, "head", "false", "Be the head."),
 *     };
 *     static const struct settings_table table = SETTINGS_TABLE("raia-agent", list);
 *     struct opts o = {0};
 *     if ((r = settings_defaults(&table, &o, e)) < 0 || (r = settings_from_env(&table, &o, NULL,
 * e)) < 0 || (r = settings_from_args(&table, &o, argc, argv, &rest, &help, e)) < 0)
 *         ...
 *
 * Each setting is a flag "--object-store-memory 1GiB" (or with '='), and an environment variable
 * RAIA_OBJECT_STORE_MEMORY. A bool flag is "--head" or "--head=false". What comes later wins.
 * Defaults and bounds are texts of the same form as the values.
 *
 * Ownership: strings in the struct are owned by it; settings_fini frees them. Threads: one at a
 * time. Failure: -INVALID with a text that names the flag or variable, the value, and what is
 * accepted; -NOMEM. After a failure the struct holds what was set before it.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

struct buf;

enum setting_type {
    SETTING_TYPE_BOOL,     /* bool */
    SETTING_TYPE_INT,      /* int64_t */
    SETTING_TYPE_SIZE,     /* uint64_t, bytes */
    SETTING_TYPE_DURATION, /* int64_t, ns */
    SETTING_TYPE_DOUBLE,   /* double */
    SETTING_TYPE_STRING,   /* char *, never NULL after settings_defaults */
};

struct setting {
    const char *name; /* words joined by '-' */
    enum setting_type type;
    const char *def;  /* default */
    const char *min;  /* least accepted; NULL: whatever the type holds */
    const char *max;  /* most accepted */
    const char *unit; /* for people, of ints and doubles; NULL: none */
    const char *doc;  /* a sentence or two */
    size_t offset;    /* of the member */
};

struct settings_table {
    const char *program;        /* its name in the help */
    const struct setting *list; /* in the order of the help */
    size_t n;                   /* of them */
};
#define SETTINGS_TABLE(program_name, array)                                                        \
    {                                                                                              \
        .program = (program_name), .list = (array), .n = sizeof(array) / sizeof(array)[0]          \
    }

/* offsetof, but an error of the compiler if the member has another type. */
#define SETTING_AT__(T, member, ctype)                                                             \
    (offsetof(T, member) + 0 * sizeof(char[_Generic(((T *)0)->member, ctype : 1, default : -1)]))

#define SETTING__(T, m, ctype, kind, flag, d, lo, hi, u, text)                                     \
    {                                                                                              \
        .name = (flag), .type = (kind), .def = (d), .min = (lo), .max = (hi), .unit = (u),         \
        .doc = (text), .offset = SETTING_AT__(T, m, ctype)                                         \
    }
#define SETTING_BOOL(T, m, name, def, doc)                                                         \
    SETTING__(T, m, bool, SETTING_TYPE_BOOL, name, def, NULL, NULL, NULL, doc)
#define SETTING_INT(T, m, name, def, min, max, unit, doc)                                          \
    SETTING__(T, m, int64_t, SETTING_TYPE_INT, name, def, min, max, unit, doc)
#define SETTING_SIZE(T, m, name, def, min, max, doc)                                               \
    SETTING__(T, m, uint64_t, SETTING_TYPE_SIZE, name, def, min, max, NULL, doc)
#define SETTING_DURATION(T, m, name, def, min, max, doc)                                           \
    SETTING__(T, m, int64_t, SETTING_TYPE_DURATION, name, def, min, max, NULL, doc)
#define SETTING_DOUBLE(T, m, name, def, min, max, unit, doc)                                       \
    SETTING__(T, m, double, SETTING_TYPE_DOUBLE, name, def, min, max, unit, doc)
#define SETTING_STRING(T, m, name, def, doc)                                                       \
    SETTING__(T, m, char *, SETTING_TYPE_STRING, name, def, NULL, NULL, NULL, doc)

/* Sets all members to their defaults; `to` is zeroed, or was filled by these functions. */
int settings_defaults(const struct settings_table *t, void *to, struct raia_error *e);
/* From "RAIA_NAME=VALUE" in env (NULL: the process's). Variables of no setting are left alone. */
int settings_from_env(const struct settings_table *t, void *to, const char *const *env,
                      struct raia_error *e);
/*
 * From argv[1] on, up to "--" or the first word that is no flag: *ret_rest is the index of what
 * comes after. "--help" or "-h" sets *ret_help and ends the reading.
 */
int settings_from_args(const struct settings_table *t, void *to, int argc, char *const *argv,
                       int *ret_rest, bool *ret_help, struct raia_error *e);
/*
 * What a daemon's main does: the defaults, then the environment, then the flags, and nothing may be
 * left over. With *ret_help set the flags were not read to their end: print the help.
 */
int settings_read(const struct settings_table *t, void *to, int argc, char *const *argv,
                  bool *ret_help, struct raia_error *e);
/* One setting by name; `what` begins the text of an error ("--x", "field x"). -NOT_FOUND. */
int settings_set(const struct settings_table *t, void *to, const char *name, const char *value,
                 const char *what, struct raia_error *e);
/* Frees the strings. Accepts NULL and a zeroed struct. */
void settings_fini(const struct settings_table *t, void *to);

/* Appends the value that a setting has, as text that reads back. */
int settings_put_value(const struct setting *s, const void *from, struct buf *b);
/* Appends the flags of --help: two lines or more for each setting. */
int settings_put_help(const struct settings_table *t, struct buf *b);
/* A daemon's --help: `about` (what it is, its usage), then the flags, to standard output. The exit
 * status of a main: 1 when memory runs out. */
int settings_print_help(const struct settings_table *t, const char *about);
/* Appends a Markdown table: flag, type, default, accepted, description. */
int settings_put_markdown(const struct settings_table *t, struct buf *b);

#endif
