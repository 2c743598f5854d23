/* GET /metrics: the cluster's state for Prometheus, under Ray's names where Ray has one. */
#include <string.h>

#include "base/mem.h"
#include "rest/rest_impl.h"

#define METRICS_MAX (16u << 20)

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
    head(b, name, "gauge", help);
    (void)buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

static void counter(struct buf *b, const char *name, const char *help, uint64_t value)
{
    head(b, name, "counter", help);
    (void)buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
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

static void put_stats(struct rest *rest, struct buf *b)
{
    static const char *const states[4] = {"PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD"};
    struct gcs_stats st;
    struct http_server_stats http;

    gcs_core_get_stats(rest->options.core, &st);
    http_server_get_stats(rest->server, &http);
    head(b, "ray_gcs_actors_count", "gauge", "Actors by state.");
    for (int i = 0; i < 4; i++)
        (void)buf_printf(b, "ray_gcs_actors_count{State=\"%s\"} %zu\n", states[i], st.actors[i]);
    gauge(b, "ray_cluster_active_nodes", "Nodes alive.", st.nodes_alive);
    gauge(b, "ray_running_jobs", "Drivers connected.", st.jobs_alive);
    gauge(b, "ray_finished_jobs", "Drivers that ended and are remembered.", st.jobs_dead);
    gauge(b, "raia_gcs_submissions_live", "Submitted jobs, pending or running.",
          st.submissions_live);
    gauge(b, "raia_gcs_submissions_ended", "Submitted jobs that ended and are remembered.",
          st.submissions_ended);
    gauge(b, "raia_gcs_dead_nodes", "Dead nodes that are remembered.", st.nodes_dead);
    gauge(b, "raia_gcs_sessions", "Sessions of raylets, open.", st.sessions);
    gauge(b, "raia_gcs_kv_bytes", "Bytes of key-value pairs.", st.kv_bytes);
    gauge(b, "raia_gcs_package_bytes", "Bytes of packages.", rest->options.packages->bytes);
    gauge(b, "raia_gcs_commits_waiting", "Commits that wait for storage.", st.commits_waiting);
    counter(b, "raia_gcs_commits_total", "Commits carried out.", st.commits);
    counter(b, "raia_gcs_published_total", "Publications given to sessions.", st.published);
    counter(b, "raia_gcs_publications_dropped_total",
            "Publications dropped for sessions that read too slowly.", st.dropped);
    counter(b, "raia_gcs_http_requests_total", "Requests to the REST API.", http.requests);
    counter(b, "raia_gcs_http_refused_total", "Requests refused: no token, no route, too large.",
            http.refused);
}

void rest_metrics(struct http_exchange *x, void *arg)
{
    struct rest *rest = arg;
    struct buf b;
    size_t size = 0;
    char *text;

    buf_init(&b, METRICS_MAX);
    put_stats(rest, &b);
    put_resources(rest, &b);
    text = buf_steal(&b, &size);
    buf_fini(&b);
    http_answer_take(x, 200, "text/plain; version=0.0.4", text, size);
}
