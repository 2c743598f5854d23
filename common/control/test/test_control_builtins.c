/*
 * The commands that every daemon has.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "control/control.h"

static struct control_server *s;
static struct metrics *m;

static int add_status(void *arg, const struct json *request, struct json *reply,
                      struct raia_error *e)
{
    (void)request, (void)e;
    return json_set_str(reply, "more", arg);
}

static void setup(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/raia-test-builtins-%d", (int)getpid());
    cr_assert_eq(metrics_new(&m), 0);
    cr_assert_eq(control_server_new(path, NULL, &s, NULL), 0);
    cr_assert_eq(control_add_builtins(s, "test", m, add_status, "yes"), 0);
}

static void teardown(void)
{
    control_server_free(s);
    metrics_free(m);
}
TestSuite(control_builtins, .init = setup, .fini = teardown);

static struct json *ask(const char *line)
{
    size_t len = 0;
    struct json *reply = NULL;
    char *text = control_answer(s, line, strlen(line), &len);
    cr_assert_eq(json_parse(text, len, NULL, &reply, NULL), 0);
    mem_free(text);
    return reply;
}

static bool ok(const char *line)
{
    struct json *reply = ask(line);
    bool yes = json_true(json_get(reply, "ok"));
    json_free(reply);
    return yes;
}

/* Status tells the program and what the daemon adds; help lists all. */
Test(control_builtins, status)
{
    struct json *r = ask("{\"cmd\":\"status\"}");
    int64_t pid = 0;
    cr_assert_str_eq(json_str(json_get(r, "program")), "test");
    cr_assert_str_eq(json_str(json_get(r, "more")), "yes");
    cr_assert_eq(json_int(json_get(r, "pid"), &pid), 0);
    cr_assert_eq(pid, getpid());
    json_free(r);
    r = ask("{\"cmd\":\"help\"}");
    cr_assert_eq(json_size(json_get(r, "commands")), 5);
    json_free(r);
}

/* Log levels change, of all modules or one; what is malformed changes nothing. */
Test(control_builtins, log_level)
{
    cr_assert(ok("{\"cmd\":\"log-level\",\"level\":\"warn\"}"));
    cr_assert_eq(log_get_level(), LOG_WARN);
    cr_assert(ok("{\"cmd\":\"log-level\",\"level\":\"debug\",\"module\":\"x\"}"));
    cr_assert(log_enabled("x.y", LOG_DEBUG));
    cr_assert_not(log_enabled("y", LOG_DEBUG));
    cr_assert_not(ok("{\"cmd\":\"log-level\",\"level\":\"loud\"}"));
    cr_assert_not(ok("{\"cmd\":\"log-level\",\"module\":\"x\"}"));
    cr_assert_not(ok("{\"cmd\":\"log-level\",\"level\":3}"));
    cr_assert_eq(log_get_level(), LOG_WARN);
    cr_assert(ok("{\"cmd\":\"log-level\",\"spec\":\"error\"}"));
    cr_assert_eq(log_get_level(), LOG_ERROR);
}

/* Metrics come as text. */
Test(control_builtins, metrics)
{
    static const struct metric_desc desc = {
        .name = "raia_test_total", .help = "A test.", .type = METRIC_COUNTER};
    struct metric c = {0};
    cr_assert_eq(metric_init(&c, m, &desc, NULL, NULL), 0);
    metric_add(&c, 7);
    struct json *r = ask("{\"cmd\":\"metrics\"}");
    cr_assert_not_null(strstr(json_str(json_get(r, "text")), "raia_test_total 7"));
    json_free(r);
    metric_fini(&c);
}

/* Fault points are armed, listed and cleared. */
Test(control_builtins, fault)
{
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            cr_assert(ok("{\"cmd\":\"fault\",\"spec\":\"control.test.point=error:TIMEOUT\"}"));
        if (i == 2)
            cr_assert(ok("{\"cmd\":\"fault\",\"clear\":true}"));
        cr_assert_eq(FAULT("control.test.point"), i == 1 ? -RAIA_ERR_TIMEOUT : 0);
    }
    struct json *r = ask("{\"cmd\":\"fault\"}");
    cr_assert_str_eq(json_str(json_at(r, "points[0].name")), "control.test.point");
    json_free(r);
    cr_assert_not(ok("{\"cmd\":\"fault\",\"spec\":\"no.such.point=crash\"}"));
}
