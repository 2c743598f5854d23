/*
 * Private to the reading of manifests: where the reader is, and how a field is taken out of the
 * tree with an error that names file, line, column, field and what was expected.
 *
 * Threads: one at a time. Failure: a negative code, and rd->e says "FILE:LINE:COLUMN: PATH: what".
 */
#ifndef CLI_MANIFEST_READER_H
#define CLI_MANIFEST_READER_H

#include "cli/manifest.h"
#include "cli/manifest_fields.h"
#include "yaml/yaml_load.h"

#define MANIFEST_PATH_MAX 512 /* bytes of a path within a document, with its end mark */
#define MANIFEST_NAME_MAX 63  /* bytes of a Kubernetes label, which names become */

struct manifest_reader {
    struct yaml_docs *docs; /* all documents of the file */
    size_t doc;             /* index of the one being read */
    struct json *root;      /* its tree */
    struct manifest *m;     /* what is filled */
    struct raia_error *e;   /* for the first failure; never NULL */
};

/* BASE.NAME, or BASE["NAME"] where the name needs it; cut if it does not fit. Returns `to`. */
const char *manifest_path(char to[MANIFEST_PATH_MAX], const char *base, const char *name);

/* Fails at a path, with what was expected. */
int manifest_wrong(struct manifest_reader *rd, const char *path, const char *what);
/* Puts the place of a path before the error that is there. */
int manifest_blame(struct manifest_reader *rd, const char *path);
int manifest_nomem(struct manifest_reader *rd);
/* Notes something that has no meaning on one machine, once. */
int manifest_ignore(struct manifest_reader *rd, const char *what);

/* An object with these fields: unknown ones are errors, unused ones are noted. */
int manifest_check_fields(struct manifest_reader *rd, const char *path,
                          const struct manifest_field *fields);
/* min to INT32_MAX; def if it is not there. */
int manifest_get_int(struct manifest_reader *rd, const char *base, const char *name, int64_t def,
                     int64_t min, int64_t *ret);
/* false if it is not there. */
int manifest_get_bool(struct manifest_reader *rd, const char *base, const char *name, bool *ret);
/* A copy (mem_free); untouched if it is not there. */
int manifest_get_text(struct manifest_reader *rd, const char *base, const char *name, char **ret);
/* The object or list of that name; NULL if it is not there or null. */
int manifest_get_node(struct manifest_reader *rd, const char *base, const char *name,
                      enum json_type type, const char *expected, struct json **ret);
/* A quantity of 0 to 1e15. */
int manifest_quantity(struct manifest_reader *rd, const char *path, const struct json *n,
                      double *ret);

/* What clusters and jobs may be called: up to 63 of a-z, 0-9, '-' and '.'. */
bool manifest_good_name(const char *name);

/* manifest_group.c: a RayClusterSpec at `base`, added to the manifest under that name. */
int manifest_read_cluster(struct manifest_reader *rd, const char *base, const char *name);
/* manifest_job.c: the RayJob in rd->root, added under that name. */
int manifest_read_job(struct manifest_reader *rd, const char *name);

#endif
