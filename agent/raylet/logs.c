/*
 * Workers' output: what they write to their files goes to their job's driver, line by line.
 *
 * One inotify watch on the folder tells which file grew; nothing is polled. Each file is read from
 * where the last reading ended, at most LOGS_TURN bytes a turn. A line over LOGS_LINE_MAX is cut
 * into several. What a driver does not take in time is dropped, never held: the files have it all.
 */
#define LOG_MODULE "raylet.logs"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "raylet/link_records.h"
#include "raylet/raylet.h"

#define LOGS_TURN     (64u << 10)
#define LOGS_LINE_MAX 4000u
#define LOGS_BACKLOG  (8u << 20) /* bytes waiting for a driver, beyond which lines are dropped */

struct logfile {
    char name[80]; /* in the folder; hash key, as a string */
    struct raylet *r;
    uint64_t worker;
    bool is_stderr;
    int fd;      /* -1: not opened yet */
    size_t held; /* bytes of a line without its end */
    char line[LOGS_LINE_MAX];
    struct loop_task more; /* there is more than a turn's worth */
    HASH_HANDLE hh;
};

struct logs {
    struct raylet *r;
    int fd; /* inotify */
    struct loop_fd *watch;
    struct logfile *files;
};

static void send_line(struct raylet *r, const struct worker *w, bool is_stderr, const char *line,
                      size_t size)
{
    struct job *j = job_find(r, w->job);
    struct rec_log rec = {.pid = w->pid, .is_stderr = is_stderr};
    char name[112];
    int len;
    struct buf b;

    if (!j)
        return;
    raylet_address(r, w->id.bytes, &rec.from);
    len = *w->running
              ? snprintf(name, sizeof name, "%s %s", w->actor ? "actor" : "task", w->running)
              : snprintf(name, sizeof name, "%s", j->program ? j->program : "worker");
    buf_init(&b, RECORD_PAYLOAD_MAX);
    if (!j->driver)
        buf_put_bytes(&b, j->driver_worker, 16);
    buf_put_bytes(&b, &rec, sizeof rec);
    buf_put_u16(&b, (uint16_t)len);
    buf_put_bytes(&b, name, (size_t)len);
    buf_put_bytes(&b, line, size);
    if (!b.err && j->driver && j->driver->wait_bytes < LOGS_BACKLOG)
        session_send(j->driver, REC_LOG, 0, 0, b.data, b.size, NULL, 0);
    else if (!b.err && !j->driver && memcmp(j->driver_node, r->node.bytes, 16))
        (void)nodes_send(r, j->driver_node, LINK_LOG, NULL, 0, b.data, b.size, NULL, NULL);
    buf_fini(&b);
}

int logs_link_record(struct raylet *r, const void *data, size_t size)
{
    struct session *s;

    if (size < 16 + sizeof(struct rec_log) + 2 || size - 16 > RECORD_PAYLOAD_MAX)
        return -RAIA_ERR_PROTOCOL;
    s = session_find(r, data);
    if (s && s->wait_bytes < LOGS_BACKLOG)
        session_send(s, REC_LOG, 0, 0, (const uint8_t *)data + 16, size - 16, NULL, 0);
    return 0;
}

/* Cuts what came into lines. */
static void take(struct logfile *f, const struct worker *w, const char *data, size_t size)
{
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size, room = sizeof f->line - f->held;
        size_t used = n < room ? n : room;
        memcpy(f->line + f->held, data, used);
        f->held += used;
        if (end && used == n) {
            send_line(f->r, w, f->is_stderr, f->line, f->held);
            f->held = 0;
            used++;
        } else if (f->held == sizeof f->line) {
            send_line(f->r, w, f->is_stderr, f->line, f->held);
            f->held = 0;
        }
        data += used;
        size -= used;
    }
}

/* false: there is more. */
static bool read_some(struct logfile *f)
{
    static char data[LOGS_TURN];
    struct worker *w = worker_find(f->r, f->worker);
    ssize_t n;

    if (!w)
        return true;
    if (f->fd < 0) {
        char path[512];
        snprintf(path, sizeof path, "%s/logs/%s", f->r->config.session_dir, f->name);
        f->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (f->fd < 0)
            return true;
    }
    n = read(f->fd, data, sizeof data);
    if (n > 0)
        take(f, w, data, (size_t)n);
    return n < (ssize_t)sizeof data;
}

static void on_more(struct loop_task *t)
{
    struct logfile *f = LOOP_OF(t, struct logfile, more);

    if (f->worker == 0)
        mem_free(f); /* it ended meanwhile */
    else if (!read_some(f))
        loop_post(f->r->loop, &f->more);
}

static void on_event(void *arg, int fd, unsigned events)
{
    struct logs *l = arg;
    union {
        struct inotify_event e;
        char bytes[8192];
    } u;
    ssize_t n;

    (void)events;
    while ((n = read(fd, &u, sizeof u)) > 0)
        for (char *p = u.bytes; p < u.bytes + n;) {
            struct inotify_event *e = (struct inotify_event *)(void *)p;
            struct logfile *f = e->len ? HASH_GET_STR(l->files, e->name) : NULL;
            if (f)
                loop_post(l->r->loop, &f->more);
            p += sizeof *e + e->len;
        }
}

static void file_new(struct logs *l, const struct worker *w, const char *path, bool is_stderr)
{
    const char *name = strrchr(path, '/');
    struct logfile *f = mem_new(struct logfile);

    if (!f || !name)
        return;
    f->r = l->r;
    f->worker = w->number;
    f->is_stderr = is_stderr;
    f->fd = -1;
    f->more.fn = on_more;
    snprintf(f->name, sizeof f->name, "%s", name + 1);
    if (HASH_PUT_STR(l->files, name, f) < 0)
        mem_free(f);
}

static void file_free(struct logs *l, struct logfile *f)
{
    HASH_DEL(l->files, f);
    if (f->fd >= 0)
        close(f->fd);
    f->worker = 0;
    if (!atomic_load(&f->more.pending))
        mem_free(f);
}

void logs_worker_started(struct raylet *r, const struct worker *w, const char *out, const char *err)
{
    if (!r->logs)
        return;
    file_new(r->logs, w, out, false);
    file_new(r->logs, w, err, true);
}

void logs_worker_renamed(struct raylet *r, const struct worker *w)
{
    char id[WORKER_ID_TEXT_MAX], from[512], to[512];

    worker_id_to_text(&w->id, id);
    for (int i = 0; i < 2; i++) {
        const char *ext = i ? "err" : "out";
        char old[80];
        struct logfile *f;
        snprintf(from, sizeof from, "%s/logs/worker-%s.%s", r->config.session_dir, id, ext);
        snprintf(to, sizeof to, "%s/logs/worker-%s-%d.%s", r->config.session_dir, id, w->pid, ext);
        if (rename(from, to) < 0 || !r->logs)
            continue;
        snprintf(old, sizeof old, "worker-%s.%s", id, ext);
        f = HASH_GET_STR(r->logs->files, old);
        if (!f)
            continue;
        HASH_DEL(r->logs->files, f);
        snprintf(f->name, sizeof f->name, "worker-%s-%d.%s", id, w->pid, ext);
        if (HASH_PUT_STR(r->logs->files, name, f) == 0)
            loop_post(r->loop, &f->more); /* what was written before has another name */
    }
}

void logs_worker_ended(struct raylet *r, const struct worker *w)
{
    struct logfile *f, *next;

    if (!r->logs)
        return;
    HASH_FOREACH (r->logs->files, f, next) {
        if (f->worker != w->number)
            continue;
        for (int i = 0; i < 64 && !read_some(f); i++)
            ;
        if (f->held)
            send_line(r, w, f->is_stderr, f->line, f->held);
        file_free(r->logs, f);
    }
}

int logs_new(struct raylet *r, struct raia_error *e)
{
    _cleanup_(mem_freep) char *folder = mem_printf("%s/logs", r->config.session_dir);
    struct logs *l = mem_new(struct logs);
    int got;

    if (!l || !folder) {
        mem_free(l);
        return err_set(e, RAIA_ERR_NOMEM, "the logs");
    }
    l->r = r;
    l->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (l->fd < 0 || inotify_add_watch(l->fd, folder, IN_MODIFY) < 0) {
        got = err_errno(e, errno, "watch %s", folder);
        if (l->fd >= 0)
            close(l->fd);
        mem_free(l);
        return got;
    }
    r->logs = l;
    return loop_fd_new(r->loop, l->fd, LOOP_READ, on_event, l, &l->watch, e);
}

void logs_free(struct raylet *r)
{
    struct logs *l = r->logs;

    if (!l)
        return;
    loop_fd_free(l->watch);
    close(l->fd);
    while (l->files)
        file_free(l, l->files);
    mem_free(l);
    r->logs = NULL;
}
