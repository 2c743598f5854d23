/* GET /metrics: the cluster's state for Prometheus, under Ray's names where Ray has one. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "rest/rest_impl.h"

#define METRICS_MAX (16u << 20)

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, escaped. */
static void label(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            (void)buf_put_text(b, "\\n");
        else if (*text == '"' || *text == '\\')
            (void)buf_printf(b, "\\%c", *text);
        else
            (void)buf_put_u8(b, (uint8_t)*text);
    }
}

/* Sums over the nodes, by name of resource. */
#define NAMES_MAX 256
struct sums {
    size_t n; /* names so far; further ones are left out */
    struct {
        const char *name;  /* borrowed from a view */
        int64_t total;     /* of all nodes */
        int64_t available; /* of all nodes */
    } of[NAMES_MAX];
};

static void add_view(void *arg, const Raia__Gcs__ResourceReport *view)
{
    struct sums *s = arg;

    for (size_t i = 0; i < view->n_total; i++) {
        const char *name = view->total[i]->name;
        size_t k = 0;

        while (k < s->n && strcmp(s->of[k].name, name) != 0)
            k++;
        if (k == NAMES_MAX)
            continue;
        if (k == s->n) {
            s->of[k].name = name;
            s->of[k].total = s->of[k].available = 0;
            s->n++;
        }
        s->of[k].total += view->total[i]->quantity;
        for (size_t j = 0; j < view->n_available; j++) {
            if (strcmp(view->available[j]->name, name) == 0)
                s->of[k].available += view->available[j]->quantity;
        }
    }
}

static void resource_line(struct buf *b, const char *name, const char *state, int64_t quantity)
{
    (void)buf_put_text(b, "ray_resources{Name=\"");
    label(b, name);
    (void)buf_printf(b, "\",State=\"%s\"} %.4f\n", state, (double)quantity / 10000.0);
}

static void put_resources(struct rest *rest, struct buf *b)
{
    struct sums *s = mem_new(struct sums);

    if (!s)
        return;
    gcs_core_each_view(rest->options.core, add_view, s);
    head(b, "ray_resources", "gauge", "Logical resources of all nodes.");
    for (size_t i = 0; i < s->n; i++) {
        resource_line(b, s->of[i].name, "USED", s->of[i].total - s->of[i].available);
        resource_line(b, s->of[i].name, "AVAILABLE", s->of[i].available);
    }
    mem_free(s);
}

/* One number of the state, shown as it is. */
struct shown {
    struct metric_desc desc;                       /* what it is called */
    const char *state;                             /* label State; NULL: none */
    double (*read)(const struct gcs_stats *stats); /* from the core's numbers */
};

#define SHOWN(fn, expression)                                                                      \
    static double fn(const struct gcs_stats *st)                                                   \
    {                                                                                              \
        return (double)(expression);                                                               \
    }
SHOWN(read_nodes, st->nodes_alive)
SHOWN(read_dead_nodes, st->nodes_dead)
SHOWN(read_jobs, st->jobs_alive)
SHOWN(read_dead_jobs, st->jobs_dead)
SHOWN(read_live, st->submissions_live)
SHOWN(read_ended, st->submissions_ended)
SHOWN(read_sessions, st->sessions)
SHOWN(read_kv, st->kv_bytes)
SHOWN(read_waiting, st->commits_waiting)
SHOWN(read_commits, st->commits)
SHOWN(read_published, st->published)
SHOWN(read_dropped, st->dropped)
SHOWN(read_pending, st->actors[RAIA__GCS__ACTOR_STATE__ACTOR_PENDING])
SHOWN(read_alive, st->actors[RAIA__GCS__ACTOR_STATE__ACTOR_ALIVE])
SHOWN(read_restarting, st->actors[RAIA__GCS__ACTOR_STATE__ACTOR_RESTARTING])
SHOWN(read_dead, st->actors[RAIA__GCS__ACTOR_STATE__ACTOR_DEAD])

#define GAUGE(metric_name, text)                                                                   \
    {                                                                                              \
        .name = (metric_name), .help = (text), .type = METRIC_GAUGE                                \
    }
static const struct shown shown[] = {
    {GAUGE("ray_cluster_active_nodes", "Nodes alive."), NULL, read_nodes},
    {GAUGE("raia_gcs_dead_nodes", "Dead nodes that are remembered."), NULL, read_dead_nodes},
    {GAUGE("ray_running_jobs", "Drivers connected."), NULL, read_jobs},
    {GAUGE("ray_finished_jobs", "Drivers that ended and are remembered."), NULL, read_dead_jobs},
    {GAUGE("raia_gcs_submissions_live", "Submitted jobs, pending or running."), NULL, read_live},
    {GAUGE("raia_gcs_submissions_ended", "Submitted jobs that ended and are remembered."), NULL,
     read_ended},
    {GAUGE("raia_gcs_sessions", "Sessions of raylets, open."), NULL, read_sessions},
    {GAUGE("raia_gcs_kv_bytes", "Bytes of key-value pairs."), NULL, read_kv},
    {GAUGE("raia_gcs_commits_waiting", "Commits that wait for storage."), NULL, read_waiting},
    {GAUGE("raia_gcs_commits", "Commits carried out since the start."), NULL, read_commits},
    {GAUGE("raia_gcs_published", "Publications given to sessions since the start."), NULL,
     read_published},
    {GAUGE("raia_gcs_publications_dropped",
           "Publications dropped since the start, for sessions that read too slowly."),
     NULL, read_dropped},
};
#define N_SHOWN (sizeof shown / sizeof shown[0])

static const struct metric_desc actors_desc = {.name = "ray_gcs_actors_count",
                                               .help = "Actors by state.",
                                               .type = METRIC_GAUGE,
                                               .labels = {"State"},
                                               .max_series = 4};
static const struct shown actors[] = {
    {.state = "PENDING_CREATION", .read = read_pending},
    {.state = "ALIVE", .read = read_alive},
    {.state = "RESTARTING", .read = read_restarting},
    {.state = "DEAD", .read = read_dead},
};
#define N_ACTORS (sizeof actors / sizeof actors[0])

/* A metric and where its value comes from. */
struct source {
    struct metric metric;      /* registered */
    struct rest *rest;         /* whose core */
    const struct shown *shown; /* which number */
};

struct rest_metrics {
    struct metrics *registry;                  /* owned */
    struct source sources[N_SHOWN + N_ACTORS]; /* what is in it */
};

static double read_source(void *ctx)
{
    const struct source *source = ctx;
    struct gcs_stats st;

    gcs_core_get_stats(source->rest->options.core, &st);
    return source->shown->read(&st);
}

int rest_metrics_new(struct rest *rest, struct raia_error *e)
{
    struct rest_metrics *m = mem_new(struct rest_metrics);
    int r = 0;

    if (!m || metrics_new(&m->registry) < 0) {
        mem_free(m);
        return err_set(e, RAIA_ERR_NOMEM, "metrics");
    }
    rest->metrics = m;
    for (size_t i = 0; i < N_SHOWN + N_ACTORS && r == 0; i++) {
        struct source *source = &m->sources[i];

        source->rest = rest;
        source->shown = i < N_SHOWN ? &shown[i] : &actors[i - N_SHOWN];
        r = metric_init(&source->metric, m->registry,
                        i < N_SHOWN ? &source->shown->desc : &actors_desc,
                        i < N_SHOWN ? NULL : (const char *[]){source->shown->state}, e);
        metric_set_source(&source->metric, read_source, source);
    }
    return r;
}

void rest_metrics_free(struct rest *rest)
{
    struct rest_metrics *m = rest->metrics;

    if (!m)
        return;
    for (size_t i = 0; i < N_SHOWN + N_ACTORS; i++)
        metric_fini(&m->sources[i].metric);
    metrics_free(m->registry);
    mem_free(m);
}

struct metrics *rest_registry(const struct rest *rest)
{
    return rest->metrics->registry;
}

void rest_metrics(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    struct buf b;
    size_t size = 0;
    char *text;

    buf_init(&b, METRICS_MAX);
    if (metrics_render(rest->metrics->registry, &b) < 0 && b.err == 0)
        b.err = -RAIA_ERR_NOMEM;
    put_resources(rest, &b);
    text = buf_steal(&b, &size);
    buf_fini(&b);
    http_answer_take(x, 200, "text/plain; version=0.0.4", text, size);
}
