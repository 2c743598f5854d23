/*
 * The control socket: requests and replies, its file, its limits.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/unix.h"
#include "control/control.h"

#define WAIT_MS 60000

static char dir[] = "/tmp/raia-test-control-XXXXXX", path[64];
static struct control_server *s;
static atomic_bool stop;
static pthread_t thread;

static int on_echo(void *arg, const struct json *request, struct json *reply, struct raia_error *e)
{
    int64_t fail;
    (void)arg;
    int r = json_opt_int(request, "fail", 0, &fail, e);
    if (r < 0)
        return r;
    json_set_str(reply, "half", "done");
    if (fail)
        return err_set(e, (int)fail, "asked to fail");
    return json_set(reply, "x", json_copy(json_get(request, "x")));
}

static void *run(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct pollfd p = {.fd = control_server_fd(s), .events = POLLIN};
        poll(&p, 1, 10);
        control_server_step(s);
    }
    return NULL;
}

static void setup(void)
{
    struct raia_error e = {0};
    struct control_options o = {.max_clients = 2, .max_line = 100, .max_unread = 500};
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ctl", dir);
    cr_assert_eq(control_server_new(path, &o, &s, &e), 0, "%s", e.text);
    cr_assert_eq(control_add(s, "echo", "gives x back", on_echo, NULL), 0);
    cr_assert_eq(control_add(s, "echo", "", on_echo, NULL), -RAIA_ERR_EXISTS);
    pthread_create(&thread, NULL, run, NULL);
}

static void teardown(void)
{
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    control_server_free(s);
    cr_assert_eq(rmdir(dir), 0, "the socket is gone");
}
TestSuite(control, .init = setup, .fini = teardown, .timeout = 100);

static int call(const char *text, struct json **reply, struct raia_error *e)
{
    struct json *request = NULL;
    cr_assert_eq(json_parse(text, strlen(text), NULL, &request, NULL), 0);
    int r = control_call(path, request, WAIT_MS, reply, e);
    json_free(request);
    return r;
}

/* A command's reply comes back; its failure comes back as an error with its code and text. */
Test(control, call)
{
    struct json *reply = NULL;
    struct raia_error e = {0};
    cr_assert_eq(call("{\"cmd\":\"echo\",\"x\":[1,\"a\\nb\"]}", &reply, &e), 0, "%s", e.text);
    cr_assert_str_eq(json_str(json_at(reply, "x[1]")), "a\nb");
    cr_assert(json_true(json_get(reply, "ok")));
    json_free(reply);
    cr_assert_eq(call("{\"cmd\":\"echo\",\"fail\":8}", &reply, &e), -RAIA_ERR_CANCELED);
    cr_assert_not_null(strstr(e.text, "asked to fail"), "%s", e.text);
    cr_assert_eq(call("{\"cmd\":\"nope\"}", &reply, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_not_null(strstr(e.text, "known: echo"), "%s", e.text);
    cr_assert_eq(call("{}", &reply, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_eq(call("[]", &reply, &e), -RAIA_ERR_INVALID);
}

static int dial(void)
{
    int fd = -1;
    struct raia_error e = {0};
    int r = unix_connect(path, SOCK_STREAM, clock_deadline_ms(WAIT_MS), &fd, &e);
    cr_assert_eq(r, 0, "%s", e.text);
    return fd;
}

static size_t receive(int fd, char *buf, size_t size)
{
    size_t n = 0;
    int r = unix_recv(fd, buf, size - 1, &n, NULL, 0, NULL, clock_deadline_ms(WAIT_MS));
    cr_assert(r == 0 || r == -RAIA_ERR_UNAVAILABLE, "%s", raia_strerror(r));
    buf[r == 0 ? n : 0] = '\0';
    return r == 0 ? n : 0;
}

/* Several requests on one connection, in pieces and malformed too, are answered in order. */
Test(control, lines)
{
    static const char text[] = "{\"cmd\":\"echo\",\"x\":1}\nrubbish\n{\"cmd\":\"echo\",\"x\":2}\n";
    char all[1000] = "", buf[500];
    int fd = dial();
    for (size_t i = 0; i < sizeof text - 1; i++)
        cr_assert_eq(unix_send(fd, text + i, 1, NULL, 0, clock_deadline_ms(WAIT_MS)), 0);
    while (!strstr(all, "\"x\":2}\n")) {
        cr_assert_gt(receive(fd, buf, sizeof buf), 0);
        strcat(all, buf);
    }
    cr_assert_eq(strncmp(all, "{\"ok\":true,\"half\":\"done\",\"x\":1}\n{\"ok\":false,", 44), 0,
                 "%s", all);
    close(fd);
}

/* A line that is too long ends its connection, and no other. */
Test(control, long_line)
{
    char line[300], buf[10];
    struct json *reply = NULL;
    memset(line, ' ', sizeof line);
    int fd = dial();
    cr_assert_eq(unix_send(fd, line, 100, NULL, 0, clock_deadline_ms(WAIT_MS)), 0);
    cr_assert_eq(receive(fd, buf, sizeof buf), 0);
    close(fd);
    cr_assert_eq(call("{\"cmd\":\"echo\"}", &reply, NULL), -RAIA_ERR_NOMEM, "x is missing");
}

/* A client that does not read is not read from either, and loses nothing when it reads at last. */
Test(control, slow_reader)
{
    static const char line[] = "{\"cmd\":\"echo\",\"x\":\"123456789012345678901234567890\"}\n";
    size_t sent = 0, lines = 0;
    int fd = dial();
    while (unix_send(fd, line, sizeof line - 1, NULL, 0, clock_deadline_ms(200)) == 0)
        sent++;
    cr_assert_gt(sent, 10);
    shutdown(fd, SHUT_WR);
    char buf[4096];
    while (lines < sent && receive(fd, buf, sizeof buf) > 0)
        for (char *c = buf; (c = strchr(c, '\n')); c++)
            lines++;
    cr_assert_eq(lines, sent);
    close(fd);
}

/* More clients than the limit wait until one leaves. */
Test(control, many_clients)
{
    char buf[100];
    int a = dial(), b = dial(), c = dial();
    static const char line[] = "{\"cmd\":\"echo\",\"x\":1}\n";
    int fds[] = {a, b};
    for (int i = 0; i < 2; i++) {
        unix_send(fds[i], line, sizeof line - 1, NULL, 0, clock_deadline_ms(WAIT_MS));
        cr_assert_gt(receive(fds[i], buf, sizeof buf), 0);
    }
    unix_send(c, line, sizeof line - 1, NULL, 0, clock_deadline_ms(WAIT_MS));
    struct pollfd p = {.fd = c, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 100), 0, "not served yet");
    close(a);
    cr_assert_gt(receive(c, buf, sizeof buf), 0);
    close(b);
    close(c);
}

/* The socket is its owner's alone; a second daemon cannot take it; nobody there is told. */
Test(control, file)
{
    struct stat st;
    struct control_server *other = NULL;
    struct raia_error e = {0};
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(control_server_new(path, NULL, &other, &e), -RAIA_ERR_EXISTS, "%s", e.text);
    cr_assert_eq(stat(path, &st), 0, "still there");
    struct json *request = json_new_object(), *reply = NULL;
    cr_assert_eq(control_call("/tmp/raia-none", request, 1000, &reply, &e), -RAIA_ERR_NOT_FOUND);
    json_free(request);
    control_server_free(NULL);
}
