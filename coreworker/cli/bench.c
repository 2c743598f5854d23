/*
 * raia bench: becomes raia-bench, which stands beside this program. It is one of its own because
 * its workers are started from the same file, and `raia` serves no tasks.
 */
#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"
#include "cli/verb.h"

static int bench_run(int argc, char **argv)
{
    struct raia_error e = {.code = 0};
    _cleanup_(mem_freep) char *path = proc_beside("raia-bench", &e);

    (void)argc;
    if (!path)
        return verb_fail("bench", &e);
    argv[0] = path;
    execv(path, argv);
    err_errno(&e, errno, "run '%s' (it is installed together with raia)", path);
    return verb_fail("bench", &e);
}

const struct verb verb_bench = {
    .name = "bench",
    .run = bench_run,
    .usage = "bench [--seconds S] [--rounds N] [--quick] [--list] [--format table|json] [CASE ...]",
    .summary = "measure calls, tasks and objects on this machine",
    .help =
        "Runs Ray's microbenchmark on Raia, and measures what the machine can do at best.\n"
        "  CASE            only cases whose name contains this text (or is it, with --exact)\n"
        "  --seconds S     of one round, and half of it to warm up (2)\n"
        "  --rounds N      (4)\n"
        "  --quick         everything small and short: shows that it works, not how fast\n"
        "  --list          names the cases\n"
        "  --format json   a line for each case: {\"case\": .., \"per_second\": .., \"sd\": ..}\n"
        "RAIA_ADDRESS names the cluster; without it the benchmark starts one of its own.\n",
};
