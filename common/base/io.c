/*
 * Whole files and trees.
 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/mem.h"

int io_read_full(int fd, void *to, size_t n, size_t *ret_n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = read(fd, (char *)to + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -err_from_errno(errno);
        if (r == 0)
            break;
        done += (size_t)r;
    }
    *ret_n = done;
    return 0;
}

int io_write_full(int fd, const void *data, size_t n)
{
    const char *at = data;

    while (n) {
        ssize_t r = write(fd, at, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -err_from_errno(errno);
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

int io_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size,
                 struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(mem_freep) char *data = NULL;
    size_t size = 0, cap;
    struct stat st;

    if (fd < 0)
        return err_errno(e, errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return err_errno(e, errno, "stat '%s'", path);
    if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max)
        return err_set(e, RAIA_ERR_LIMIT, "'%s' has %jd bytes, %zu are allowed", path,
                       (intmax_t)st.st_size, max);
    /* One byte more than the size tells the end without growing. */
    cap = st.st_size > 0 ? (size_t)st.st_size + 2 : 4096;
    for (;;) {
        size_t n;
        int r;
        char *grown = mem_realloc(data, cap);
        if (!grown)
            return err_set(e, RAIA_ERR_NOMEM, "read '%s': out of memory", path);
        data = grown;
        r = io_read_full(fd, data + size, cap - 1 - size, &n);
        if (r < 0)
            return err_errno(e, errno, "read '%s'", path);
        size += n;
        if (size > max)
            return err_set(e, RAIA_ERR_LIMIT, "'%s' has more than the %zu bytes allowed", path,
                           max);
        if (size < cap - 1)
            break;
        if (__builtin_mul_overflow(cap, 2, &cap))
            return err_set(e, RAIA_ERR_LIMIT, "'%s' is too large", path);
    }
    data[size] = '\0';
    *ret_data = STEAL(data);
    if (ret_size)
        *ret_size = size;
    return 0;
}

static int sync_parent(const char *path, struct raia_error *e)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(mem_freep) char *dir =
        slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    _cleanup_(fd_closep) int fd = -1;

    if (!dir)
        return err_set(e, RAIA_ERR_NOMEM, "sync the folder of '%s': out of memory", path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(e, errno, "sync '%s'", dir);
    return 0;
}

static int write_and_name(int fd, const char *tmp, const char *path, const void *data, size_t size,
                          mode_t mode, unsigned flags, struct raia_error *e)
{
    if (fchmod(fd, mode) < 0 || io_write_full(fd, data, size) < 0)
        return err_errno(e, errno, "write '%s'", tmp);
    if ((flags & IO_SYNC) && fsync(fd) < 0)
        return err_errno(e, errno, "sync '%s'", tmp);
    if (flags & IO_NEW) {
        /* link(2), unlike rename(2), never replaces, and all file systems have it. */
        if (link(tmp, path) < 0)
            return err_errno(e, errno, "make '%s'", path);
        (void)unlink(tmp); /* the file has its name; a second one is litter, not failure */
    } else if (rename(tmp, path) < 0) {
        return err_errno(e, errno, "rename '%s' to '%s'", tmp, path);
    }
    return 0;
}

int io_write_file(const char *path, const void *data, size_t size, mode_t mode, unsigned flags,
                  struct raia_error *e)
{
    _cleanup_(mem_freep) char *tmp = NULL;
    _cleanup_(fd_closep) int fd = -1;
    uint64_t suffix;
    int r = random_fill(&suffix, sizeof suffix);

    if (r < 0)
        return err_set(e, -r, "write '%s': no random numbers", path);
    tmp = mem_printf("%s.tmp-%016" PRIx64, path, suffix);
    if (!tmp)
        return err_set(e, RAIA_ERR_NOMEM, "write '%s': out of memory", path);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "make '%s'", tmp);
    r = write_and_name(fd, tmp, path, data, size, mode, flags, e);
    if (r < 0) {
        (void)unlink(tmp); /* the first failure is the one to report */
        return r;
    }
    return flags & IO_SYNC ? sync_parent(path, e) : 0;
}

static int mkdir_one(const char *path, mode_t mode, struct raia_error *e)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return err_errno(e, errno, "make folder '%s'", path);
    if (stat(path, &st) < 0)
        return err_errno(e, errno, "stat '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, RAIA_ERR_EXISTS, "make folder '%s': there is a file of that name", path);
    return 0;
}

void io_state_root(char *path, size_t size)
{
    const char *set = getenv("RAIA_STATE_DIR");

    if (set && *set)
        snprintf(path, size, "%s", set);
    else
        snprintf(path, size, "/tmp/raia-%u", (unsigned)getuid());
}

int io_mkdir_p(const char *path, mode_t mode, struct raia_error *e)
{
    struct stat st;
    _cleanup_(mem_freep) char *part = NULL;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    part = mem_strdup(path);
    if (!part)
        return err_set(e, RAIA_ERR_NOMEM, "make folder '%s': out of memory", path);
    for (char *p = part; *p; p++) {
        if (*p != '/' || p == part || p[-1] == '/')
            continue;
        *p = '\0';
        /* A parent that is there may be one in which we may not write: that is no error yet. */
        if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode)) {
            int r = mkdir_one(part, mode, e);
            if (r < 0)
                return r;
        }
        *p = '/';
    }
    return mkdir_one(part, mode, e);
}

struct removal {
    dev_t dev;            /* of the top: others are not entered */
    int first;            /* the first failure (negative code), or 0 */
    struct raia_error *e; /* where its text goes; may be NULL */
};

static void removal_failed(struct removal *rm, int sys, const char *what, const char *name)
{
    if (rm->first == 0)
        rm->first = err_errno(rm->e, sys, "%s '%s'", what, name);
}

static void remove_at(struct removal *rm, int parent, const char *name, int depth);

static void remove_children(struct removal *rm, DIR *d, int depth)
{
    struct dirent *entry;

    while ((entry = readdir(d)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove_at(rm, dirfd(d), entry->d_name, depth + 1);
}

static void remove_at(struct removal *rm, int parent, const char *name, int depth)
{
    struct stat st;
    int fd;
    DIR *d;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return;
    if (errno != EISDIR && errno != EPERM) {
        removal_failed(rm, errno, "remove", name);
        return;
    }
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        /* Not a folder: it was the unlink that was not permitted. */
        removal_failed(rm, errno == ENOTDIR || errno == ELOOP ? EPERM : errno, "remove", name);
        return;
    }
    if (fstat(fd, &st) < 0 || (depth > 0 && st.st_dev != rm->dev) || depth >= IO_TREE_DEPTH_MAX) {
        removal_failed(rm, depth >= IO_TREE_DEPTH_MAX ? E2BIG : EBUSY, "enter", name);
        close(fd);
        return;
    }
    rm->dev = st.st_dev;
    d = fdopendir(fd);
    if (!d) {
        removal_failed(rm, errno, "read", name);
        close(fd);
        return;
    }
    remove_children(rm, d, depth);
    closedir(d);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        removal_failed(rm, errno, "remove", name);
}

int io_remove_tree(const char *path, struct raia_error *e)
{
    struct removal rm = {.e = e};
    _cleanup_(mem_freep) char *trimmed = mem_strdup(path);
    size_t n = strlen(path);

    if (!trimmed)
        return err_set(e, RAIA_ERR_NOMEM, "remove '%s': out of memory", path);
    while (n > 1 && trimmed[n - 1] == '/') /* "link/" would follow the link */
        trimmed[--n] = '\0';
    remove_at(&rm, AT_FDCWD, trimmed, 0);
    if (rm.first < 0)
        (void)err_wrap(e, "remove '%s'", path); /* e may be NULL: the code is in rm */
    return rm.first;
}
