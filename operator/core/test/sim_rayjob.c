/*
 * The RayJob reconciler in a world where heads, networks, submitters and the operator itself fail,
 * seeded: each job ends, in the state that is true, with one cluster and one submission id for each
 * attempt. RAYJOB_SIM_SEEDS chooses how many seeds. Planted bugs must be found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sim.h"
#include "core/rayjob_plants.h"
#include "test/rayjob_model.h"

enum rayjob_plant rayjob_planted;

TestSuite(rayjob_sim, .timeout = 500);

#define CHAOS_MS 120000
#define CALM_MS  1500000

static struct model *world(uint64_t seed)
{
    static const char *const modes[] = {"K8sJobMode", "HTTPMode", "SidecarMode"};
    char spec[700];
    struct prng p;

    prng_seed(&p, seed ^ 0x5eed);
    (void)snprintf(
        spec, sizeof spec,
        "{\"entrypoint\":\"count words\",\"submissionMode\":\"%s\",\"backoffLimit\":%u,"
        "\"shutdownAfterJobFinishes\":%s%s,\"rayClusterSpec\":{\"headGroupSpec\":{"
        "\"rayStartParams\":{},\"template\":{\"spec\":{\"containers\":[{\"name\":\"head\","
        "\"image\":\"any\"}]}}}}}",
        modes[seed % 3], (unsigned)prng_below(&p, 3), prng_chance(&p, 0.7) ? "true" : "false",
        prng_chance(&p, 0.1) ? ",\"activeDeadlineSeconds\":60" : "");
    struct model *w = model_new(seed, spec);
    w->chaos = true;
    w->crash = prng_chance(&p, 0.7) ? 0.03 : 0;
    w->lose = prng_chance(&p, 0.5) ? 0.1 : 0;
    w->fail_rate = 0.3;
    w->no_long_poll = prng_chance(&p, 0.3);
    w->run_ms = prng_chance(&p, 0.5) ? 3000 : 40000;
    return w;
}

static bool has_ended(const struct model *w)
{
    return !strcmp(model_status(w, "jobDeploymentStatus"), "Complete") ||
           !strcmp(model_status(w, "jobDeploymentStatus"), "Failed");
}

/* Runs one seed; what does not hold is in w->broken. */
static void run(struct model *w, struct prng *p)
{
    bool shuts = json_true(json_at(w->job, "spec.shutdownAfterJobFinishes"));

    for (int64_t t = 0; t < CHAOS_MS; t += 5000) {
        if (shuts && prng_chance(p, 0.03))
            model_spec(w, "suspend", prng_chance(p, 0.5) ? "true" : "false");
        model_run(w, 5000);
    }
    if (json_true(json_at(w->job, "spec.suspend")))
        model_spec(w, "suspend", "false");
    w->chaos = false;
    w->crash = w->lose = 0;
    for (int64_t t = 0; t < CALM_MS && !has_ended(w) && !*w->broken; t += 5000)
        model_run(w, 5000);
    if (!has_ended(w))
        model_broken(w, "it did not end: %s, job %s, %s", model_status(w, "jobDeploymentStatus"),
                     model_status(w, "jobStatus"), model_status(w, "message"));
    model_run(w, 60000);
    if (shuts && model_object(w, SEEN_CLUSTERS))
        model_broken(w, "its cluster is still there");
    model_spec(w, "suspend", "false");
    model_set(w->job, "metadata.deletionTimestamp", "\"2026-11-22T00:00:00Z\"");
    w->dirty = true;
    model_run(w, 20000);
    if (w->job)
        model_broken(w, "its finalizer is still there");
}

/* Index of the first seed that breaks something, or n. */
static unsigned seeds(unsigned n, bool loud)
{
    unsigned looks = 0, ends = 0, failures = 0, restarts = 0;

    const char *only = getenv("RAYJOB_SIM_TRACE");

    for (unsigned i = only ? (unsigned)atoi(only) : 0; i < n; i++) {
        struct model *w = world(i);
        struct prng p;
        bool broken;

        prng_seed(&p, i);
        run(w, &p);
        broken = *w->broken != 0;
        if (broken && loud)
            fprintf(stderr, "seed %u at %.1f s: %s\n", i, (double)w->now / 1e9, w->broken);
        looks += w->looks;
        restarts += w->restarts;
        ends++;
        failures += broken;
        model_free(w);
        if (broken)
            return i;
    }
    if (loud)
        fprintf(stderr, "%u seeds: %u looks, %u restarts of the operator\n", ends, looks, restarts);
    return n;
}

/* Whatever fails, every job ends as it should, and nothing is there twice or left over. */
Test(rayjob_sim, seeds)
{
    unsigned n = (unsigned)sim_seeds_wanted("RAYJOB_SIM_SEEDS", 1000);

    cr_assert_eq(seeds(n, true), n);
}

/* Each planted bug is found. */
Test(rayjob_sim, plants)
{
    for (int bug = RAYJOB_PLANT_NONE + 1; bug < RAYJOB_PLANTS_END; bug++) {
        rayjob_planted = (enum rayjob_plant)bug;
        unsigned found = seeds(1000, false);
        fprintf(stderr, "planted bug %d is found by seed %u\n", bug, found);
        cr_expect_lt(found, 1000, "planted bug %d is not found", bug);
    }
    rayjob_planted = RAYJOB_PLANT_NONE;
}
