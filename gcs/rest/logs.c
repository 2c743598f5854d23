/* Logs of submissions: whole, and followed through a WebSocket. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "rest/rest_impl.h"

/* How often a followed log is looked at, and the most that one message carries. */
#define TAIL_MS    100
#define TAIL_CHUNK (32u << 10)

int rest_open_log(const struct rest *rest, const char *submission_id)
{
    _cleanup_(mem_freep) char *path =
        mem_printf("%s/logs/job-driver-%s.log", rest->session_dir, submission_id);
    int fd;

    if (!path)
        return -RAIA_ERR_NOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd < 0 ? -err_from_errno(errno) : fd;
}

/* ---- UTF-8, which JSON and text messages must be ---- */

/* Bytes of the character that begins here; 0: none does. */
static size_t utf8_length(unsigned char c)
{
    return c < 0x80                ? 1
           : c >= 0xc2 && c < 0xe0 ? 2
           : c >= 0xe0 && c < 0xf0 ? 3
           : c >= 0xf0 && c < 0xf5 ? 4
                                   : 0;
}

/* A whole and valid character of n bytes? */
static bool utf8_valid(const unsigned char *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
    }
    return !(n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))) &&
           !(n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)));
}

size_t rest_utf8_whole(const char *data, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)data[len - back];

        if ((c & 0xc0) == 0x80)
            continue;
        return utf8_length(c) > back ? len - back : len;
    }
    return len;
}

void rest_utf8_mend(char *data, size_t len)
{
    unsigned char *p = (unsigned char *)data;

    for (size_t i = 0; i < len;) {
        size_t n = utf8_length(p[i]);

        if (n == 0 || n > len - i || !utf8_valid(p + i, n)) {
            p[i++] = '?';
            continue;
        }
        if (p[i] == 0)
            p[i] = '?';
        i += n;
    }
}

/* ---- whole ---- */

/* The last max bytes of a file, from a line's beginning. NULL: *ret says why. */
static char *read_end(int fd, size_t max, size_t *ret_len, struct raia_error *e)
{
    struct stat st;
    size_t size, skip = 0;
    char *text;

    if (fstat(fd, &st) < 0) {
        (void)err_errno(e, errno, "look at the log");
        return NULL;
    }
    size = (uint64_t)st.st_size > max ? max : (size_t)st.st_size;
    text = mem_alloc(size + 1);
    if (!text || lseek(fd, st.st_size - (off_t)size, SEEK_SET) < 0 ||
        io_read_full(fd, text, size, &size) < 0) {
        mem_free(text);
        (void)err_set(e, text ? RAIA_ERR_IO : RAIA_ERR_NOMEM, "read the log");
        return NULL;
    }
    if ((uint64_t)st.st_size > max) {
        char *line = memchr(text, '\n', size);

        skip = line ? (size_t)(line - text) + 1 : 0;
    }
    memmove(text, text + skip, size - skip);
    *ret_len = size - skip;
    return text;
}

void rest_jobs_logs(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    const Raia__Storage__Submission *s = rest_find_submission(rest, x, "get logs of");
    _cleanup_(mem_freep) char *text = NULL;
    _cleanup_(fd_closep) int fd = -1;
    struct raia_error e = {0};
    struct json *root;
    size_t len = 0;

    if (!s)
        return;
    fd = rest_open_log(rest, s->submission_id);
    if (fd >= 0) {
        text = read_end(fd, rest->options.max_log, &len, &e);
        if (!text) {
            rest_answer_failure(x, &e);
            return;
        }
    } else if (fd != -RAIA_ERR_NOT_FOUND) { /* not there: it has not started */
        (void)err_set(&e, -fd, "open the log: %s", raia_strerror(fd));
        rest_answer_failure(x, &e);
        return;
    }
    if (text)
        rest_utf8_mend(text, len);
    root = json_new_object();
    if (json_set(root, "logs", json_new_strn(text ? text : "", len)) < 0) {
        json_free(root);
        root = NULL;
    }
    http_answer_json(x, 200, root);
}

/* ---- followed ---- */

struct tail {
    struct rest *rest;          /* whose */
    struct list link;           /* in rest->tails */
    struct http_ws *ws;         /* NULL: gone */
    struct loop_timer timer;    /* looks again */
    char *id;                   /* of the submission; owned */
    int fd;                     /* the log; negative: not there yet */
    bool blocked;               /* the client is slow */
    bool closing;               /* the end was sent */
    size_t n;                   /* bytes in chunk, read and not yet sent */
    char chunk[TAIL_CHUNK + 1]; /* what is sent next */
};

static void tail_free(struct tail *t)
{
    loop_timer_stop(&t->timer);
    list_del(&t->link);
    if (t->fd >= 0)
        close(t->fd);
    mem_free(t->id);
    mem_free(t);
}

static bool tail_job_ended(const struct tail *t)
{
    const Raia__Storage__Submission *s = gcs_core_find_submission(t->rest->options.core, t->id);

    return !s || s->end_unix_ms != 0;
}

/* Sends whole characters, whole lines if there are any. False: the client is slow. */
static bool tail_send(struct tail *t, bool all)
{
    size_t n = rest_utf8_whole(t->chunk, t->n);
    char *line = memrchr(t->chunk, '\n', n);
    char rest[TAIL_CHUNK];
    int r;

    if (line && !all)
        n = (size_t)(line - t->chunk) + 1;
    else if (t->n < TAIL_CHUNK && !all)
        return true; /* a line that is still being written */
    if (all)
        n = t->n;
    if (n == 0)
        return true;
    memcpy(rest, t->chunk + n, t->n - n);
    rest_utf8_mend(t->chunk, n);
    r = http_ws_send(t->ws, t->chunk, n);
    if (r < 0) {
        t->blocked = r == -RAIA_ERR_LIMIT;
        return false;
    }
    t->n -= n;
    memcpy(t->chunk, rest, t->n);
    return true;
}

static void tail_pump(struct tail *t)
{
    bool ended, more = true;
    size_t got = 0;

    if (!t->ws || t->closing || t->blocked)
        return;
    ended = tail_job_ended(t); /* before reading: what was written till then is seen */
    if (t->fd < 0)
        t->fd = rest_open_log(t->rest, t->id);
    while (t->fd >= 0 && more) {
        if (io_read_full(t->fd, t->chunk + t->n, TAIL_CHUNK - t->n, &got) < 0)
            break;
        t->n += got;
        more = got > 0;
        if (!tail_send(t, ended && !more))
            return;
    }
    if (!ended)
        return;
    t->closing = true;
    http_ws_close(t->ws, 1000, "the job has ended");
}

static void on_timer(struct loop_timer *timer)
{
    tail_pump(LOOP_OF(timer, struct tail, timer));
}

static void on_room(struct http_ws *ws, void *arg)
{
    struct tail *t = arg;

    (void)ws;
    t->blocked = false;
    tail_pump(t);
}

static void on_close(struct http_ws *ws, int code, void *arg)
{
    (void)ws;
    (void)code;
    tail_free(arg);
}

static const struct http_ws_events tail_events = {.on_room = on_room, .on_close = on_close};

void rest_jobs_tail(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    const Raia__Storage__Submission *s = rest_find_submission(rest, x, "tail logs of");
    struct tail *t = s ? mem_new(struct tail) : NULL;

    if (!s)
        return;
    if (t)
        t->id = mem_strdup(s->submission_id);
    if (!t || !t->id) {
        mem_free(t);
        http_answer_error(x, 503, "out of memory");
        return;
    }
    t->rest = rest;
    t->fd = -1;
    list_add_tail(&rest->tails, &t->link);
    t->ws = http_ws_accept(x, &tail_events, t);
    if (!t->ws) {
        tail_free(t);
        return;
    }
    loop_timer_start(rest->options.loop, &t->timer, 0, TAIL_MS, on_timer);
}

void rest_tails_end(struct rest *rest)
{
    struct tail *t, *next;

    LIST_FOREACH_SAFE (t, next, &rest->tails, link)
        tail_free(t);
}
