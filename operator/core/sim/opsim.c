/*
 * The world: users, faults, lives and deaths of the operator, and the verdict.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/sim/opsim_impl.h"

#define CHAOS_NS   (60 * CLOCK_NS_PER_S)
#define REST_NS    (300 * CLOCK_NS_PER_S) /* idle watches, expectations and back-offs end in it */
#define IDLE_NS    (60 * CLOCK_NS_PER_S)  /* in which nothing may be written */
#define STEP_NS    (40 * CLOCK_NS_PER_S)  /* between two steps of a story */
#define STORY_MAX  64
#define DEATHS_MAX 2000

/* ---- what tests ask ---- */

struct sim *opsim_sim(struct opsim *w)
{
    return w->s;
}

struct kube_model *opsim_model(struct opsim *w)
{
    return w->m;
}

void *opsim_arg(struct opsim *w)
{
    return w->o->arg;
}

bool opsim_quiet(struct opsim *w)
{
    return w->quiet;
}

int64_t opsim_unix_ms(struct opsim *w)
{
    return w->wire->ops->unix_ms(w->wire);
}

struct controller *opsim_controller(struct opsim *w)
{
    return w->lives[0] && !w->lives[0]->t.dead ? w->lives[0]->ctl : NULL;
}

uint64_t opsim_conflicts(struct opsim *w)
{
    uint64_t n = w->conflicts;
    for (int i = 0; i < 2; i++) {
        struct controller_stats stats;
        if (!w->lives[i])
            continue;
        controller_get_stats(w->lives[i]->ctl, &stats);
        n += stats.conflicts;
    }
    return n;
}

int opsim_ask(struct opsim *w, const char *method, const char *target, const char *body_format, ...)
{
    _cleanup_(mem_freep) char *body = NULL;
    va_list args;
    if (body_format) {
        char text[16384];
        va_start(args, body_format);
        int n = vsnprintf(text, sizeof text, body_format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= sizeof text || !(body = mem_strdup(text)))
            abort();
    }
    struct kube_request rq = {.method = method,
                              .target = target,
                              .body = body,
                              .body_len = body ? strlen(body) : 0,
                              .content_type = "application/merge-patch+json"};
    struct kube_model_answer a;
    kube_model_handle(w->m, &rq, opsim_unix_ms(w), &a);
    int status = a.status;
    kube_model_answer_done(&a);
    return status;
}

uint64_t opsim_seeds(uint64_t n)
{
    const char *text = getenv("RAIA_OPERATOR_SEEDS");
    return text ? strtoull(text, NULL, 10) : n;
}

/* ---- deaths and handovers ---- */

static void next_life(void *arg)
{
    struct opsim *w = arg;
    struct prng *p = sim_prng(w->s);
    if (w->lives[0] || w->ending)
        return;
    unsigned die_at = w->deaths && !w->quiet ? 1 + (unsigned)prng_below(p, 40) : 0;
    w->lives[0] = life_new__(w, true, die_at);
}

static void on_death(void *arg)
{
    struct opsim *w = arg;
    struct prng *p = sim_prng(w->s);
    for (int i = 0; i < 2; i++)
        if (w->lives[i] && w->lives[i]->t.dead) {
            w->written = w->lives[i]->t.writes;
            life_end__(STEAL(w->lives[i]));
        }
    if (!w->lives[0])
        sim_after(w->s, NULL, prng_range(p, 1000, 15000) * CLOCK_NS_PER_MS, next_life, w, NULL);
}

void opsim_dies__(struct opsim *w)
{
    sim_after(w->s, NULL, 0, on_death, w, NULL);
}

static void take_over(void *arg)
{
    struct opsim *w = arg;
    if (!w->lives[0] && !w->ending)
        w->lives[0] = life_new__(w, true, 0);
}

/* The one that leads could not renew its lease: it lives on for a while, and must not write; the
 * other begins when the lease is over. */
static void hand_over(void *arg)
{
    struct opsim *w = arg;
    struct prng *p = sim_prng(w->s);
    if (w->quiet)
        return;
    if (w->lives[0]) {
        life_end__(STEAL(w->lives[1]));
        w->lives[1] = STEAL(w->lives[0]);
        life_lead__(w->lives[1], false);
        sim_after(w->s, NULL, 5 * CLOCK_NS_PER_S, take_over, w, NULL);
    }
    sim_after(w->s, NULL, prng_range(p, 6, 15) * CLOCK_NS_PER_S, hand_over, w, NULL);
}

/* ---- time ---- */

static void on_outside(void *arg)
{
    struct opsim *w = arg;
    struct prng *p = sim_prng(w->s);
    if (w->quiet || !w->o->outside)
        return;
    w->o->outside(w);
    if (w->faults.lost > 0 && prng_chance(p, 0.02))
        kube_model_compact(w->m);
    sim_after(w->s, NULL, prng_range(p, 10, 1500) * CLOCK_NS_PER_MS, on_outside, w, NULL);
}

/* Runs, and looks after each write whether all is as it must always be. */
static int run(struct opsim *w, int64_t for_ns)
{
    int64_t until = sim_now(w->s) + for_ns;
    uint64_t writes = kube_model_writes(w->m);
    while (!sim_failed(w->s) && sim_next(w->s) <= until) {
        if (!sim_step(w->s))
            break;
        if (w->o->always && kube_model_writes(w->m) != writes) {
            writes = kube_model_writes(w->m);
            if (w->o->always(w) < 0)
                return -1;
        }
    }
    sim_run(w->s, until);
    return sim_failed(w->s) ? -1 : 0;
}

static void begin(struct opsim *w, struct sim *s, const struct opsim_options *o)
{
    *w = (struct opsim){.s = s, .o = o};
    if (o->begin)
        o->begin();
    list_init(&w->orphans);
    kube_model_new(&w->m);
    w->wire = kube_faulty_new(s, w->m, &w->faults);
    kubelet_start__(w);
}

static void end(struct opsim *w)
{
    w->ending = true;
    for (int i = 0; i < 2; i++)
        life_end__(STEAL(w->lives[i]));
    kube_transport_free(w->wire);
    mortal_bury_orphans__(w);
    kube_model_free(w->m);
}

static int verdict(struct opsim *w)
{
    struct controller *c = opsim_controller(w);
    if (w->o->finally && w->o->finally(w) < 0)
        return -1;
    SIM_CHECK(w->s, c != NULL, "no operator lives");
    uint64_t writes = kube_model_writes(w->m);
    struct controller_stats stats;
    if (run(w, IDLE_NS) < 0)
        return -1;
    controller_get_stats(c, &stats);
    SIM_CHECK(w->s, stats.running == 0, "%zu keys are still being handled", stats.running);
    SIM_CHECK(w->s, w->o->restless || kube_model_writes(w->m) == writes,
              "%llu writes though nothing has changed",
              (unsigned long long)(kube_model_writes(w->m) - writes));
    return 0;
}

int opsim_chaos(struct sim *s, void *options)
{
    struct opsim w;
    struct prng *p = sim_prng(s);
    begin(&w, s, options);
    double f = prng_chance(p, 0.2) ? 0 : 0.05 * prng_double(p);
    w.faults = (struct kube_faults){.lost = f,
                                    .unknown = f,
                                    .busy = f,
                                    .error = f,
                                    .slow = f / 4,
                                    .cut = f,
                                    .half_open = f / 4,
                                    .garbled = f,
                                    .twice = f,
                                    .ended = f,
                                    .gone = f / 2,
                                    .no_streaming = prng_chance(p, 0.2)};
    w.handovers = prng_chance(p, 0.3);
    w.deaths = !w.handovers && prng_chance(p, 0.5);
    if (w.handovers || w.deaths) /* what is on its way arrives before another one leads */
        w.faults.slow = 0;
    next_life(&w);
    on_outside(&w);
    if (w.handovers)
        hand_over(&w);
    int r = run(&w, CHAOS_NS);
    bool no_streaming = w.faults.no_streaming;
    w.faults = (struct kube_faults){.no_streaming = no_streaming};
    w.quiet = true;
    for (int i = 0; i < 2; i++) /* nobody dies any more */
        if (w.lives[i])
            w.lives[i]->t.die_at = 0;
    if (r == 0)
        r = run(&w, REST_NS);
    if (r == 0)
        r = verdict(&w);
    end(&w);
    return r;
}

/* ---- stories ---- */

struct story {
    const struct opsim_options *o; /* the test's */
    unsigned die_at;               /* the first life ends after so many writes; 0: it does not */
    unsigned written;              /* of the first life */
    bool died;                     /* it did */
};

static int play(struct sim *s, void *ctx)
{
    struct story *t = ctx;
    struct opsim w;
    int r = 0;
    begin(&w, s, t->o);
    w.lives[0] = life_new__(&w, true, t->die_at);
    for (unsigned step = 0; r == 0 && step < STORY_MAX && t->o->story(&w, step); step++)
        r = run(&w, STEP_NS);
    w.quiet = true;
    if (r == 0)
        r = run(&w, REST_NS);
    t->died = w.written > 0;
    t->written = t->died ? w.written : w.lives[0] ? w.lives[0]->t.writes : 0;
    if (r == 0)
        r = verdict(&w);
    end(&w);
    return r;
}

int opsim_deaths(const char *name, const struct opsim_options *o)
{
    struct story t = {.o = o};
    int r = sim_seeds(name, 1, 1, play, &t);
    unsigned writes = t.written;
    for (unsigned k = 1; r == 0 && k <= writes && k < DEATHS_MAX; k++) {
        t.die_at = k;
        r = sim_seeds(name, k, 1, play, &t);
        if (r == 0 && !t.died && k < writes)
            continue; /* chance made this run shorter */
        if (r < 0)
            fprintf(stderr, "%s: the operator died after write %u of %u\n", name, k, writes);
    }
    return r == 0 && writes == 0 ? -RAIA_ERR_INTERNAL : r;
}
