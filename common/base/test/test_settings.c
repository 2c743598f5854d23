/* Tests of base/settings.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/settings.h"

struct opts {
    bool head;
    int64_t cpus;
    uint64_t memory;
    int64_t beat_ns;
    double share;
    char *name;
};

static const struct setting list[] = {
    SETTING_BOOL(struct opts, head, "head", "false", "Be the head."),
    SETTING_INT(struct opts, cpus, "num-cpus", "2", "0", "1000", "cores", "CPUs | cores."),
    SETTING_SIZE(struct opts, memory, "object-store-memory", "2GiB", "64MiB", NULL, "Store."),
    SETTING_DURATION(struct opts, beat_ns, "beat", "500ms", NULL, "1h", "Heartbeat."),
    SETTING_DOUBLE(struct opts, share, "share", "0.5", "0", "1", NULL, "Share."),
    SETTING_STRING(struct opts, name, "name", "", "Name."),
};
static const struct settings_table table = SETTINGS_TABLE("raia-test", list);

static struct opts o;
static struct raia_error e;

static void setup(void)
{
    cr_assert_eq(settings_defaults(&table, &o, &e), 0, "%s", e.text);
}

static void teardown(void)
{
    settings_fini(&table, &o);
    settings_fini(&table, &o);
}

TestSuite(settings, .init = setup, .fini = teardown);

static int parse(const char *a, const char *b, const char *c, int *ret_rest, bool *ret_help)
{
    const char *argv[] = {"raia-test", a, b, c, NULL};
    int argc = 1;

    while (argv[argc])
        argc++;
    return settings_from_args(&table, &o, argc, (char *const *)(uintptr_t)argv, ret_rest, ret_help,
                              &e);
}

/* Defaults are those of the table, and show as text that means the same. */
Test(settings, defaults)
{
    struct buf b;

    cr_assert(!o.head && o.cpus == 2 && o.memory == UINT64_C(2) << 30);
    cr_assert(o.beat_ns == 500000000 && o.share == 0.5);
    cr_assert_str_eq(o.name, "");
    buf_init(&b, 1000);
    for (size_t i = 0; i < table.n; i++) {
        settings_put_value(&list[i], &o, &b);
        buf_put_u8(&b, ';');
    }
    cr_assert_str_eq(buf_cstr(&b), "false;2;2GiB;500ms;0.5;;");
    buf_fini(&b);
}

/* Flags in both forms; reading stops where it should. */
Test(settings, args)
{
    int rest;
    bool help;

    cr_assert_eq(parse("--num-cpus", "8", "--object-store-memory=1GiB", &rest, &help), 0);
    cr_assert(o.cpus == 8 && o.memory == UINT64_C(1) << 30 && rest == 4 && !help);
    cr_assert_eq(parse("--head", "run", "--num-cpus", &rest, &help), 0);
    cr_assert(o.head && rest == 2);
    cr_assert_eq(parse("--head=false", "--", "--num-cpus", &rest, &help), 0);
    cr_assert(!o.head && rest == 3);
    cr_assert_eq(parse("--name", "--x", NULL, &rest, &help), 0);
    cr_assert_str_eq(o.name, "--x");
    cr_assert_eq(parse("--help", "--bad", NULL, &rest, &help), 0);
    cr_assert(help);
    cr_assert_eq(parse("-", NULL, NULL, &rest, &help), 0);
    cr_assert_eq(rest, 1);
}

/* An error names the flag, the value and what is accepted, and changes nothing of that setting. */
Test(settings, bad_args)
{
    int rest;
    bool help;
    struct {
        const char *a, *b, *text;
    } bad[] = {
        {"--num-cpus", "many",
         "--num-cpus: 'many' is not accepted: want a whole number, 0 to 1000"},
        {"--num-cpus", "1001",
         "--num-cpus: '1001' is not accepted: want a whole number, 0 to 1000"},
        {"--num-cpus=-1", NULL, "--num-cpus: '-1' is not accepted: want a whole number, 0 to 1000"},
        {"--object-store-memory", "1",
         "--object-store-memory: '1' is not accepted: want a size such "
         "as 64MiB, at least 64MiB"},
        {"--beat", "2h",
         "--beat: '2h' is not accepted: want a duration such as 500ms or 2s, at most "
         "1h"},
        {"--share", "1.01", "--share: '1.01' is not accepted: want a number, 0 to 1"},
        {"--head=maybe", NULL, "--head: 'maybe' is not accepted: want true or false"},
        {"--name", NULL, "--name: its value is missing: want a text"},
        {"--nam=1", NULL, "--nam: there is no such flag (see --help)"},
        {"-x", NULL, "-x: there is no such flag (see --help)"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(parse(bad[i].a, bad[i].b, NULL, &rest, &help), -RAIA_ERR_INVALID);
        cr_assert_str_eq(e.text, bad[i].text);
    }
    cr_assert(o.cpus == 2 && o.beat_ns == 500000000);
}

/* The environment sets by upper-case name; others' variables are left alone; errors name them. */
Test(settings, environment)
{
    const char *env[] = {"RAIA_NUM_CPUS=3", "RAIA_NUM_CPUSX=9", "NUM_CPUS=7", "RAIA_NAME=a=b",
                         NULL};
    const char *bad[] = {"RAIA_BEAT=5", NULL};

    cr_assert_eq(settings_from_env(&table, &o, env, &e), 0);
    cr_assert_eq(o.cpus, 3);
    cr_assert_str_eq(o.name, "a=b");
    cr_assert_eq(settings_from_env(&table, &o, bad, &e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "RAIA_BEAT: '5'"), "%s", e.text);
    cr_assert_eq(settings_set(&table, &o, "none", "1", "field none", &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_eq(settings_set(&table, &o, "num-cpus", "4", "field num-cpus", &e), 0);
    cr_assert_eq(o.cpus, 4);
}

/* Help and documentation mention every setting, its default and its bounds. */
Test(settings, texts)
{
    struct buf b;

    buf_init(&b, 10000);
    cr_assert_eq(settings_put_help(&table, &b), 0);
    for (size_t i = 0; i < table.n; i++) {
        char flag[64];
        snprintf(flag, sizeof flag, "\n  --%s", list[i].name);
        cr_assert(strstr(buf_cstr(&b), flag), "%s", flag);
    }
    cr_assert(strstr(buf_cstr(&b), "default 2 cores; accepted: 0 to 1000; environment "
                                   "RAIA_NUM_CPUS\n"));
    buf_reset(&b);
    cr_assert_eq(settings_put_markdown(&table, &b), 0);
    cr_assert(strstr(buf_cstr(&b), "| `--num-cpus` | integer, cores | `2` | 0 to 1000 | CPUs \\| "
                                   "cores. |\n"));
    buf_fini(&b);
    buf_init(&b, 100);
    cr_assert_eq(settings_put_help(&table, &b), -RAIA_ERR_LIMIT);
    buf_fini(&b);
}

/* Whichever allocation fails, it is reported and what was set can be freed. */
Test(settings, nth_allocation_fails)
{
    const char *env[] = {"RAIA_NAME=x", NULL};

    for (uint64_t n = 1;; n++) {
        struct opts p = {0};
        mem_fail_nth(n);
        int r = settings_defaults(&table, &p, &e);
        if (r == 0)
            r = settings_from_env(&table, &p, env, &e);
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(r, reached ? -RAIA_ERR_NOMEM : 0);
        settings_fini(&table, &p);
        if (!reached)
            break;
    }
}

/* A daemon's whole reading: flags win over the environment, help ends it, and a word left over is named. */
Test(settings, read_all)
{
    struct opts p = {0};
    bool help = false;
    char *flags[] = {"raia-test", "--num-cpus=7", NULL};
    char *asks[] = {"raia-test", "--help", "word", NULL};
    char *left[] = {"raia-test", "--head", "word", NULL};

    setenv("RAIA_NUM_CPUS", "5", 1);
    setenv("RAIA_NAME", "env", 1);
    cr_assert_eq(settings_read(&table, &p, 2, flags, &help, &e), 0, "%s", e.text);
    cr_assert(p.cpus == 7 && strcmp(p.name, "env") == 0 && p.share == 0.5 && !help);
    cr_assert_eq(settings_read(&table, &p, 3, asks, &help, &e), 0);
    cr_assert(help);
    help = false;
    cr_assert_eq(settings_read(&table, &p, 3, left, &help, &e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "'word' is not a flag"));
    settings_fini(&table, &p);
}
