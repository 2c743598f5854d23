/*
 * Manifests made wrong on purpose, each in one way, the same every time.
 */
#ifndef CLI_TEST_MUTATIONS_H
#define CLI_TEST_MUTATIONS_H

#include <stddef.h>

struct mutation {
    const char *what;   /* for messages */
    const char *find;   /* text of the good manifest that is replaced; NULL: `put` is all of it */
    const char *put;    /* what takes its place */
    unsigned line;      /* where the error must point; 0: any line */
    const char *expect; /* must be in the error */
};

extern const char mutations_good[]; /* a RayCluster with every field, and a RayJob */
extern const struct mutation mutations[];
extern const size_t mutations_n;

/* The text of mutation i; free(). */
char *mutations_apply(size_t i, size_t *ret_len);
/* Texts that no table holds: deep nesting, aliases that explode, bytes, a cut in the middle. NULL
 * behind the last one; free(). */
char *mutations_special(size_t i, size_t *ret_len, const char **ret_what);

#endif
