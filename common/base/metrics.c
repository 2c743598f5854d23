/*
 * The registry: families by name, each a list of series, under one mutex; counting is atomic.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

/* A series' labels, rendered: names, quotes, and values of which each byte may be escaped. */
#define LABELS_TEXT_MAX 4096

struct metric_family {
    const struct metric_desc *desc;
    const char *name;   /* the desc's; key of the table */
    struct list series; /* of struct metric, in order of registration */
    unsigned n;         /* of them */
    HASH_HANDLE hh;
};

struct metrics {
    pthread_mutex_t lock;           /* guards all but the values */
    struct metric_family *families; /* by name */
    struct metric refused;          /* series that were refused; not in a family */
};

const double metric_latency_bounds[METRIC_LATENCY_BOUNDS_N] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

static const struct metric_desc refused_desc = {
    .name = "raia_metrics_refused_total",
    .help = "Series that were refused because their family was full.",
    .type = METRIC_COUNTER,
};

static double bits_double(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t double_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

int metrics_new(struct metrics **ret_m)
{
    struct metrics *m = mem_new(struct metrics);

    if (!m)
        return -RAIA_ERR_NOMEM;
    pthread_mutex_init(&m->lock, NULL);
    m->refused.desc = &refused_desc;
    *ret_m = m;
    return 0;
}

/* With the lock held. */
static void unregister(struct metric *m)
{
    list_del(&m->link);
    m->family->n--;
    m->registry = NULL;
    m->family = NULL;
}

void metrics_free(struct metrics *m)
{
    struct metric_family *f, *next;

    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    HASH_FOREACH (m->families, f, next) {
        struct metric *s, *after;
        LIST_FOREACH_SAFE (s, after, &f->series, link)
            unregister(s);
        HASH_DEL(m->families, f);
        mem_free(f);
    }
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

static bool name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* Labels have the same names as metrics but for ':'. */
static bool name_valid(const char *name, bool colon)
{
    for (const char *p = name; p && *p; p++)
        if (!name_char(*p, p == name) && !(colon && *p == ':'))
            return false;
    return name && *name;
}

static int desc_check(const struct metric_desc *d, struct raia_error *e)
{
    bool ok = name_valid(d->name, true) && d->help;

    for (unsigned i = 0; i < METRIC_LABELS_MAX && d->labels[i]; i++)
        ok = ok && name_valid(d->labels[i], false) && strcmp(d->labels[i], "le");
    if (d->type == METRIC_HISTOGRAM) {
        ok = ok && d->bounds && d->n_bounds && d->n_bounds <= METRIC_BOUNDS_MAX;
        for (unsigned i = 1; ok && i < d->n_bounds; i++)
            ok = d->bounds[i - 1] < d->bounds[i];
    }
    return ok ? 0
              : err_set(e, RAIA_ERR_INVALID, "metric '%s': bad name, label, help or bounds",
                        d->name ? d->name : "");
}

/* Cuts at a whole character. */
static size_t value_size(const char *value)
{
    size_t n = strnlen(value, METRIC_LABEL_MAX + 1);

    if (n <= METRIC_LABEL_MAX)
        return n;
    for (n = METRIC_LABEL_MAX; n && ((unsigned char)value[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

static char *render_labels(const struct metric_desc *d, const char *const *values)
{
    struct buf b;
    char *text;

    buf_init(&b, LABELS_TEXT_MAX);
    for (unsigned i = 0; i < METRIC_LABELS_MAX && d->labels[i]; i++) {
        const char *v = values[i] ? values[i] : "";
        size_t n = value_size(v);
        buf_printf(&b, "%s%s=\"", i ? "," : "", d->labels[i]);
        for (size_t k = 0; k < n; k++) {
            if (v[k] == '\\' || v[k] == '"' || v[k] == '\n')
                buf_put_u8(&b, '\\');
            buf_put_u8(&b, v[k] == '\n' ? 'n' : (uint8_t)v[k]);
        }
        buf_put_u8(&b, '"');
    }
    text = buf_steal(&b, NULL);
    buf_fini(&b);
    return text;
}

/* With the lock held. */
static int family_get(struct metrics *reg, const struct metric_desc *d,
                      struct metric_family **ret_f, struct raia_error *e)
{
    struct metric_family *f = HASH_GET_STR(reg->families, d->name);

    if (f && f->desc != d)
        return err_set(e, RAIA_ERR_EXISTS, "metric '%s': the name has another description",
                       d->name);
    if (!f) {
        f = mem_new(struct metric_family);
        if (!f)
            return err_set(e, RAIA_ERR_NOMEM, "metric '%s': out of memory", d->name);
        f->desc = d;
        f->name = d->name;
        list_init(&f->series);
        if (HASH_PUT_STR(reg->families, name, f) < 0) {
            mem_free(f);
            return err_set(e, RAIA_ERR_NOMEM, "metric '%s': out of memory", d->name);
        }
    }
    *ret_f = f;
    return 0;
}

/* With the lock held. */
static int add_series(struct metrics *reg, struct metric *m, struct raia_error *e)
{
    struct metric_family *f = NULL;
    struct metric *other;
    int r = family_get(reg, m->desc, &f, e);

    if (r < 0)
        return r;
    LIST_FOREACH (other, &f->series, link)
        if (!strcmp(other->labels, m->labels))
            return err_set(e, RAIA_ERR_EXISTS, "metric '%s{%s}' is registered already", f->name,
                           m->labels);
    if (f->n >= (m->desc->max_series ? m->desc->max_series : 1)) {
        metric_add(&reg->refused, 1);
        return err_set(e, RAIA_ERR_LIMIT, "metric '%s' has %u series already", f->name, f->n);
    }
    list_add_tail(&f->series, &m->link);
    f->n++;
    m->family = f;
    m->registry = reg;
    return 0;
}

int metric_init(struct metric *m, struct metrics *registry, const struct metric_desc *desc,
                const char *const *values, struct raia_error *e)
{
    int r = desc_check(desc, e);

    if (r < 0)
        return r;
    *m = (struct metric){.desc = desc};
    if (desc->type == METRIC_HISTOGRAM) {
        m->buckets = mem_calloc(desc->n_bounds + 1, sizeof *m->buckets);
        if (!m->buckets)
            return err_set(e, RAIA_ERR_NOMEM, "metric '%s': out of memory", desc->name);
    }
    if (!registry)
        return 0;
    if (desc->labels[0] && !values)
        return err_set(e, RAIA_ERR_INVALID, "metric '%s': its labels have no values", desc->name);
    m->labels = render_labels(desc, values);
    if (!m->labels)
        return err_set(e, RAIA_ERR_NOMEM, "metric '%s': out of memory", desc->name);
    pthread_mutex_lock(&registry->lock);
    r = add_series(registry, m, e);
    pthread_mutex_unlock(&registry->lock);
    return r;
}

void metric_fini(struct metric *m)
{
    struct metrics *registry = m->registry;

    if (registry) {
        pthread_mutex_lock(&registry->lock);
        unregister(m);
        pthread_mutex_unlock(&registry->lock);
    }
    mem_free(m->labels);
    mem_free((void *)m->buckets);
    *m = (struct metric){0};
}

static void bits_add(_Atomic uint64_t *bits, double n)
{
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(bits, &old, double_bits(bits_double(old) + n),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_add(struct metric *m, int64_t n)
{
    if (m->desc && m->desc->type == METRIC_GAUGE)
        bits_add(&m->bits, (double)n);
    else if (n > 0)
        atomic_fetch_add_explicit(&m->count, (uint64_t)n, memory_order_relaxed);
}

void metric_set(struct metric *m, double v)
{
    atomic_store_explicit(&m->bits, double_bits(v), memory_order_relaxed);
}

void metric_set_source(struct metric *m, metric_read_fn read, void *ctx)
{
    m->read_ctx = ctx;
    m->read = read;
}

void metric_observe(struct metric *m, double v)
{
    unsigned i = 0;

    if (!m->buckets)
        return;
    while (i < m->desc->n_bounds && v > m->desc->bounds[i])
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    bits_add(&m->bits, v);
}

double metric_value(const struct metric *m)
{
    if (m->desc && m->desc->type == METRIC_COUNTER)
        return (double)atomic_load_explicit(&m->count, memory_order_relaxed);
    if (m->read)
        return m->read(m->read_ctx);
    return bits_double(atomic_load_explicit(&m->bits, memory_order_relaxed));
}

static void put_number(struct buf *b, double v)
{
    char text[STR_NUMBER_MAX];

    if (v != v)
        buf_put_text(b, "NaN");
    else if (v - v != 0)
        buf_put_text(b, v > 0 ? "+Inf" : "-Inf");
    else
        buf_put_text(b, str_from_double(v, text));
}

static void put_sample(struct buf *b, const char *name, const char *suffix, const char *labels)
{
    buf_printf(b, "%s%s", name, suffix);
    if (labels && labels[0])
        buf_printf(b, "{%s}", labels);
    buf_put_u8(b, ' ');
}

/* The count is the sum of the buckets as they are read, so that the two always agree. */
static void put_histogram(struct buf *b, const struct metric *m)
{
    const struct metric_desc *d = m->desc;
    uint64_t total = 0;

    for (unsigned i = 0; i <= d->n_bounds; i++) {
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        buf_printf(b, "%s_bucket{%s%sle=\"", d->name, m->labels, m->labels[0] ? "," : "");
        if (i < d->n_bounds)
            put_number(b, d->bounds[i]);
        else
            buf_put_text(b, "+Inf");
        buf_printf(b, "\"} %" PRIu64 "\n", total);
    }
    put_sample(b, d->name, "_sum", m->labels);
    put_number(b, metric_value(m));
    buf_put_u8(b, '\n');
    put_sample(b, d->name, "_count", m->labels);
    buf_printf(b, "%" PRIu64 "\n", total);
}

static void put_series(struct buf *b, const struct metric *m)
{
    if (m->desc->type == METRIC_HISTOGRAM) {
        put_histogram(b, m);
        return;
    }
    put_sample(b, m->desc->name, "", m->labels);
    if (m->desc->type == METRIC_COUNTER)
        buf_printf(b, "%" PRIu64, atomic_load_explicit(&m->count, memory_order_relaxed));
    else
        put_number(b, metric_value(m));
    buf_put_u8(b, '\n');
}

static void put_head(struct buf *b, const struct metric_desc *d)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

    buf_printf(b, "# HELP %s ", d->name);
    for (const char *p = d->help; *p; p++) {
        if (*p == '\\' || *p == '\n')
            buf_put_u8(b, '\\');
        buf_put_u8(b, *p == '\n' ? 'n' : (uint8_t)*p);
    }
    buf_printf(b, "\n# TYPE %s %s\n", d->name, types[d->type]);
}

int metrics_render(struct metrics *m, struct buf *b)
{
    struct metric_family *f, *next;
    struct metric *s;

    pthread_mutex_lock(&m->lock);
    HASH_FOREACH (m->families, f, next) {
        if (list_empty(&f->series))
            continue;
        put_head(b, f->desc);
        LIST_FOREACH (s, &f->series, link)
            put_series(b, s);
    }
    pthread_mutex_unlock(&m->lock);
    put_head(b, m->refused.desc);
    put_series(b, &m->refused);
    return b->err;
}
