/*
 * Folders as zip files: how a working_dir travels.
 *
 *     struct archive_limits limits = {.bytes = 4ull << 30, .entries = 100000};
 *     r = archive_pack(dir, zip_path, excludes, n, &limits, e);
 *     r = archive_unpack(zip_path, fresh_dir, &limits, e);
 *
 * Packing the same contents gives the same bytes, whatever the times of the files: packages are
 * known by their hash. Symbolic links are followed, as Ray does; sockets, pipes and devices are
 * left out. An exclude is a pattern of fnmatch: with a '/' (not at its end) it is for paths from
 * the top, else for names at any depth; one with a '/' at its end is for folders only.
 *
 * Unpacking takes nothing that would leave the folder: absolute names, "..", links. Of the modes
 * only "executable" is kept. What was unpacked before a failure stays: remove the folder.
 *
 * Ownership: nothing is kept. Threads: any; these block on the disk. Failure: -LIMIT (too many
 * bytes or entries, or nested too deeply), -INVALID (not a zip file, or a name that is not
 * allowed), -NOT_FOUND, -DISK_FULL, -IO.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

/* Each must be set. */
struct archive_limits {
    uint64_t bytes; /* of all files together, not compressed */
    size_t entries; /* files and folders */
};

int archive_pack(const char *dir, const char *zip_path, const char *const *excludes,
                 size_t n_excludes, const struct archive_limits *limits, struct raia_error *e);

/* dir: there, and empty. */
int archive_unpack(const char *zip_path, const char *dir, const struct archive_limits *limits,
                   struct raia_error *e);

#endif
