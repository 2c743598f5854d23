/*
 * Rotation by renaming: PATH.(n-1) -> PATH.n, ..., PATH -> PATH.1.
 */
#include "base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/list.h"
#include "base/mem.h"

struct logfile {
    struct log_sink sink;
    pthread_mutex_t lock; /* guards what follows */
    char *path;
    char *from; /* room for two names made from path while rotating */
    char *to;
    size_t name_size;  /* of each of them */
    uint64_t max_size; /* bytes of a file */
    unsigned backups;
    int fd;        /* -1: could not be opened again after a rotation */
    uint64_t size; /* bytes in the current file */
    uint64_t dropped;
    int tee; /* where lines go besides; -1: nowhere */
};

static void sink_write(struct log_sink *sink, const char *line, size_t size)
{
    logfile_write(container_of(sink, struct logfile, sink), line, size);
}

static int open_current(struct logfile *f)
{
    struct stat st;
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        int sys = errno;
        close(fd);
        return -sys;
    }
    f->fd = fd;
    f->size = (uint64_t)st.st_size;
    return 0;
}

int logfile_open(const char *path, uint64_t max_size, unsigned backups, struct logfile **ret_f,
                 struct raia_error *e)
{
    struct logfile *f;
    int r;

    if (max_size < LOG_LINE_MAX || backups > LOGFILE_BACKUPS_MAX)
        return err_set(e, RAIA_ERR_INVALID,
                       "log file '%s': want at least %d bytes and at most %u "
                       "old files",
                       path, LOG_LINE_MAX, LOGFILE_BACKUPS_MAX);
    f = mem_new(struct logfile);
    if (!f)
        return err_set(e, RAIA_ERR_NOMEM, "log file '%s': out of memory", path);
    f->fd = -1;
    f->sink.write = sink_write;
    pthread_mutex_init(&f->lock, NULL);
    f->max_size = max_size;
    f->backups = backups;
    f->path = mem_strdup(path);
    f->name_size = strlen(path) + 16;
    f->from = mem_alloc(f->name_size);
    f->to = mem_alloc(f->name_size);
    if (!f->path || !f->from || !f->to) {
        logfile_close(f);
        return err_set(e, RAIA_ERR_NOMEM, "log file '%s': out of memory", path);
    }
    f->tee = -1;
    r = open_current(f);
    if (r < 0) {
        logfile_close(f);
        return err_errno(e, -r, "open log file '%s'", path);
    }
    *ret_f = f;
    return 0;
}

void logfile_close(struct logfile *f)
{
    if (!f)
        return;
    fd_closep(&f->fd);
    pthread_mutex_destroy(&f->lock);
    mem_free(f->path);
    mem_free(f->from);
    mem_free(f->to);
    mem_free(f);
}

/* With the lock held. On failure the old file may be full still. */
static void rotate(struct logfile *f)
{
    if (f->backups == 0) {
        if (f->fd >= 0 && ftruncate(f->fd, 0) == 0)
            f->size = 0;
        return;
    }
    for (unsigned i = f->backups; i > 0; i--) {
        snprintf(f->to, f->name_size, "%s.%u", f->path, i);
        if (i == 1)
            snprintf(f->from, f->name_size, "%s", f->path);
        else
            snprintf(f->from, f->name_size, "%s.%u", f->path, i - 1);
        if (rename(f->from, f->to) < 0 && errno != ENOENT)
            return;
    }
    fd_closep(&f->fd);
    f->fd = -1;
    (void)open_current(f); /* tried again at the next write */
}

void logfile_write(struct logfile *f, const char *text, size_t size)
{
    int saved = errno;

    pthread_mutex_lock(&f->lock);
    if (f->fd < 0)
        (void)open_current(f); /* seen in fd */
    if (f->fd >= 0 && f->size > 0 && f->size + size > f->max_size)
        rotate(f);
    if (f->fd < 0 || (f->size > 0 && f->size + size > f->max_size) ||
        io_write_full(f->fd, text, size) < 0)
        f->dropped++;
    else
        f->size += size;
    if (f->tee >= 0)
        (void)io_write_full(f->tee, text, size); /* whoever reads there has the file, too */
    pthread_mutex_unlock(&f->lock);
    errno = saved;
}

void logfile_tee(struct logfile *f, int fd)
{
    pthread_mutex_lock(&f->lock);
    f->tee = fd;
    pthread_mutex_unlock(&f->lock);
}

struct log_sink *logfile_sink(struct logfile *f)
{
    return &f->sink;
}

uint64_t logfile_dropped(struct logfile *f)
{
    uint64_t n;

    pthread_mutex_lock(&f->lock);
    n = f->dropped;
    pthread_mutex_unlock(&f->lock);
    return n;
}

int logfile_begin(const char *session_dir, const char *name, int tee, struct logfile **ret_f,
                  struct raia_error *e)
{
    _cleanup_(mem_freep) char *folder = mem_printf("%s/logs", session_dir);
    _cleanup_(mem_freep) char *path = mem_printf("%s/logs/%s", session_dir, name);
    int r;

    if (!folder || !path)
        return err_set(e, RAIA_ERR_NOMEM, "open the log");
    r = io_mkdir_p(folder, 0700, e);
    if (r == 0)
        r = logfile_open(path, LOGFILE_SIZE_DEFAULT, LOGFILE_BACKUPS_DEFAULT, ret_f, e);
    if (r == 0) {
        logfile_tee(*ret_f, tee);
        log_set_sink(logfile_sink(*ret_f));
    }
    return r;
}
