/* raia-operator: turns RayCluster and RayJob objects into pods. See daemon/operator.h. */
#define LOG_MODULE "operator"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "daemon/operator.h"

#define FILES_WANTED 8192

static const char about[] = "raia-operator: runs RayClusters and RayJobs on Kubernetes.\n\n"
                            "usage: raia-operator [FLAG ...]\n";

/* A socket for each watch and each call to a head. */
static void allow_sockets(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= FILES_WANTED)
        return;
    l.rlim_cur = l.rlim_max < FILES_WANTED ? l.rlim_max : FILES_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &l); /* then fewer at one time */
}

int main(int argc, char **argv)
{
    struct operator_settings s = {0};
    struct raia_error e = {0};
    bool help = false;
    int r = settings_read(&operator_settings, &s, argc, argv, &help, &e);

    if (r == 0 && !help)
        r = log_configure(s.log_level, &e);
    if (r == 0 && !help && s.fault[0])
        r = fault_configure(s.fault, &e);
    if (r < 0 || help) {
        settings_fini(&operator_settings, &s);
        if (r < 0)
            fprintf(stderr, "raia-operator: %s (--help lists the flags)\n", e.text);
        return r < 0 ? 2 : settings_print_help(&operator_settings, about);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    /* Without fast bins, which are taken apart at each larger piece, of which there are many. */
    (void)mallopt(M_MXFAST, 0);
    allow_sockets();
    r = operator_run(&s, &e);
    if (r < 0)
        log_error("failed", "error=%s", LOG_Q(e.text));
    else
        log_info("stopped");
    settings_fini(&operator_settings, &s);
    return r < 0 ? 1 : 0;
}
