/*
 * raia-agent: the daemon of a node. See supervisor.h for what it does.
 */
#define LOG_MODULE "agent"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/logfile.h"
#include "supervisor/settings.h"
#include "supervisor/supervisor.h"

static const char about[] =
    "raia-agent: the daemon of a node of a Raia cluster.\n\n"
    "usage: raia-agent --node-name NAME --session-dir DIR (--head | --gcs-address HOST:PORT) "
    "[FLAG ...]\n";

static int check(const struct agent_config *c, struct raia_error *e)
{
    if (!*c->node_name || strchr(c->node_name, '/'))
        return err_set(e, RAIA_ERR_INVALID, "--node-name is required: a name without '/'");
    if (c->session_dir[0] != '/')
        return err_set(e, RAIA_ERR_INVALID, "--session-dir is required: an absolute path");
    if (c->head == (*c->gcs_address != 0))
        return err_set(e, RAIA_ERR_INVALID, "one of --head and --gcs-address is required");
    enum log_level level;
    if (log_level_parse(c->log_level, &level) < 0)
        return err_set(e, RAIA_ERR_INVALID, "--log-level '%s': expected debug, info, warn or error",
                       c->log_level);
    return 0;
}

static int configure(int argc, char **argv, struct agent_config *c, bool *ret_help,
                     struct raia_error *e)
{
    int r = settings_read(&agent_settings, c, argc, argv, ret_help, e);
    if (r < 0 || *ret_help)
        return r;
    return check(c, e);
}

static void on_stop(void *arg, int signo)
{
    struct supervisor **s = arg;
    log_info("stopping", "signal=%d", signo);
    if (*s)
        supervisor_stop(*s);
}

static int run(const struct agent_config *c, struct raia_error *e)
{
    struct loop *loop = NULL;
    struct supervisor *s = NULL;
    struct loop_signal *term = NULL, *intr = NULL;
    int r = loop_new(&loop, e);
    if (r == 0)
        r = loop_signal_new(loop, SIGTERM, on_stop, &s, &term, e);
    if (r == 0)
        r = loop_signal_new(loop, SIGINT, on_stop, &s, &intr, e);
    if (r == 0)
        r = supervisor_new(loop, c, &s, e);
    if (r == 0)
        r = loop_run(loop);
    bool failed = s && supervisor_failed(s);
    supervisor_free(s);
    loop_signal_free(term);
    loop_signal_free(intr);
    if (loop)
        (void)loop_free(loop);
    return r < 0 ? r : failed;
}

int main(int argc, char **argv)
{
    struct agent_config c = {0};
    struct raia_error e = {0};
    bool help = false;
    int r = configure(argc, argv, &c, &help, &e);
    if (r < 0 || help) {
        settings_fini(&agent_settings, &c);
        if (r < 0)
            fprintf(stderr, "raia-agent: %s (--help lists the flags)\n", e.text);
        return r < 0 ? 2 : settings_print_help(&agent_settings, about);
    }
    enum log_level level = LOG_INFO;
    (void)log_level_parse(c.log_level, &level); /* checked */
    log_set_level(level);
    struct logfile *file = NULL;
    r = logfile_begin(c.session_dir, "agent.log", c.log_stderr ? STDERR_FILENO : -1, &file, &e);
    if (r == 0) {
        log_info("started", "pid=%d node=%s head=%d", (int)getpid(), LOG_Q(c.node_name), c.head);
        signal(SIGPIPE, SIG_IGN);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        r = run(&c, &e);
        log_info("ended", "status=%d", r != 0);
        log_set_sink(NULL);
    }
    if (r < 0)
        fprintf(stderr, "raia-agent: %s\n", e.text);
    logfile_close(file);
    settings_fini(&agent_settings, &c);
    return r != 0;
}
