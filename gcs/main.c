/* raia-gcs: the replicated control store. See daemon/daemon.h for what it does. */
#define LOG_MODULE "gcs"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/logfile.h"
#include "daemon/daemon.h"

static const char about[] = "raia-gcs: the control store of a Raia cluster.\n\n"
                            "usage: raia-gcs --session-dir DIR [FLAG ...]\n";

static int check(const struct gcs_settings *s, struct raia_error *e)
{
    if (s->session_dir[0] != '/')
        return err_set(e, RAIA_ERR_INVALID, "--session-dir is required: an absolute path");
    if (strcmp(s->storage, "memory") != 0 && strcmp(s->storage, "sqlite") != 0)
        return err_set(e, RAIA_ERR_INVALID, "--storage '%s': expected memory or sqlite",
                       s->storage);
    return 0;
}

static int configure(int argc, char **argv, struct gcs_settings *s, bool *ret_help,
                     struct raia_error *e)
{
    int r = settings_read(&gcs_settings, s, argc, argv, ret_help, e);

    if (r < 0 || *ret_help)
        return r;
    r = check(s, e);
    if (r == 0)
        r = log_configure(s->log_level, e);
    if (r == 0 && s->fault[0])
        r = fault_configure(s->fault, e);
    return r;
}

int main(int argc, char **argv)
{
    struct gcs_settings s = {0};
    struct raia_error e = {0};
    struct logfile *file = NULL;
    bool help = false;
    int r = configure(argc, argv, &s, &help, &e);

    if (r < 0 || help) {
        settings_fini(&gcs_settings, &s);
        if (r < 0)
            fprintf(stderr, "raia-gcs: %s (--help lists the flags)\n", e.text);
        return r < 0 ? 2 : settings_print_help(&gcs_settings, about);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    r = logfile_begin(s.session_dir, "gcs.log", s.log_stderr ? STDERR_FILENO : -1, &file, &e);
    if (r == 0)
        r = daemon_run(&s, &e);
    if (r < 0) {
        log_error("failed", "error=%s", LOG_Q(e.text));
        if (!s.log_stderr)
            fprintf(stderr, "raia-gcs: %s\n", e.text);
    } else {
        log_info("stopped");
    }
    log_set_sink(NULL);
    logfile_close(file);
    settings_fini(&gcs_settings, &s);
    return r < 0 ? 1 : 0;
}
