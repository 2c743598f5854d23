/*
 * raia: the command line. One file for each verb; this one finds it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/controller.h"
#include "cli/ray.h"
#include "cli/verb.h"

#ifndef RAIA_VERSION
#error "RAIA_VERSION comes from the build"
#endif

static const struct verb *const verbs[] = {
    &verb_up,   &verb_down, &verb_start,   &verb_stop, &verb_status, &verb_job,
    &verb_list, &verb_get,  &verb_summary, &verb_logs, &verb_bench,
};

#define NVERBS (sizeof verbs / sizeof *verbs)

int verb_fail(const char *verb, const struct raia_error *e)
{
    fprintf(stderr, "raia %s: %s\n", verb, e->text[0] ? e->text : raia_strerror(e->code));
    return 1;
}

int verb_usage(const struct verb *v)
{
    fprintf(stderr, "usage: raia %s\n`raia help %s` has more.\n", v->usage, v->name);
    return 2;
}

static void print_verbs(FILE *to)
{
    fprintf(to, "usage: raia VERB [ARG ...]\n\n");
    for (size_t i = 0; i < NVERBS; i++)
        fprintf(to, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(to, "  %-8s %s\n\n`raia help VERB` has more.\n", "help", "what a verb does");
}

static const struct verb *find(const char *name)
{
    for (size_t i = 0; i < NVERBS; i++)
        if (!strcmp(verbs[i]->name, name))
            return verbs[i];
    return NULL;
}

static int help(const char *name)
{
    const struct verb *v = name ? find(name) : NULL;
    if (v)
        printf("usage: raia %s\n\n%s", v->usage, v->help);
    else if (name)
        fprintf(stderr, "raia: there is no verb '%s'\n", name);
    else
        print_verbs(stdout);
    return name && !v ? 2 : 0;
}

/* The name that this program was called by. */
static bool called(const char *self, const char *name)
{
    const char *slash = self ? strrchr(self, '/') : NULL;
    return self && !strcmp(slash ? slash + 1 : self, name);
}

int main(int argc, char **argv)
{
    int status;
    signal(SIGPIPE, SIG_DFL);
    if (called(argv[0], "ray") && ray_run(argc, argv, &status))
        return status;
    if (argc < 2) {
        print_verbs(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        return help(argc > 2 ? argv[2] : NULL);
    if (!strcmp(name, "--version") || !strcmp(name, "version")) {
        printf("raia %s\n", RAIA_VERSION);
        return 0;
    }
    if (!strcmp(name, "job-controller")) /* `raia up` calls it */
        return controller_run(argc - 1, argv + 1);
    const struct verb *v = find(name);
    if (!v) {
        fprintf(stderr, "raia: there is no verb '%s'; `raia help` lists them\n", name);
        return 2;
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return help(name);
    return v->run(argc - 1, argv + 1);
}
