/* Tests of base/log.h. */
#include <criterion/criterion.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

#define LOG_MODULE "raylet.workers"
#include "base/log.h"

struct capture {
    struct log_sink sink;
    char text[3 * LOG_LINE_MAX];
    unsigned lines;
};

static struct capture got;

static void capture_write(struct log_sink *sink, const char *line, size_t size)
{
    struct capture *c = (struct capture *)sink;

    cr_assert_lt(size, sizeof c->text);
    memcpy(c->text, line, size);
    c->text[size] = '\0';
    c->lines++;
    errno = EIO;
}

static void setup(void)
{
    got = (struct capture){.sink = {.write = capture_write}};
    log_set_level(LOG_INFO);
    log_clear_module_levels();
    log_set_sink(&got.sink);
}

TestSuite(log, .init = setup);

/* A line has time, level, module, message and tail, and errno survives it. */
Test(log, format)
{
    regex_t want;
    cr_assert_eq(regcomp(&want,
                         "^ts=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                         "level=info module=raylet.workers msg=\"worker exited\" pid=7 node=ab\n$",
                         REG_EXTENDED | REG_NOSUB),
                 0);
    errno = ENOENT;
    log_info("worker exited", "pid=%d node=%s", 7, "ab");
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(regexec(&want, got.text, 0, NULL, 0), 0, "%s", got.text);
    regfree(&want);
    log_warn("bare");
    cr_assert(strstr(got.text, "level=warn module=raylet.workers msg=\"bare\"\n"));
}

/* Nothing that is logged can make a second line or break out of its quotes. */
Test(log, escapes)
{
    log_info("x", "a=%s b=%s", "1\n2\x01", LOG_Q("say \"hi\"\n\\"));
    cr_assert(strstr(got.text, "a=1\\n2\\x01 b=\"say \\\"hi\\\"\\n\\\\\"\n"), "%s", got.text);
    cr_assert_eq(strchr(got.text, '\n'), got.text + strlen(got.text) - 1);
    log_info("x", "a=%s", LOG_Q(NULL));
    cr_assert(strstr(got.text, "a=\"(null)\""));
}

/* Long lines and long quoted values are cut, and still end as they should. */
Test(log, cut)
{
    char big[2 * LOG_LINE_MAX];
    memset(big, '\n', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_info("x", "a=%s", big);
    cr_assert_leq(strlen(got.text), LOG_LINE_MAX);
    cr_assert_eq(got.text[strlen(got.text) - 1], '\n');
    log_info("x", "a=%s", LOG_Q(big));
    cr_assert(strstr(got.text, "...\"\n"));
}

/* The level can be changed live, for all and for one module and those below it. */
Test(log, levels)
{
    log_debug("off");
    cr_assert_eq(got.lines, 0);
    cr_assert_eq(log_set_module_level("raylet", LOG_DEBUG), 0);
    log_debug("on");
    cr_assert_eq(got.lines, 1);
    LOG(LOG_DEBUG, "rayletx", "off");
    LOG(LOG_DEBUG, "gcs", "off");
    cr_assert_eq(got.lines, 1);
    cr_assert_eq(log_set_module_level("raylet.workers", LOG_ERROR), 0);
    log_warn("off");
    LOG(LOG_DEBUG, "raylet.pull", "on");
    cr_assert_eq(got.lines, 2);
    log_clear_module_levels();
    log_set_level(LOG_OFF);
    log_error("off");
    cr_assert_eq(got.lines, 2);
}

/* A configuration text is applied whole or not at all, and the error names the bad word. */
Test(log, configure)
{
    struct raia_error e;
    char many[4096] = "info";

    cr_assert_eq(log_configure("warn,raylet=debug,gcs=off", &e), 0);
    cr_assert_eq(log_get_level(), LOG_WARN);
    cr_assert(log_enabled("raylet.x", LOG_DEBUG));
    cr_assert(!log_enabled("gcs", LOG_ERROR));
    cr_assert_eq(log_configure("info,raylet=loud", &e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "'loud'"));
    cr_assert_eq(log_get_level(), LOG_WARN);
    cr_assert_eq(log_configure("", &e), -RAIA_ERR_INVALID);
    cr_assert_eq(log_configure("=info", &e), -RAIA_ERR_INVALID);
    for (int i = 0; i <= LOG_OVERRIDES_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), ",m%d=info", i);
    cr_assert_eq(log_configure(many, &e), -RAIA_ERR_LIMIT);
    cr_assert(log_enabled("raylet.x", LOG_DEBUG));
    cr_assert_eq(log_configure("warning", &e), 0);
    cr_assert(!log_enabled("raylet.x", LOG_DEBUG));
}

/* A rate-limited place writes once in an interval and says how many it left out. */
Test(log, rate_limit)
{
    struct log_rl rl = {0};
    uint64_t n = 99;

    cr_assert(log_rl_pass(&rl, 1000, &n));
    cr_assert_eq(n, 0);
    cr_assert(!log_rl_pass(&rl, 1001, &n));
    cr_assert(!log_rl_pass(&rl, 1000 + LOG_RL_INTERVAL_NS - 1, &n));
    cr_assert(log_rl_pass(&rl, 1000 + LOG_RL_INTERVAL_NS, &n));
    cr_assert_eq(n, 2);
    for (int i = 0; i < 3; i++)
        log_warn_rl("slow", "disk=%s", "a");
    cr_assert_eq(got.lines, 1);
    cr_assert(strstr(got.text, "msg=\"slow\" suppressed=0 disk=a\n"), "%s", got.text);
    log_warn_rl("bare");
    cr_assert(strstr(got.text, "msg=\"bare\" suppressed=0\n"), "%s", got.text);
}
