/*
 * Copying trees (copy.h).
 */
#include "pod/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"

#define DEPTH_MAX 32
#define PIECE     (1u << 24)

static int copy_file(const char *from, const char *to, const struct stat *st, struct copy_sum *sum,
                     struct raia_error *e)
{
    _cleanup_(fd_closep) int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_(fd_closep) int out = -1;
    ssize_t n;

    if (in < 0)
        return err_errno(e, errno, "read '%s'", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return err_errno(e, errno, "write '%s'", to);
    while ((n = sendfile(out, in, NULL, PIECE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "copy '%s' to '%s'", from, to);
        sum->bytes += (uint64_t)n;
    }
    if (fchmod(out, st->st_mode & 0777) < 0)
        return err_errno(e, errno, "set the mode of '%s'", to);
    return 0;
}

static int copy_link(const char *from, const char *to, struct raia_error *e)
{
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof target - 1);

    if (n < 0)
        return err_errno(e, errno, "read '%s'", from);
    target[n] = '\0';
    return symlink(target, to) < 0 ? err_errno(e, errno, "make '%s'", to) : 0;
}

static int copy_any(const char *from, const char *to, int depth, struct copy_sum *sum,
                    struct raia_error *e);

static int copy_folder(const char *from, const char *to, int depth, struct copy_sum *sum,
                       struct raia_error *e)
{
    DIR *d = depth < DEPTH_MAX ? opendir(from) : NULL;
    struct dirent *it;
    int r = 0;

    if (!d)
        return err_errno(e, depth < DEPTH_MAX ? errno : ELOOP, "read '%s'", from);
    if (mkdir(to, 0755) < 0)
        r = err_errno(e, errno, "make '%s'", to);
    while (r == 0 && (it = readdir(d))) {
        if (!strcmp(it->d_name, ".") || !strcmp(it->d_name, ".."))
            continue;
        _cleanup_(mem_freep) char *a = mem_printf("%s/%s", from, it->d_name);
        _cleanup_(mem_freep) char *b = mem_printf("%s/%s", to, it->d_name);
        r = a && b ? copy_any(a, b, depth + 1, sum, e)
                   : err_set(e, RAIA_ERR_NOMEM, "copy '%s'", from);
    }
    closedir(d);
    return r;
}

static int copy_any(const char *from, const char *to, int depth, struct copy_sum *sum,
                    struct raia_error *e)
{
    struct stat st;

    if (lstat(from, &st) < 0)
        return err_errno(e, errno, "read '%s'", from);
    if (S_ISDIR(st.st_mode))
        return copy_folder(from, to, depth, sum, e);
    sum->files++;
    if (S_ISLNK(st.st_mode))
        return copy_link(from, to, e);
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, &st, sum, e);
    return err_set(e, RAIA_ERR_INVALID, "'%s' is neither folder, file nor link", from);
}

int copy_tree(const char *from, const char *to, struct copy_sum *sum, struct raia_error *e)
{
    return copy_any(from, to, 0, sum, e);
}
