/*
 * raia-bench: runs the cases and prints what they measured. `raia bench` is this program.
 *
 * It joins the cluster of RAIA_ADDRESS, or starts one of its own. Its workers are this program too:
 * they come without arguments and stay inside raia_init.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/timing.h"

static const char usage[] =
    "usage: raia bench [--seconds S] [--rounds N] [--quick] [--list] [--format table|json]\n"
    "                  [CASE ...]\n"
    "\n"
    "Runs Ray's microbenchmark on Raia, and measures what this machine can do at best.\n"
    "  CASE            only cases whose name contains this text (or is it, with --exact)\n"
    "  --exact         CASE is a whole name\n"
    "  --seconds S     of one round, and half of it to warm up (2)\n"
    "  --rounds N      (4)\n"
    "  --quick         everything small and short: shows that it works, not how fast it is\n"
    "  --list          names the cases\n"
    "  --format json   a line for each case: {\"case\": .., \"per_second\": .., \"sd\": ..}\n"
    "RAIA_ADDRESS names the cluster; without it the benchmark starts one of its own.\n"
    "The rate is the mean of the rounds; one that fails is reported and makes the status 1.\n";

static const struct bench_group *const groups[] = {
    &bench_machine,
    &bench_objects,
    &bench_tasks,
    &bench_actors,
};
#define NGROUPS (sizeof groups / sizeof *groups)

/* The command line. */
struct options {
    struct timing timing;
    bool quick, exact, list, json;
    char **names; /* of cases; none: all */
    int count;    /* entries of names */
};

static bool chosen(const struct options *o, const struct bench_case *c)
{
    for (int i = 0; i < o->count; i++)
        if (o->exact ? strcmp(c->name, o->names[i]) == 0 : strstr(c->name, o->names[i]) != NULL)
            return true;
    return o->count == 0;
}

static bool positive(const char *text, double max, double *ret)
{
    char *end;

    *ret = strtod(text, &end);
    return end != text && *end == '\0' && *ret > 0 && *ret <= max;
}

static int options_parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"seconds", required_argument, NULL, 's'}, {"rounds", required_argument, NULL, 'r'},
        {"quick", no_argument, NULL, 'q'},         {"list", no_argument, NULL, 'l'},
        {"exact", no_argument, NULL, 'x'},         {"format", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    double seconds = 0, rounds = 0;
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        bool ok = true;
        if (c == 's')
            ok = positive(optarg, 3600, &seconds);
        else if (c == 'r')
            ok = positive(optarg, TIMING_ROUNDS_MAX, &rounds) && rounds == (int)rounds;
        else if (c == 'f')
            ok = strcmp(optarg, "json") == 0 || strcmp(optarg, "table") == 0;
        if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (c == '?' || !ok) {
            fputs(usage, stderr);
            return -1;
        }
        o->quick |= c == 'q';
        o->list |= c == 'l';
        o->exact |= c == 'x';
        if (c == 'f')
            o->json = optarg[0] == 'j';
    }
    o->timing.round_s = seconds > 0 ? seconds : o->quick ? 0.02 : 2;
    o->timing.warm_up_s = o->timing.round_s / 2;
    o->timing.rounds = rounds > 0 ? (int)rounds : o->quick ? 2 : 4;
    o->names = argv + optind;
    o->count = argc - optind;
    return 0;
}

static int case_run(const struct bench_case *c, const struct options *o, struct bench *b,
                    struct bench_result *ret)
{
    int r = c->open ? c->open(b) : 0;

    if (r == 0)
        r = c->once ? c->once(b, ret)
                    : timing_run(&o->timing, c->step, b, c->weight ? c->weight(b) : 1, ret);
    return r;
}

static void case_print(const struct bench_case *c, const struct options *o,
                       const struct bench_result *r)
{
    if (!o->json) {
        int digits = r->per_second < 100 ? 2 : 0;
        printf("%-46s %14.*f +- %-10.*f %s/s", c->name, digits, r->per_second, digits, r->sd,
               c->unit);
        if (r->peak_mib > 0)
            printf(", %.1f s, driver's peak %.0f MiB", r->seconds, r->peak_mib);
    } else {
        printf("{\"case\": \"%s\", \"per_second\": %.6g, \"sd\": %.6g", c->name, r->per_second,
               r->sd);
        if (r->peak_mib > 0)
            printf(", \"seconds\": %.6g, \"peak_mib\": %.6g", r->seconds, r->peak_mib);
        printf("}");
    }
    printf("\n");
    fflush(stdout);
}

/* One case; false if it failed. The library's error is this thread's last one: any other clears
 * no trace, so the code decides whether it belongs here. */
static bool case_report(const struct bench_case *c, const struct options *o, struct bench *b)
{
    struct bench_result result;
    int r = case_run(c, o, b, &result);

    if (r < 0) {
        if (!c->machine && raia_last_error()->code == -r)
            raia_perror(c->name);
        else
            fprintf(stderr, "%s: %s\n", c->name, raia_strerror(-r));
        if (o->json)
            printf("{\"case\": \"%s\", \"error\": \"%s\"}\n", c->name, raia_strerror(-r));
    } else {
        case_print(c, o, &result);
    }
    if (c->close)
        c->close(b);
    bench_release(b);
    return r >= 0;
}

static struct bench *bench_new(const struct options *o)
{
    struct bench *b = calloc(1, sizeof *b);
    cpu_set_t set;

    if (!b)
        return NULL;
    b->quick = o->quick;
    b->cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    b->servers = b->cpus < 4 ? 1 : b->cpus / 2;
    if (b->servers > BENCH_ACTORS)
        b->servers = BENCH_ACTORS;
    return b;
}

int main(int argc, char **argv)
{
    struct options o = {.quick = false};
    bool cluster = false, good = true;
    int found = 0;

    if (options_parse(&o, argc, argv) < 0)
        return 2;
    for (size_t g = 0; g < NGROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++) {
            const struct bench_case *c = &groups[g]->cases[i];
            if (!chosen(&o, c))
                continue;
            found++;
            cluster |= !c->machine;
            if (o.list)
                printf("%s\n", c->name);
        }
    if (o.list)
        return 0;
    if (!found) {
        fprintf(stderr, "raia bench: no case has such a name; --list names them\n");
        return 2;
    }
    if (cluster && raia_init(NULL) < 0)
        return raia_perror("raia bench");
    struct bench *b = bench_new(&o);
    if (!b) {
        fprintf(stderr, "raia bench: out of memory\n");
        return 1;
    }
    for (size_t g = 0; g < NGROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            if (chosen(&o, &groups[g]->cases[i]))
                good &= case_report(&groups[g]->cases[i], &o, b);
    free(b);
    raia_shutdown();
    return good ? 0 : 1;
}
