/*
 * Copies a tree of folders, files and symbolic links, with the permission bits of each.
 *
 * Threads: any. Failure: as errno, with the path; what was copied before stays. The destination must
 * not be there.
 */
#ifndef POD_COPY_H
#define POD_COPY_H

#include <stdint.h>

#include "raia/error.h"

struct copy_sum {
    uint64_t files; /* and links */
    uint64_t bytes; /* in files */
};

/* sum is added to. */
int copy_tree(const char *from, const char *to, struct copy_sum *sum, struct raia_error *e);

#endif
