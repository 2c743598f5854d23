/*
 * Certificates of a cluster that lives past their end: the controller wakes by itself when they are to
 * be replaced, and no node is given one whose authority the others have not trusted for long enough,
 * whenever the operator dies (core/sim/opsim.h).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/raycluster.h"
#include "core/sim/opsim.h"
#include "fake_maker.h"
#include "kube/wall_time.h"

#define SECRETS     "/api/v1/secrets"
#define ROOT        "/api/v1/namespaces/d/secrets/"
#define DAY_MS      INT64_C(86400000)
#define SOON_MS     60000 /* they are to be replaced then */
#define STEPS       50    /* of 40 s: twice as long as trust takes to spread, and more */
#define AUTHORITIES 256

static const struct operator_config config = {.raia_image = "raia.io/raia:dev",
                                              .cluster_domain = "x",
                                              .version = "1",
                                              .tls = true,
                                              .node_lost_ns = 30 * CLOCK_NS_PER_S,
                                              .backoff_max_ns = 300 * CLOCK_NS_PER_S,
                                              .restarts_max = 5};
static const char *const names[] = {"demo-raia-tls-head", "demo-raia-tls-worker"};

/* What the nodes have, of the world that is simulated now. */
static struct {
    int64_t trusted[2][AUTHORITIES]; /* ns: since when, by the number of the authority; 0: not */
    unsigned leaf[2];                /* the authority of their certificates; 0: none yet */
    int64_t due_ms;                  /* unix time: they are to be replaced */
    bool told;                       /* that they end soon */
} nodes;

static const char *text_of(struct opsim *w, const char *name, const char *path)
{
    const char *v = json_str(json_at(kube_model_get(opsim_model(w), SECRETS, "d", name), path));

    return v ? v : "";
}

/* After each write. While the cluster has no pods yet any authority will do. */
static int always(struct opsim *w)
{
    struct sim *s = opsim_sim(w);

    for (int i = 0; i < 2; i++) {
        const char *ca = text_of(w, names[i], "data[\"ca.pem\"]");
        const char *leaf = strrchr(text_of(w, names[i], "data[\"node.pem\"]"), ' ');
        unsigned n = leaf ? (unsigned)atoi(leaf) : 0;

        for (unsigned a = 1; a < AUTHORITIES; a++) {
            char line[32];
            snprintf(line, sizeof line, "cert of ca %u\n", a);
            if (!strstr(ca, line))
                nodes.trusted[i][a] = 0;
            else if (!nodes.trusted[i][a])
                nodes.trusted[i][a] = sim_now(s);
        }
        if (n >= AUTHORITIES)
            sim_fail(s, "authority %u", n);
        else if (nodes.due_ms && n != nodes.leaf[i])
            for (int other = 0; other < 2; other++) {
                int64_t since = nodes.trusted[other][n];
                if (!since || sim_now(s) - since < SECRET_SPREAD_NS)
                    sim_fail(s, "%s has a certificate of authority %u, which %s trusts for %lld s",
                             names[i], n, names[other],
                             since ? (long long)((sim_now(s) - since) / CLOCK_NS_PER_S) : -1LL);
                if (opsim_unix_ms(w) < nodes.due_ms)
                    sim_fail(s, "replaced before its time");
            }
        nodes.leaf[i] = n;
    }
    return 0;
}

static bool story(struct opsim *w, unsigned step)
{
    char ends[KUBE_WALL_TIME_SIZE];

    if (step == 0) {
        memset(&nodes, 0, sizeof nodes);
        opsim_ask(w, "POST", "/apis/ray.io/v1/namespaces/d/rayclusters",
                  "{\"metadata\":{\"name\":\"demo\"},\"spec\":{\"headGroupSpec\":{"
                  "\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":[{\"name\":"
                  "\"head\",\"image\":\"any\"}]}}}}}");
    }
    if (step == 1) { /* time goes by, for them */
        nodes.due_ms = opsim_unix_ms(w) + SOON_MS;
        kube_wall_time(nodes.due_ms + SECRET_RENEW_DAYS * DAY_MS, ends);
        for (int i = 0; i < 2; i++) {
            char target[100];
            snprintf(target, sizeof target, ROOT "%s", names[i]);
            opsim_ask(w, "PATCH", target,
                      "{\"metadata\":{\"annotations\":{\"" SECRET_ANNOTATION_ENDS "\":\"%s\"}}}",
                      ends);
        }
    }
    return step < STEPS;
}

static int finally(struct opsim *w)
{
    int64_t ends = 0;

    for (int i = 0; i < 2; i++) {
        const char *text =
            text_of(w, names[i], "metadata.annotations[\"" SECRET_ANNOTATION_ENDS "\"]");
        (void)kube_wall_time_read(text, &ends);
        if (ends < opsim_unix_ms(w) + (SECRET_LEAF_DAYS - 1) * DAY_MS || nodes.leaf[i] < 2 ||
            nodes.leaf[i] != nodes.leaf[!i])
            sim_fail(opsim_sim(w), "%s ends at %s, and is of authority %u", names[i], text,
                     nodes.leaf[i]);
    }
    return 0;
}

TestSuite(keys_sim, .timeout = 300);

/* With nothing else happening certificates are replaced before they end, once trust has spread. */
Test(keys_sim, renewal)
{
    struct fake_maker maker = fake_maker_init();
    struct reconciler *all[] = {raycluster_reconciler(&config, &maker.base)};
    struct opsim_options o = {.reconcilers = all,
                              .n_reconcilers = 1,
                              .story = story,
                              .always = always,
                              .finally = finally};

    cr_assert_eq(opsim_deaths("keys", &o), 0);
    raycluster_free(all[0]);
}
