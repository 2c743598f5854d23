/* Files by content hash. */
#include "service/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#define TEMPORARY ".part-"

bool package_name_ok(const char *sha256)
{
    return strlen(sha256) == CRYPTO_SHA256_HEX_SIZE - 1 &&
           strspn(sha256, "0123456789abcdef") == CRYPTO_SHA256_HEX_SIZE - 1;
}

/* Adds up what is there; removes what a crash left. */
static void scan(struct packages *p, DIR *dir)
{
    struct dirent *entry;
    struct stat st;

    while ((entry = readdir(dir))) {
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        else if (package_name_ok(entry->d_name) &&
                 fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            p->bytes += (uint64_t)st.st_size;
    }
}

int packages_open(struct packages *p, const char *path, uint64_t max_one, uint64_t max_all,
                  struct raia_error *e)
{
    DIR *dir;
    int r = io_mkdir_p(path, 0700, e);

    if (r < 0)
        return r;
    *p = (struct packages){.max_one = max_one, .max_all = max_all};
    pthread_mutex_init(&p->lock, NULL);
    p->dir = mem_strdup(path);
    if (!p->dir)
        return err_set(e, RAIA_ERR_NOMEM, "packages");
    dir = opendir(path);
    if (!dir) {
        r = err_errno(e, errno, "open the folder '%s'", path);
        packages_close(p);
        return r;
    }
    scan(p, dir);
    closedir(dir);
    return 0;
}

void packages_close(struct packages *p)
{
    if (p->dir)
        pthread_mutex_destroy(&p->lock);
    mem_free(STEAL(p->dir));
}

void packages_guard(struct packages *p, bool (*in_use)(void *arg, const char *sha256), void *arg,
                    int64_t fresh_ms)
{
    p->in_use = in_use;
    p->arg = arg;
    p->fresh_ms = fresh_ms;
}

/* It is used now: to the nanosecond, as the kernel's own stamps are alike for some milliseconds. */
static void touch(int fd)
{
    struct timespec now[2];

    (void)clock_gettime(CLOCK_REALTIME, &now[0]);
    now[1] = now[0];
    (void)futimens(fd, now);
}

bool packages_touch(struct packages *p, const char *sha256)
{
    uint64_t size;
    mode_t mode;
    int fd = packages_read(p, sha256, &size, &mode);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* ---- eviction */

struct candidate {
    char sha256[CRYPTO_SHA256_HEX_SIZE];
    uint64_t size;
    int64_t used_ns; /* unix time */
};

static int64_t used_ns(const struct stat *st)
{
    return st->st_mtim.tv_sec * CLOCK_NS_PER_S + st->st_mtim.tv_nsec;
}

static int older_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

/* All whole packages, oldest first, in *ret_list (mem_free). Adds up everything anew: a package that
 * was put twice had been counted twice. */
static size_t list_candidates(struct packages *p, DIR *dir, struct candidate **ret_list)
{
    struct candidate *list = NULL, *more;
    struct dirent *entry;
    size_t n = 0, room = 0;
    struct stat st;

    p->bytes = 0;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.' && strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) != 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        p->bytes += (uint64_t)st.st_size;
        if (!package_name_ok(entry->d_name))
            continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            more = mem_realloc(list, room * sizeof *list);
            if (!more)
                break;
            list = more;
        }
        list[n].size = (uint64_t)st.st_size;
        list[n].used_ns = used_ns(&st);
        memcpy(list[n++].sha256, entry->d_name, CRYPTO_SHA256_HEX_SIZE);
    }
    if (n)
        qsort(list, n, sizeof *list, older_first);
    *ret_list = list;
    return n;
}

/* Makes room for `need` bytes more, as far as that is possible. */
static void evict(struct packages *p, uint64_t need)
{
    _cleanup_(mem_freep) struct candidate *list = NULL;
    int64_t before = (clock_unix_ms() + 1 - p->fresh_ms) * CLOCK_NS_PER_MS;
    DIR *dir = p->in_use ? opendir(p->dir) : NULL;
    struct stat st;

    if (!dir)
        return;
    /* The lock keeps a package that is put there just now from being taken for the old one. */
    pthread_mutex_lock(&p->lock);
    size_t n = list_candidates(p, dir, &list);
    for (size_t i = 0; i < n && p->bytes + need > p->max_all && list[i].used_ns <= before; i++)
        if (!p->in_use(p->arg, list[i].sha256) &&
            fstatat(dirfd(dir), list[i].sha256, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            used_ns(&st) == list[i].used_ns && unlinkat(dirfd(dir), list[i].sha256, 0) == 0)
            p->bytes -= list[i].size;
    pthread_mutex_unlock(&p->lock);
    closedir(dir);
}

int packages_read(struct packages *p, const char *sha256, uint64_t *ret_size, mode_t *ret_mode)
{
    _cleanup_(mem_freep) char *path = NULL;
    struct stat st;
    int fd;

    if (!package_name_ok(sha256))
        return -RAIA_ERR_NOT_FOUND;
    path = mem_printf("%s/%s", p->dir, sha256);
    if (!path)
        return -RAIA_ERR_NOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -err_from_errno(errno);
    if (fstat(fd, &st) < 0) {
        close(fd);
        return -RAIA_ERR_IO;
    }
    touch(fd);
    *ret_size = (uint64_t)st.st_size;
    *ret_mode = st.st_mode & 0777;
    return fd;
}

int package_writer_new(struct packages *p, const char *sha256, int64_t size, mode_t mode,
                       struct package_writer **ret_w, struct raia_error *e)
{
    struct package_writer *w;

    if (sha256 && !package_name_ok(sha256))
        return err_set(e, RAIA_ERR_INVALID,
                       "put package: its name must be a SHA-256 in 64 lower-case hex digits");
    if (size >= 0 && (uint64_t)size > p->max_one)
        return err_set(e, RAIA_ERR_LIMIT, "put package: %lld bytes; the most is %llu (settings)",
                       (long long)size, (unsigned long long)p->max_one);
    w = mem_new(struct package_writer);
    if (!w)
        return err_set(e, RAIA_ERR_NOMEM, "put package");
    w->packages = p;
    w->size = size;
    w->mode = mode & 0755;
    w->fd = -1;
    w->has_sha256 = sha256 != NULL;
    if (sha256)
        memcpy(w->sha256, sha256, sizeof w->sha256);
    w->hash = crypto_sha256_new();
    w->path = mem_printf("%s/%s%d-%llu", p->dir, TEMPORARY, (int)getpid(),
                         (unsigned long long)p->counter++);
    if (!w->hash || !w->path) {
        package_writer_free(w);
        return err_set(e, RAIA_ERR_NOMEM, "put package");
    }
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        int sys = errno;

        package_writer_free(w);
        return err_errno(e, sys, "put package: create a file in '%s'", p->dir);
    }
    *ret_w = w;
    return 0;
}

int package_writer_add(struct package_writer *w, const void *data, size_t len, struct raia_error *e)
{
    int r;

    if (w->written + len > w->packages->max_one ||
        (w->size >= 0 && w->written + len > (uint64_t)w->size))
        return err_set(e, RAIA_ERR_LIMIT, "put package: more bytes than %s",
                       w->size >= 0 ? "were announced" : "are allowed (settings)");
    if (w->packages->bytes + len > w->packages->max_all)
        evict(w->packages, len);
    if (w->packages->bytes + len > w->packages->max_all)
        return err_set(e, RAIA_ERR_LIMIT,
                       "put package: all packages together would exceed %llu bytes, and those that "
                       "no job uses were used lately, or are too small: raise --packages-bytes",
                       (unsigned long long)w->packages->max_all);
    r = io_write_full(w->fd, data, len);
    if (r < 0)
        return err_set(e, -r, "put package: write to '%s': %s", w->packages->dir, raia_strerror(r));
    r = crypto_sha256_add(w->hash, data, len);
    if (r < 0)
        return err_set(e, -r, "put package: digest");
    w->written += len;
    w->packages->bytes += len;
    return 0;
}

static int sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

    if (fd < 0 || fsync(fd) < 0)
        r = -err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    return r;
}

int package_writer_finish(struct package_writer *w, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = NULL;
    char sha256[CRYPTO_SHA256_HEX_SIZE];
    uint8_t digest[CRYPTO_SHA256_SIZE];

    if (w->size >= 0 && w->written != (uint64_t)w->size)
        return err_set(e, RAIA_ERR_INVALID, "put package: %llu bytes came, %lld were announced",
                       (unsigned long long)w->written, (long long)w->size);
    if (crypto_sha256_end(w->hash, digest) < 0)
        return err_set(e, RAIA_ERR_INTERNAL, "put package: digest");
    crypto_hex(digest, sizeof digest, sha256);
    if (w->has_sha256 && strcmp(sha256, w->sha256) != 0)
        return err_set(e, RAIA_ERR_INVALID,
                       "put package: its content has another SHA-256 than its name: it was damaged "
                       "on the way, or changed while it was sent");
    memcpy(w->sha256, sha256, sizeof w->sha256);
    path = mem_printf("%s/%s", w->packages->dir, sha256);
    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "put package");
    touch(w->fd);
    if (fchmod(w->fd, w->mode | 0400) < 0 || fsync(w->fd) < 0)
        return err_errno(e, errno, "put package: store '%s'", path);
    pthread_mutex_lock(&w->packages->lock);
    int r = rename(w->path, path);
    pthread_mutex_unlock(&w->packages->lock);
    if (r < 0)
        return err_errno(e, errno, "put package: store '%s'", path);
    w->finished = true;
    if (sync_folder(w->packages->dir) < 0)
        return err_errno(e, errno, "put package: sync '%s'", w->packages->dir);
    return 0;
}

void package_writer_free(struct package_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->fd >= 0 && !w->finished) {
        (void)unlink(w->path);
        w->packages->bytes -= w->written;
    }
    crypto_sha256_free(w->hash);
    mem_free(w->path);
    mem_free(w);
}
