/*
 * The client's side of the control socket.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/unix.h"
#include "control/control.h"

#define REPLY_MAX ((size_t)16 << 20)

/* Reads up to a newline, which becomes the end mark. */
static int read_line(int fd, int64_t deadline, char **ret_line, size_t *ret_len)
{
    size_t len = 0, cap = 4096;
    _cleanup_(mem_freep) char *line = mem_alloc(cap);
    if (!line)
        return -RAIA_ERR_NOMEM;
    for (;;) {
        size_t n = 0;
        int r = unix_recv(fd, line + len, cap - len, &n, NULL, 0, NULL, deadline);
        if (r < 0)
            return r;
        if (n == 0)
            return -RAIA_ERR_UNAVAILABLE;
        char *end = memchr(line + len, '\n', n);
        if (end) {
            *end = '\0';
            *ret_len = (size_t)(end - line);
            *ret_line = STEAL(line);
            return 0;
        }
        len += n;
        if (len < cap)
            continue;
        if (cap >= REPLY_MAX)
            return -RAIA_ERR_LIMIT;
        char *p = mem_realloc(line, cap *= 2);
        if (!p)
            return -RAIA_ERR_NOMEM;
        line = p;
    }
}

/* An {"ok":false} reply as its error. */
static int as_error(const struct json *reply, struct raia_error *e)
{
    bool ok = false;
    int64_t code = RAIA_ERR_INTERNAL;
    const char *text = "the command failed";
    if (json_get_bool(reply, "ok", &ok, NULL) < 0)
        return err_set(e, RAIA_ERR_PROTOCOL, "malformed reply");
    if (ok)
        return 0;
    (void)json_opt_int(reply, "error.code", code, &code, NULL); /* defaults serve as well */
    (void)json_opt_str(reply, "error.text", text, &text, NULL);
    return err_set(e, code > 0 && code <= RAIA_ERR_MAX ? (int)code : RAIA_ERR_INTERNAL, "%s", text);
}

static int exchange(int fd, const struct json *request, int64_t deadline, struct json **ret_reply,
                    struct raia_error *e)
{
    size_t len = 0;
    _cleanup_(mem_freep) char *text = json_print(request, JSON_COMPACT, &len), *line = NULL;
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    text[len] = '\n'; /* in place of its end mark */
    int r = unix_send(fd, text, len + 1, NULL, 0, deadline);
    if (r == 0)
        r = read_line(fd, deadline, &line, &len);
    if (r < 0)
        return err_set(e, -r, "%s", raia_strerror(r));
    _cleanup_(json_freep) struct json *reply = NULL;
    r = json_parse(line, len, NULL, &reply, e);
    if (r == 0)
        r = as_error(reply, e);
    if (r == 0)
        *ret_reply = STEAL(reply);
    return r;
}

int control_call(const char *path, const struct json *request, int timeout_ms,
                 struct json **ret_reply, struct raia_error *e)
{
    int64_t deadline = clock_deadline_ms(timeout_ms);
    _cleanup_(fd_closep) int fd = -1;
    int r = unix_connect(path, SOCK_STREAM, deadline, &fd, e);
    if (r < 0)
        return r;
    r = exchange(fd, request, deadline, ret_reply, e);
    if (r < 0)
        (void)err_wrap(e, "control socket '%s'", path); /* e may be NULL: r has the code */
    return r;
}
