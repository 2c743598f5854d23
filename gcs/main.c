/* raia-gcs: the replicated control store. See daemon/daemon.h for what it does. */
#define LOG_MODULE "gcs"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "daemon/daemon.h"

#define HELP_MAX (64u << 10)

static int print_help(void)
{
    struct buf b;
    int r;

    buf_init(&b, HELP_MAX);
    r = settings_put_help(&gcs_settings, &b);
    if (r == 0)
        printf("raia-gcs: the control store of a Raia cluster.\n\n"
               "usage: raia-gcs --session-dir DIR [FLAG ...]\n\n%.*s",
               (int)b.size, (const char *)b.data);
    buf_fini(&b);
    return r == 0 ? 0 : 1;
}

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

static int open_log(const struct gcs_settings *s, struct logfile **ret_file, struct raia_error *e)
{
    _cleanup_(mem_freep) char *folder = mem_printf("%s/logs", s->session_dir);
    _cleanup_(mem_freep) char *path = mem_printf("%s/logs/gcs.log", s->session_dir);
    int r;

    if (!folder || !path)
        return err_set(e, RAIA_ERR_NOMEM, "start");
    r = io_mkdir_p(folder, 0700, e);
    if (r == 0)
        r = logfile_open(path, LOGFILE_SIZE_DEFAULT, LOGFILE_BACKUPS_DEFAULT, ret_file, e);
    if (r == 0)
        logfile_tee(*ret_file, s->log_stderr ? STDERR_FILENO : -1);
    if (r == 0)
        log_set_sink(logfile_sink(*ret_file));
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
        return r < 0 ? 2 : print_help();
    }
    (void)signal(SIGPIPE, SIG_IGN);
    r = open_log(&s, &file, &e);
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
