/*
 * raia-pod: what a Ray container executes. It reads `ray start`'s flags and the pod's environment,
 * prepares the session folder, and becomes raia-agent (docs/design/pod.md).
 *
 *     raia-pod --head [FLAG ...] | --address=HOST:PORT [FLAG ...]
 *
 * Exit status, if it does not come to that: 2 a flag or variable is wrong; 126 this image cannot run
 * Raia's programs; 1 anything else. The reason is on standard error and in /dev/termination-log.
 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"
#include "crypto/crypto.h"
#include "pod/image.h"
#include "pod/plan.h"

#define PEM_MAX  (256u << 10)
#define TLS_NAME "raia-node" /* what every node's certificate must name */

extern char **environ;

static void say_end(const struct raia_error *e)
{
    const char *path = getenv("RAIA_TERMINATION_LOG");
    _cleanup_(mem_freep) char *line = mem_printf("raia-pod: %s\n", e->text);
    _cleanup_(fd_closep) int fd =
        open(path && *path ? path : "/dev/termination-log", O_WRONLY | O_TRUNC | O_CLOEXEC);

    fprintf(stderr, "raia-pod: %s\n", e->text);
    if (fd >= 0 && line)
        (void)io_write_full(fd, line, strlen(line));
}

/* ---- what the system knows */

/* The first address that is not loopback's: what a pod has one of. */
static void find_ip(char ip[NI_MAXHOST])
{
    struct ifaddrs *list = NULL;

    ip[0] = '\0';
    if (getifaddrs(&list) < 0)
        return;
    for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0)
        for (struct ifaddrs *a = list; a && !ip[0]; a = a->ifa_next) {
            socklen_t size =
                family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
            if (!a->ifa_addr || a->ifa_addr->sa_family != family ||
                getnameinfo(a->ifa_addr, size, ip, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0 ||
                !strncmp(ip, "127.", 4) || !strcmp(ip, "::1") || strchr(ip, '%'))
                ip[0] = '\0';
        }
    freeifaddrs(list);
}

/* ---- what the agent needs */

static int make_folders(const struct pod_plan *p, struct raia_error *e)
{
    _cleanup_(mem_freep) char *logs = mem_printf("%s/logs", p->session_dir);
    int r;

    if (!logs)
        return err_set(e, RAIA_ERR_NOMEM, "the folders");
    /* Those who collect logs may be of another user; keys and tokens are files of mode 0600. */
    r = io_mkdir_p(logs, 0755, e);
    if (r == 0 && access(p->session_dir, W_OK) < 0)
        r = err_errno(e, errno, "write to '%s'", p->session_dir);
    if (r < 0)
        return err_wrap(
            e, "the session folder needs a writable place: mount an emptyDir at /tmp/ray, or "
               "set RAIA_SESSION_DIR");
    if (p->storage_dir && access(p->storage_dir, W_OK) < 0)
        return err_errno(e, errno, "RAIA_STORAGE_PATH: write to '%s'", p->storage_dir);
    return 0;
}

static int write_token(const struct pod_plan *p, struct raia_error *e)
{
    char fresh[CRYPTO_TOKEN_SIZE];
    const char *token = p->token;
    int r;

    if (p->open)
        return 0;
    if (!token && crypto_token(fresh) < 0)
        return err_set(e, RAIA_ERR_IO, "no random bytes to be had");
    token = token ? token : fresh;
    r = crypto_write_secret(p->token_file, token, strlen(token), e);
    crypto_wipe(fresh, sizeof fresh);
    return r;
}

static int read_pem(const char *dir, const char *name, char **ret_text, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, name);

    return path ? io_read_file(path, PEM_MAX, ret_text, NULL, e)
                : err_set(e, RAIA_ERR_NOMEM, "the certificates");
}

/* Said here, where it is seen, and not by three daemons later. */
static int check_tls(const struct pod_plan *p, struct raia_error *e)
{
    _cleanup_(mem_freep) char *ca = NULL, *cert = NULL, *key = NULL;
    int r;

    if (!p->tls_dir)
        return 0;
    r = read_pem(p->tls_dir, "ca.pem", &ca, e);
    if (r == 0)
        r = read_pem(p->tls_dir, "node.pem", &cert, e);
    if (r == 0)
        r = read_pem(p->tls_dir, "node.key", &key, e);
    if (key)
        crypto_wipe(key, strlen(key));
    if (r == 0)
        r = crypto_cert_verify(ca, cert, TLS_NAME, clock_unix_ms() / 1000, e);
    return r < 0 ? err_wrap(e, "RAIA_TLS_DIR %s", p->tls_dir) : 0;
}

static int write_pid(const struct pod_plan *p, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/agent.pid", p->session_dir);
    _cleanup_(mem_freep) char *text = mem_printf("%d\n", (int)getpid());

    return path && text ? io_write_file(path, text, strlen(text), 0644, 0, e)
                        : err_set(e, RAIA_ERR_NOMEM, "agent.pid");
}

static int prepare(const struct pod_plan *p, struct raia_error *e)
{
    _cleanup_(mem_freep) char *worker = proc_beside("raia-worker", e);
    _cleanup_(mem_freep) char *user = worker ? proc_beside("../lib/user", e) : NULL;
    int r;

    if (!user)
        return -e->code;
    r = pod_image_check(worker, access(user, F_OK) == 0 ? user : NULL, e);
    if (r == 0)
        r = make_folders(p, e);
    if (r == 0)
        r = check_tls(p, e);
    if (r == 0)
        r = write_token(p, e);
    return r == 0 ? write_pid(p, e) : r;
}

static void name_ignored(const struct pod_flags *f)
{
    if (!f->n_ignored)
        return;
    fprintf(stderr, "raia-pod: flags of Ray that mean nothing here:");
    for (size_t i = 0; i < f->n_ignored; i++)
        fprintf(stderr, " --%s", f->ignored[i]);
    fprintf(stderr, "\n");
}

static int run(int argc, char **argv, int *ret_status, struct raia_error *e)
{
    _cleanup_(pod_flags_done) struct pod_flags f = {0};
    _cleanup_(pod_plan_done) struct pod_plan p = {0};
    char hostname[256] = "node", ip[NI_MAXHOST];
    _cleanup_(mem_freep) char *agent = proc_beside("raia-agent", e);
    int r;

    if (!agent)
        return -e->code;
    *ret_status = 2;
    r = pod_flags_read(&f, argc, argv, e);
    if (r < 0)
        return r;
    name_ignored(&f);
    (void)gethostname(hostname, sizeof hostname - 1);
    find_ip(ip);
    struct pod_facts facts = {.hostname = hostname, .ip = ip[0] ? ip : NULL, .agent = agent};
    r = pod_plan_make(&f, environ, &facts, &p, e);
    if (r < 0)
        return r;
    *ret_status = 1;
    r = prepare(&p, e);
    if (r == -RAIA_ERR_UNSUPPORTED)
        *ret_status = 126;
    if (r < 0)
        return r;
    execve(agent, p.argv, p.env);
    return err_errno(e, errno, "execute '%s'", agent);
}

int main(int argc, char **argv)
{
    struct raia_error e = {0};
    int status = 1;

    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        printf("raia-pod: a node of a Raia cluster in a pod; flags as those of `ray start`.\n\n"
               "usage: raia-pod --head [FLAG ...] | --address=HOST:PORT [FLAG ...]\n");
        return 0;
    }
    umask(022);
    if (run(argc, argv, &status, &e) < 0)
        say_end(&e);
    return status;
}
