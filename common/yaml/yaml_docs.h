/*
 * Private to yaml/: the loaded documents and the places of their nodes.
 */
#ifndef YAML_YAML_DOCS_H
#define YAML_YAML_DOCS_H

#include "yaml/yaml_load.h"

/* Where one node stands. */
struct yaml_spot {
    const struct json *node; /* any node that was loaded */
    struct yaml_place place; /* its first character, or that of its key */
};

struct yaml_docs {
    char *name;              /* of the source, for messages */
    struct json **roots;     /* one per document; NULL: taken by the caller */
    const struct json **ids; /* the same, kept when taken, to find places */
    size_t n_roots;          /* documents */
    struct yaml_spot *spots; /* hash table by node; a NULL node is a free slot */
    size_t n_spots;          /* how many are used, at most half */
    size_t cap_spots;        /* slots, a power of two */
    struct json *scrap;      /* nodes merged elsewhere; kept, so that no address has two places */
};

/* Notes a place. -NOMEM. */
int yaml_docs_note__(struct yaml_docs *d, const struct json *node, struct yaml_place place);
/* Takes over a root. -NOMEM (the root is freed). */
int yaml_docs_add__(struct yaml_docs *d, struct json *root);

#endif
