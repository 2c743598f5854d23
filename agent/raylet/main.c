/*
 * raia-raylet: the part of a node that holds its leases, workers, objects and links. Started by
 * raia-agent. See raylet.h.
 */
#define LOG_MODULE "raylet"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/logfile.h"
#include "raylet/raylet.h"

#define DESCRIPTORS_MAX 65536

static const char about[] =
    "raia-raylet: leases, workers, objects and links of a node; started by raia-agent.\n\n"
    "usage: raia-raylet --node-name NAME --session-dir DIR --gcs-address HOST:PORT [FLAG ...]\n";

static int configure(int argc, char **argv, struct raylet_config *c, bool *ret_help,
                     struct raia_error *e)
{
    int r = settings_read(&raylet_settings, c, argc, argv, ret_help, e);

    if (r < 0 || *ret_help)
        return r;
    if (!*c->node_name)
        return err_set(e, RAIA_ERR_INVALID, "--node-name is required");
    if (c->session_dir[0] != '/')
        return err_set(e, RAIA_ERR_INVALID, "--session-dir is required: an absolute path");
    if (!*c->gcs_address)
        return err_set(e, RAIA_ERR_INVALID, "--gcs-address is required: HOST:PORT");
    return log_configure(c->log_level, e);
}

static void on_handshake_failure(const char *why)
{
    log_warn_rl("a connection was refused", "reason=%s", LOG_Q(why));
}

/* Each process of the node takes some descriptors here. The supervisor starts the processes, so that
 * theirs stays as it was. */
static void raise_descriptors(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    l.rlim_cur = l.rlim_max < DESCRIPTORS_MAX ? l.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &l);
}

int main(int argc, char **argv)
{
    struct raylet_config c = {0};
    struct raia_error e = {0};
    struct logfile *file = NULL;
    struct raylet *r = NULL;
    bool want_help = false;
    int status = 1, got = configure(argc, argv, &c, &want_help, &e);

    if (got < 0 || want_help) {
        if (got < 0)
            fprintf(stderr, "raia-raylet: %s (--help lists the flags)\n", e.text);
        settings_fini(&raylet_settings, &c);
        return got < 0 ? 2 : settings_print_help(&raylet_settings, about);
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    rpc_on_handshake_failure(on_handshake_failure);
    got = logfile_begin(c.session_dir, "raylet.log", c.log_stderr ? STDERR_FILENO : -1, &file, &e);
    if (got == 0) {
        log_info("started", "pid=%d node=%s", (int)getpid(), LOG_Q(c.node_name));
        got = raylet_new(&c, &r, &e);
    }
    if (got == 0) {
        status = raylet_run(r);
        raylet_free(r);
    } else {
        log_error("cannot start", "error=%s", LOG_Q(e.text));
        if (!c.log_stderr)
            fprintf(stderr, "raia-raylet: %s\n", e.text);
    }
    log_set_sink(NULL);
    logfile_close(file);
    settings_fini(&raylet_settings, &c);
    return status;
}
