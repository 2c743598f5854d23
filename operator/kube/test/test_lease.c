/*
 * Election and events, over a model server in a simulation.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kube/lease.h"
#include "kube/recorder.h"
#include "kube/sim/faulty.h"

#define S CLOCK_NS_PER_S

/* One candidate: a client of its own. */
struct candidate {
    struct kube_faults faults; /* of its way to the server */
    struct kube_transport *t;  /* its own */
    struct kube_client *c;     /* its own */
    struct kube_lease *lease;  /* under test */
    char identity[8];          /* its name */
    unsigned terms;            /* how often it was told that it leads */
    bool leading;              /* what it was told last */
};

static void on_change(void *arg, bool leading)
{
    struct candidate *k = arg;
    k->leading = leading;
    k->terms += leading;
}

static void join(struct sim *s, struct kube_model *m, struct candidate *k, unsigned i)
{
    snprintf(k->identity, sizeof k->identity, "op-%u", i);
    struct kube_lease_options o = {.ns = "sys",
                                   .name = "op",
                                   .identity = k->identity,
                                   .on_change = on_change,
                                   .arg = k,
                                   .seed = i + 1};
    k->t = kube_faulty_new(s, m, &k->faults);
    cr_assert_eq(kube_client_new(k->t, NULL, &k->c, NULL), 0);
    cr_assert_eq(kube_lease_new(k->c, &o, &k->lease, NULL), 0);
    kube_faulty_drive(k->t, k->c);
    kube_lease_start(k->lease);
}

static void leave(struct sim *s, struct candidate *k)
{
    kube_lease_stop(k->lease);
    for (int i = 0; i < 1000 && !kube_lease_idle(k->lease); i++)
        sim_run(s, sim_now(s) + S / 10);
    kube_lease_free(k->lease);
    kube_client_free(k->c);
    kube_transport_free(k->t);
}

/* The first takes it, keeps it, and gives it up when it stops: the next need not wait. */
Test(lease, handed_over)
{
    struct sim *s = NULL;
    struct kube_model *m;
    struct candidate a = {0}, b = {0};
    cr_assert_eq(sim_new(1, &s), 0);
    kube_model_new(&m);
    join(s, m, &a, 0);
    sim_run(s, 1 * S);
    join(s, m, &b, 1);
    sim_run(s, 60 * S);
    cr_assert(kube_lease_held(a.lease) && a.leading && a.terms == 1);
    cr_assert_not(kube_lease_held(b.lease));
    cr_assert_str_eq(kube_lease_holder(b.lease), "op-0");
    leave(s, &a);
    cr_assert_not(a.leading);
    sim_run(s, sim_now(s) + 5 * S);
    cr_assert(kube_lease_held(b.lease), "a lease that was given up is free at once");
    const struct json *o = kube_model_get(m, "/apis/coordination.k8s.io/v1/leases", "sys", "op");
    cr_assert_str_eq(json_str(json_at(o, "spec.holderIdentity")), "op-1");
    int64_t n = 0;
    cr_assert_eq(json_int(json_at(o, "spec.leaseTransitions"), &n), 0);
    cr_assert_eq(n, 1);
    leave(s, &b);
    kube_model_free(m);
    sim_free(s);
}

/* Its process is killed: nothing is stopped or given up. */
static void die(struct sim *s, struct candidate *k)
{
    while (!kube_client_idle(k->c))
        sim_run(s, sim_now(s) + S / 10);
    kube_lease_free(k->lease);
    kube_client_free(k->c);
    kube_transport_free(k->t);
    *k = (struct candidate){0};
}

/* Whoever comes again under the name that the Lease bears has it at once; under another name it
 * waits until the Lease has run out. */
Test(lease, taken_up_again)
{
    struct sim *s = NULL;
    struct kube_model *m;
    struct candidate a = {0};
    cr_assert_eq(sim_new(1, &s), 0);
    kube_model_new(&m);
    join(s, m, &a, 0);
    sim_run(s, 60 * S);
    cr_assert(kube_lease_held(a.lease));
    die(s, &a);
    int64_t died = sim_now(s);
    join(s, m, &a, 0);
    sim_run(s, died + S);
    cr_assert(kube_lease_held(a.lease), "it waits for itself");
    die(s, &a);
    died = sim_now(s);
    join(s, m, &a, 1);
    sim_run(s, died + 12 * S);
    cr_assert_not(kube_lease_held(a.lease), "another one's Lease that may still be held");
    sim_run(s, died + 25 * S);
    cr_assert(kube_lease_held(a.lease));
    leave(s, &a);
    kube_model_free(m);
    sim_free(s);
}

/* Three candidates, faults, one that is cut off again and again: never two at a time. */
static int contest(struct sim *s, void *ctx)
{
    struct kube_model *m;
    struct candidate k[3] = {0};
    struct prng *p = sim_prng(s);
    unsigned held_at_all = 0;
    (void)ctx;
    kube_model_new(&m);
    for (unsigned i = 0; i < 3; i++) {
        double f = 0.1 * prng_double(p);
        k[i].faults =
            (struct kube_faults){.lost = f, .unknown = f, .busy = f, .error = f, .slow = f};
        join(s, m, &k[i], i);
    }
    for (int step = 0; step < 600 && !sim_failed(s); step++) {
        unsigned held = 0;
        sim_run(s, sim_now(s) + S / 2);
        if (step % 60 == 0)
            for (unsigned i = 0; i < 3; i++)
                k[i].faults.lost = prng_chance(p, 0.3) ? 1 : 0.05;
        for (unsigned i = 0; i < 3; i++)
            held += kube_lease_held(k[i].lease);
        held_at_all += held;
        if (held > 1)
            sim_fail(s, "%u lead at the same time", held);
    }
    if (held_at_all < 60)
        sim_fail(s, "nobody led for most of the time");
    for (unsigned i = 0; i < 3; i++) {
        k[i].faults = (struct kube_faults){0};
        leave(s, &k[i]);
    }
    kube_model_free(m);
    return 0;
}

Test(lease, one_at_a_time, .timeout = 300)
{
    cr_assert_eq(sim_seeds("lease", 1, 60, contest, NULL), 0);
}

/* ---- events ---- */

struct found {
    unsigned n;        /* events */
    int64_t count;     /* of the last one */
    char message[128]; /* of the last one */
    char involved[64]; /* of the last one */
};

static void look(void *arg, const char *ns, const char *name, const struct json *o)
{
    struct found *f = arg;
    (void)ns, (void)name;
    f->n++;
    (void)json_int(json_get(o, "count"), &f->count);
    snprintf(f->message, sizeof f->message, "%s", json_str(json_get(o, "message")));
    snprintf(f->involved, sizeof f->involved, "%s", json_str(json_at(o, "involvedObject.uid")));
}

/* What is told again is one event that counts; one object cannot tell too much; a server that
 * refuses holds nobody up. */
Test(recorder, bounded)
{
    struct sim *s = NULL;
    struct kube_model *m;
    struct kube_faults faults = {0};
    struct kube_client *c;
    struct kube_recorder *r;
    struct kube_recorder_stats st;
    struct found f = {0};
    const struct kube_about a = {&kube_pods, "n", "pod", "uid-a", NULL},
                            b = {&kube_nodes, NULL, "node", "uid-b", NULL};
    cr_assert_eq(sim_new(1, &s), 0);
    kube_model_new(&m);
    struct kube_transport *t = kube_faulty_new(s, m, &faults);
    cr_assert_eq(kube_client_new(t, NULL, &c, NULL), 0);
    cr_assert_eq(kube_recorder_new(c, "op", "host", &r, NULL), 0);
    kube_faulty_drive(t, c);
    for (int i = 0; i < 50; i++) {
        kube_recorder_event(r, &a, KUBE_WARNING, "Failed", "pod %s", "x");
        sim_run(s, sim_now(s) + S);
    }
    sim_run(s, sim_now(s) + 30 * S);
    kube_model_each(m, "/api/v1/events", look, &f);
    cr_assert_eq(f.n, 1);
    cr_assert_eq(f.count, 50);
    cr_assert_str_eq(f.message, "pod x");
    cr_assert_str_eq(f.involved, "uid-a");
    kube_recorder_get_stats(r, &st);
    cr_assert_leq(st.sent, 9, "%lu requests", (unsigned long)st.sent);
    for (int i = 0; i < 100; i++)
        kube_recorder_event(r, &b, KUBE_NORMAL, "Made", "thing %d", i);
    sim_run(s, sim_now(s) + 30 * S);
    cr_assert_eq(kube_model_count(m, "/api/v1/events"), 1 + 25);
    kube_recorder_get_stats(r, &st);
    cr_assert_eq(st.dropped, 75);
    faults.error = 1;
    struct kube_about other = a;
    char uid[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(uid, sizeof uid, "uid-%d", i);
        other.uid = uid;
        kube_recorder_event(r, &other, KUBE_NORMAL, "Made", "thing");
    }
    sim_run(s, sim_now(s) + 3600 * S);
    kube_recorder_stop(r);
    sim_run(s, sim_now(s) + 60 * S);
    cr_assert(kube_recorder_idle(r));
    kube_recorder_free(r);
    cr_assert(kube_client_idle(c));
    kube_client_free(c);
    kube_transport_free(t);
    kube_model_free(m);
    sim_free(s);
}
