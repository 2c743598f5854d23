/*
 * The image's libc (image.h).
 */
#include "pod/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"

#define PROBE_MS 20000
#define OUTPUT   2048
#define WHAT_DOES                                                                                  \
    "Debian, Ubuntu, RHEL, distroless/cc and the like do; Alpine and static images do not"

/* The first line, without its end. */
static void first_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

static int judge(int status, char *said, struct raia_error *e)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (strstr(said, "GLIBC_")) {
        first_line(said);
        return err_set(e, RAIA_ERR_UNSUPPORTED,
                       "this image's glibc is too old for programs of Raia: %s", said);
    }
    first_line(said);
    if (WIFSIGNALED(status))
        return err_set(e, RAIA_ERR_UNSUPPORTED,
                       "programs of Raia do not run in this image: killed by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    return err_set(e, RAIA_ERR_UNSUPPORTED,
                   "programs of Raia do not run in this image: status %d: %s", WEXITSTATUS(status),
                   *said ? said : "(no word)");
}

int pod_image_check(const char *program, const char *libraries, struct raia_error *e)
{
    const char *argv[] = {program, "--version", NULL};
    _cleanup_(mem_freep) char *path =
        libraries ? mem_printf("LD_LIBRARY_PATH=%s", libraries) : mem_strdup("LD_LIBRARY_PATH");
    const char *changes[] = {path, NULL};
    char **env = path ? proc_env_change(NULL, changes) : NULL;
    char said[OUTPUT + 1] = "";
    struct raia_error why = {0};
    struct proc_child child;
    int pipes[2], status = 0, r;
    size_t n = 0;

    if (!env)
        return err_set(e, RAIA_ERR_NOMEM, "look at the image");
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        proc_env_free(env);
        return err_errno(e, errno, "look at the image");
    }
    struct proc_fd fds[] = {{.from = pipes[1], .to = 1}, {.from = pipes[1], .to = 2}};
    struct proc_spec spec = {.argv = argv, .env = (const char *const *)env, .fds = fds, .n_fds = 2};
    r = proc_spawn(&spec, &child, &why);
    close(pipes[1]);
    proc_env_free(env);
    if (r < 0) {
        close(pipes[0]);
        /* The program is there: what is not is the loader that it names. */
        if (access(program, X_OK) == 0)
            return err_set(e, RAIA_ERR_UNSUPPORTED,
                           "this image has no glibc (no /lib64/ld-linux-x86-64.so.2): " WHAT_DOES);
        return err_set(e, RAIA_ERR_UNSUPPORTED, "look at the image: %s", why.text);
    }
    r = proc_wait(&child, clock_deadline_ms(PROBE_MS), &status);
    if (r < 0) {
        proc_kill(&child);
        close(pipes[0]);
        return err_set(e, RAIA_ERR_TIMEOUT, "'%s --version' did not end in %d s", program,
                       PROBE_MS / 1000);
    }
    (void)io_read_full(pipes[0], said, OUTPUT, &n);
    close(pipes[0]);
    return judge(status, said, e);
}
