/* Tests of base/metrics.h. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics.h"

static const struct metric_desc counter_desc = {.name = "t_calls_total",
                                                .help = "Calls\nby \\ kind.",
                                                .type = METRIC_COUNTER,
                                                .labels = {"kind", "node"},
                                                .max_series = 2};
static const struct metric_desc gauge_desc = {
    .name = "t_depth", .help = "Depth.", .type = METRIC_GAUGE};
static const double bounds[] = {0.1, 1, 10};
static const struct metric_desc histogram_desc = {.name = "t_wait_seconds",
                                                  .help = "Wait.",
                                                  .type = METRIC_HISTOGRAM,
                                                  .bounds = bounds,
                                                  .n_bounds = 3,
                                                  .labels = {"q"}};
#define REFUSED(n)                                                                                 \
    "# HELP raia_metrics_refused_total Series that were refused because their family was full.\n"  \
    "# TYPE raia_metrics_refused_total counter\n"                                                  \
    "raia_metrics_refused_total " n "\n"

static struct metrics *reg;
static struct buf out;

static void setup(void)
{
    cr_assert_eq(metrics_new(&reg), 0);
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    metrics_free(reg);
    buf_fini(&out);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static const char *render(void)
{
    buf_reset(&out);
    cr_assert_eq(metrics_render(reg, &out), 0);
    return buf_cstr(&out);
}

/* Counters show with escaped help and labels, and are gone when their owner is. */
Test(metrics, counter)
{
    struct metric m = {0};

    cr_assert_eq(metric_init(&m, reg, &counter_desc, (const char *[]){"a\"\\\n", "n"}, NULL), 0);
    metric_add(&m, 2);
    metric_add(&m, 3);
    metric_add(&m, -1);
    cr_assert_eq(metric_value(&m), 5);
    cr_assert_str_eq(render(), "# HELP t_calls_total Calls\\nby \\\\ kind.\n"
                               "# TYPE t_calls_total counter\n"
                               "t_calls_total{kind=\"a\\\"\\\\\\n\",node=\"n\"} 5\n" REFUSED("0"));
    metric_fini(&m);
    metric_fini(&m);
    cr_assert_str_eq(render(), REFUSED("0"));
}

static double seven(void *ctx)
{
    return *(double *)ctx;
}

/* Gauges go up and down, hold any double, and may be asked of a function. */
Test(metrics, gauge)
{
    struct metric m = {0};
    double source = 7;

    cr_assert_eq(metric_init(&m, reg, &gauge_desc, NULL, NULL), 0);
    metric_set(&m, 1.5);
    metric_add(&m, -3);
    cr_assert(strstr(render(), "\nt_depth -1.5\n"));
    metric_set(&m, INFINITY);
    cr_assert(strstr(render(), "\nt_depth +Inf\n"));
    metric_set(&m, NAN);
    cr_assert(strstr(render(), "\nt_depth NaN\n"));
    metric_set_source(&m, seven, &source);
    cr_assert(strstr(render(), "\nt_depth 7\n"));
    metric_fini(&m);
}

/* Buckets are cumulative, a value on a bound counts below it, and sum and count agree. */
Test(metrics, histogram)
{
    struct metric m = {0};
    double values[] = {0.05, 0.1, 0.5, 1, 5, 100};

    cr_assert_eq(metric_init(&m, reg, &histogram_desc, (const char *[]){"x"}, NULL), 0);
    for (int i = 0; i < 6; i++)
        metric_observe(&m, values[i]);
    cr_assert(strstr(render(), "# TYPE t_wait_seconds histogram\n"
                               "t_wait_seconds_bucket{q=\"x\",le=\"0.1\"} 2\n"
                               "t_wait_seconds_bucket{q=\"x\",le=\"1\"} 4\n"
                               "t_wait_seconds_bucket{q=\"x\",le=\"10\"} 5\n"
                               "t_wait_seconds_bucket{q=\"x\",le=\"+Inf\"} 6\n"
                               "t_wait_seconds_sum{q=\"x\"} 106.65\n"
                               "t_wait_seconds_count{q=\"x\"} 6\n"),
              "%s", render());
    metric_fini(&m);
}

/* A full family, twins and bad descriptions are refused; the metric counts all the same. */
Test(metrics, refused)
{
    struct metric a = {0}, b = {0}, twin = {0}, c = {0}, other = {0}, bad = {0};
    struct raia_error e;
    static const struct metric_desc impostor = {
        .name = "t_calls_total", .help = "", .type = METRIC_GAUGE};
    static const struct metric_desc bad_names[] = {
        {.name = "1a", .help = "", .type = METRIC_GAUGE},
        {.name = "a-b", .help = "", .type = METRIC_GAUGE},
        {.name = "", .help = "", .type = METRIC_GAUGE},
        {.name = "a", .help = "", .type = METRIC_GAUGE, .labels = {"a:b"}},
        {.name = "a", .help = "", .type = METRIC_HISTOGRAM},
    };

    cr_assert_eq(metric_init(&a, reg, &counter_desc, (const char *[]){"a", "n"}, &e), 0);
    cr_assert_eq(metric_init(&twin, reg, &counter_desc, (const char *[]){"a", "n"}, &e),
                 -RAIA_ERR_EXISTS);
    cr_assert_eq(metric_init(&b, reg, &counter_desc, (const char *[]){"b", "n"}, &e), 0);
    cr_assert_eq(metric_init(&c, reg, &counter_desc, (const char *[]){"c", "n"}, &e),
                 -RAIA_ERR_LIMIT);
    cr_assert_eq(metric_init(&other, reg, &impostor, NULL, &e), -RAIA_ERR_EXISTS);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(metric_init(&bad, reg, &bad_names[i], NULL, &e), -RAIA_ERR_INVALID, "%d", i);
    metric_add(&c, 1);
    cr_assert_eq(metric_value(&c), 1);
    cr_assert(strstr(render(), REFUSED("1")));
    cr_assert_null(strstr(render(), "kind=\"c\""));
    metric_fini(&a);
    metric_fini(&twin);
    cr_assert_eq(metric_init(&twin, reg, &counter_desc, (const char *[]){"a", "n"}, &e), -0, "%s",
                 e.text);
    metric_fini(&b);
    metric_fini(&c);
    metrics_free(STEAL(reg));
    metric_add(&twin, 1);
    metric_fini(&twin);
    metric_fini(&other);
}

/* A value longer than allowed is cut at a whole character. */
Test(metrics, long_label)
{
    char value[METRIC_LABEL_MAX + 10];
    struct metric m = {0};

    memset(value, 'x', sizeof value);
    memcpy(value + METRIC_LABEL_MAX - 1, "\xc3\xa4", 3);
    cr_assert_eq(metric_init(&m, reg, &counter_desc, (const char *[]){value, "n"}, NULL), 0);
    cr_assert(strstr(render(), "xxx\",node=\"n\"} 0\n"));
    metric_fini(&m);
}

static struct metric shared;

static void *add_many(void *arg)
{
    for (int i = 0; i < 10000; i++)
        metric_add(&shared, 1);
    return arg;
}

/* No addition is lost between threads. */
Test(metrics, threads)
{
    pthread_t threads[3];

    cr_assert_eq(metric_init(&shared, reg, &gauge_desc, NULL, NULL), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(metric_value(&shared), 30000);
    metric_fini(&shared);
}

/* Whichever allocation fails, it is reported, counting is safe, and nothing is half registered. */
Test(metrics, nth_allocation_fails)
{
    for (uint64_t n = 1;; n++) {
        struct metrics *r = NULL;
        struct metric m = {0};
        mem_fail_nth(n);
        int err = metrics_new(&r);
        if (err == 0)
            err = metric_init(&m, r, &histogram_desc, (const char *[]){"x"}, NULL);
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(err, reached ? -RAIA_ERR_NOMEM : 0);
        metric_observe(&m, 1);
        if (r) {
            buf_reset(&out);
            cr_assert_eq(metrics_render(r, &out), 0);
            cr_assert_eq(!!strstr(buf_cstr(&out), "t_wait"), !reached);
        }
        metric_fini(&m);
        metrics_free(r);
        if (!reached)
            break;
    }
}
