/*
 * raia down: ends clusters that `raia up` started.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/cluster.h"
#include "cli/manifest.h"
#include "cli/verb.h"

static int down(const char *name, bool purge)
{
    struct raia_error e = {0};
    if (cluster_down(name, purge, &e) < 0)
        return verb_fail("down", &e);
    _cleanup_(mem_freep) char *dir = NULL;
    (void)state_dir(name, &dir, NULL);
    if (purge)
        fprintf(stderr, "cluster '%s' is down, its logs are removed\n", name);
    else
        fprintf(stderr, "cluster '%s' is down; its logs stay under %s/nodes\n", name,
                dir ? dir : "");
    return 0;
}

static int down_file(const char *file, bool purge)
{
    struct raia_error e = {0};
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    if (manifest_load(file, &m, &e) < 0)
        return verb_fail("down", &e);
    int status = 0;
    for (size_t i = 0; i < m->nclusters; i++)
        status |= down(m->clusters[i].name, purge);
    return status;
}

/* Every cluster that runs, of `raia up` (and of `raia start` too); with purge also those that left
 * logs. */
static int down_all(bool purge, bool started_too)
{
    struct raia_error e = {0};
    char **names;
    if (state_list(&names, &e) < 0)
        return verb_fail("down", &e);
    int status = 0;
    size_t n = 0;
    for (size_t i = 0; names[i]; i++) {
        _cleanup_(mem_freep) char *dir = NULL;
        if (state_dir(names[i], &dir, NULL) < 0 || (!purge && !state_alive(dir, NULL)) ||
            (!started_too && start_made(dir)))
            continue;
        status |= down(names[i], purge);
        n++;
    }
    state_list_free(names);
    if (n == 0)
        fprintf(stderr, "nothing that `raia up` started runs on this machine%s\n",
                started_too ? ", nor does what `raia start` did" : "");
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"file", required_argument, NULL, 'f'},
                                            {"purge", no_argument, NULL, 'p'},
                                            {"all", no_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    const char *file = NULL;
    bool purge = false, all = false;
    for (int o; (o = getopt_long(argc, argv, "f:", options, NULL)) != -1;) {
        if (o == 'f' && !file)
            file = optarg;
        else if (o == 'p')
            purge = true;
        else if (o == 'a')
            all = true;
        else
            return verb_usage(&verb_down);
    }
    if ((file != NULL) + (optind < argc) + all > 1 || argc - optind > 1)
        return verb_usage(&verb_down);
    if (file)
        return down_file(file, purge);
    return optind < argc ? down(argv[optind], purge) : down_all(purge, all);
}

const struct verb verb_down = {
    .name = "down",
    .run = run,
    .usage = "down [NAME | -f FILE | --all] [--purge]",
    .summary = "end clusters of this machine",
    .help = "Ends the cluster NAME, those of the manifest FILE, or (without either) all that\n"
            "`raia up` started. No process and no shared memory is left; the logs stay.\n\n"
            "  -f, --file FILE   the clusters of this manifest\n"
            "  --all             also those that `raia start` started\n"
            "  --purge           remove the logs and all other files too\n",
};
