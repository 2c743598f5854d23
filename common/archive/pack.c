/* Folders into zip files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "archive/archive.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

/* Links may make a circle; nothing real is deeper. */
#define DEPTH_MAX 64
/* 1980-01-01, what a zip file takes for "no time". */
#define NO_TIME 315532800

struct packer {
    zip_t *zip;                   /* being written */
    const char *const *excludes;  /* patterns */
    size_t n_excludes;            /* how many */
    struct archive_limits left;   /* what may still be added */
    struct archive_limits limits; /* for messages */
};

static bool excluded(const struct packer *p, const char *path, const char *name, bool folder)
{
    for (size_t i = 0; i < p->n_excludes; i++) {
        const char *given = p->excludes[i];
        size_t n = strlen(given);
        char pattern[1024];
        bool anchored;

        if (n == 0 || n >= sizeof pattern)
            continue;
        memcpy(pattern, given, n + 1);
        if (pattern[n - 1] == '/') {
            if (!folder)
                continue;
            pattern[--n] = 0;
        }
        anchored = strchr(pattern, '/') != NULL;
        if (fnmatch(pattern[0] == '/' ? pattern + 1 : pattern, anchored ? path : name,
                    anchored ? FNM_PATHNAME : 0) == 0)
            return true;
    }
    return false;
}

static int count(struct packer *p, uint64_t bytes, struct raia_error *e)
{
    if (p->left.entries == 0)
        return err_set(e, RAIA_ERR_LIMIT, "the folder has more than %zu files and folders",
                       p->limits.entries);
    if (bytes > p->left.bytes)
        return err_set(e, RAIA_ERR_LIMIT,
                       "the folder has more than %llu MiB; exclude what the job does not need",
                       (unsigned long long)(p->limits.bytes >> 20));
    p->left.entries--;
    p->left.bytes -= bytes;
    return 0;
}

static int finish_entry(struct packer *p, zip_int64_t i, mode_t mode, const char *path,
                        struct raia_error *e)
{
    if (i < 0 || zip_file_set_mtime(p->zip, (zip_uint64_t)i, NO_TIME, 0) < 0 ||
        zip_file_set_external_attributes(p->zip, (zip_uint64_t)i, 0, ZIP_OPSYS_UNIX,
                                         (zip_uint32_t)mode << 16) < 0)
        return err_set(e, RAIA_ERR_IO, "pack '%s': %s", path, zip_strerror(p->zip));
    return 0;
}

static int add_file(struct packer *p, const char *full, const char *path, const struct stat *st,
                    struct raia_error *e)
{
    zip_source_t *source;
    zip_int64_t i;
    int r = count(p, (uint64_t)st->st_size, e);

    if (r < 0)
        return r;
    if (access(full, R_OK) < 0)
        return err_errno(e, errno, "read '%s'", full);
    source = zip_source_file(p->zip, full, 0, -1);
    i = source ? zip_file_add(p->zip, path, source, ZIP_FL_ENC_UTF_8) : -1;
    if (i < 0 && source)
        zip_source_free(source);
    return finish_entry(p, i, S_IFREG | (st->st_mode & 0111 ? 0755 : 0644), path, e);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct packer *p, const char *full, const char *path, unsigned depth,
                      struct raia_error *e);

static int add_one(struct packer *p, const char *folder, const char *above, const char *name,
                   unsigned depth, struct raia_error *e)
{
    _cleanup_(mem_freep) char *full = mem_printf("%s/%s", folder, name);
    _cleanup_(mem_freep) char *path = mem_printf("%s%s%s", above, *above ? "/" : "", name);
    struct stat st;
    int r;

    if (!full || !path)
        return err_set(e, RAIA_ERR_NOMEM, "pack '%s'", folder);
    if (stat(full, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "look at '%s'", full);
    if (excluded(p, path, name, S_ISDIR(st.st_mode)))
        return 0;
    if (S_ISREG(st.st_mode))
        return add_file(p, full, path, &st, e);
    if (!S_ISDIR(st.st_mode))
        return 0;
    r = count(p, 0, e);
    if (r == 0)
        r = finish_entry(p, zip_dir_add(p->zip, path, ZIP_FL_ENC_UTF_8), S_IFDIR | 0755, path, e);
    return r == 0 ? add_folder(p, full, path, depth + 1, e) : r;
}

static int add_folder(struct packer *p, const char *full, const char *path, unsigned depth,
                      struct raia_error *e)
{
    struct dirent **list = NULL;
    int n, r = 0;

    if (depth > DEPTH_MAX)
        return err_set(e, RAIA_ERR_LIMIT,
                       "'%s' is nested more than %d folders deep (does a link point upwards?)",
                       full, DEPTH_MAX);
    n = scandir(full, &list, NULL, by_name);
    if (n < 0)
        return err_errno(e, errno, "read the folder '%s'", full);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;

        if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            r = add_one(p, full, path, name, depth, e);
        free(list[i]);
    }
    free(list);
    return r;
}

/* libzip writes no file for an archive without entries: this is one. */
static int write_empty(const char *zip_path, struct raia_error *e)
{
    static const char end[22] = {'P', 'K', 5, 6};

    return io_write_file(zip_path, end, sizeof end, 0600, 0, e);
}

int archive_pack(const char *dir, const char *zip_path, const char *const *excludes,
                 size_t n_excludes, const struct archive_limits *limits, struct raia_error *e)
{
    struct packer p = {.excludes = excludes, .n_excludes = n_excludes, .left = *limits};
    int code = 0, r;

    p.limits = *limits;
    p.zip = zip_open(zip_path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!p.zip)
        return err_errno(e, errno ? errno : EIO, "make '%s'", zip_path);
    r = add_folder(&p, dir, "", 0, e);
    if (r == 0 && zip_get_num_entries(p.zip, 0) == 0) {
        zip_discard(p.zip);
        return write_empty(zip_path, e);
    }
    if (r == 0 && zip_close(p.zip) == 0)
        return 0;
    if (r == 0)
        r = err_set(e, RAIA_ERR_IO, "write '%s': %s", zip_path, zip_strerror(p.zip));
    zip_discard(p.zip);
    return r;
}
