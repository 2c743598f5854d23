/*
 * Counters, gauges and histograms, owned by the objects that count, and rendered for Prometheus.
 *
 *     static const struct metric_desc leases_desc = {
 *         .name = "raia_leases_total", .help = "Leases by outcome.", .type = METRIC_COUNTER,
 *         .labels = {"outcome"}, .max_series = 8,
 *     };
 *     struct metric granted = {0};                       // a member of the object
 *     metric_init(&granted, registry, &leases_desc, (const char *[]){"granted"}, NULL);
 *     metric_add(&granted, 1);
 *     metric_fini(&granted);                             // before the object goes
 *     r = metrics_render(registry, &buf);                // text format 0.0.4
 *
 * A metric counts from metric_init on whatever that returned: one that could not be registered is
 * only not shown. So its failure may be ignored where showing it does not matter.
 *
 * Bounds: a family has at most max_series series (the next one is refused, and counted in
 * raia_metrics_refused_total); label values are cut at METRIC_LABEL_MAX bytes.
 *
 * Ownership: the registry knows metrics, it does not own them; descs are static. Threads: counting
 * from any thread (relaxed atomics); init, fini and render too (a mutex). Failure: init: -LIMIT,
 * -EXISTS (the same labels twice, or one name with two descs), -INVALID, -NOMEM.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"
#include "raia/error.h"

struct buf;
struct metrics; /* a registry */
struct metric_family;

#define METRIC_LABELS_MAX 4
#define METRIC_LABEL_MAX  128
#define METRIC_BOUNDS_MAX 64

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_desc {
    const char *name; /* [a-zA-Z_:][a-zA-Z0-9_:]*; with its unit, in SI units */
    const char *help; /* a sentence */
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX]; /* names; the first NULL ends them */
    unsigned max_series;                   /* 0 counts as 1 */
    const double *bounds;                  /* histogram: upper bounds, ascending, +Inf left out */
    unsigned n_bounds;                     /* of them, at most METRIC_BOUNDS_MAX */
};

/* Gives the value of a gauge when it is shown; called with the registry's mutex held. */
typedef double (*metric_read_fn)(void *ctx);

struct metric {
    const struct metric_desc *desc; /* NULL: zeroed; counting is lost */
    struct metrics *registry;       /* NULL: not registered */
    struct metric_family *family;   /* private */
    struct list link;               /* private: in the family */
    char *labels;                   /* private: rendered, a="b",c="d" */
    _Atomic uint64_t count;         /* a counter's value; observations of a histogram */
    _Atomic uint64_t bits;          /* a gauge's value, the sum of a histogram: bits of a double */
    _Atomic uint64_t *buckets;      /* of a histogram, n_bounds + 1; NULL if out of memory */
    metric_read_fn read;            /* a gauge's source; NULL: bits */
    void *read_ctx;                 /* for read */
};

int metrics_new(struct metrics **ret_m);
/* Metrics still registered go on counting, unregistered. Accepts NULL. */
void metrics_free(struct metrics *m);
int metrics_render(struct metrics *m, struct buf *b);

/*
 * m is zeroed (one that failed is ended first); registry NULL: only count; values: as many as the
 * desc has labels (NULL if none).
 */
int metric_init(struct metric *m, struct metrics *registry, const struct metric_desc *desc,
                const char *const *values, struct raia_error *e);
/* Accepts a zeroed one, and one that was ended. */
void metric_fini(struct metric *m);

/* A counter, or a gauge (as an integer would: n may be negative for those only). */
void metric_add(struct metric *m, int64_t n);
/* A gauge. */
void metric_set(struct metric *m, double v);
/* A gauge whose value is asked for when shown. Set before others may render. */
void metric_set_source(struct metric *m, metric_read_fn read, void *ctx);
/* A histogram. */
void metric_observe(struct metric *m, double v);
/* What a counter or gauge stands at; a histogram's sum. */
double metric_value(const struct metric *m);

/* Bounds for latencies in seconds: 100 us to 60 s. */
extern const double metric_latency_bounds[];
#define METRIC_LATENCY_BOUNDS_N 18

#endif
