/*
 * raia logs: the log files of a cluster's nodes on this machine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/cluster.h"
#include "cli/verb.h"

#define LOOK_MS 100 /* between looks at a followed file */

/* Calls fn for every entry of a folder but "." and "..", by name. */
static int for_each(const char *dir, int (*fn)(void *arg, const char *name), void *arg)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, alphasort), r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0 && list[i]->d_name[0] != '.')
            r = fn(arg, list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return r;
}

struct search {
    const char *dir;  /* the cluster's */
    const char *logs; /* folder of the node being looked at */
    const char *only; /* this node, or NULL */
    const char *node; /* the one being looked at */
    const char *file; /* looked for; NULL: list all */
    char *found;      /* its path; mem_free */
    size_t n;         /* files listed */
};

static int one_file(void *arg, const char *name)
{
    struct search *s = arg;
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", s->logs, name);
    struct stat st;
    if (!path || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (s->file) {
        if (!strcmp(s->file, name))
            s->found = STEAL(path);
        return s->found != NULL;
    }
    char when[32] = "";
    struct tm tm;
    if (localtime_r(&st.st_mtime, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    if (s->n++ == 0)
        printf("%-16s %10s  %-19s  %s\n", "NODE", "BYTES", "CHANGED", "FILE");
    printf("%-16s %10lld  %-19s  %s\n", s->node, (long long)st.st_size, when, name);
    return 0;
}

static int one_node(void *arg, const char *node)
{
    struct search *s = arg;
    _cleanup_(mem_freep) char *logs = mem_printf("%s/nodes/%s/logs", s->dir, node);
    s->node = node;
    s->logs = logs;
    if (!logs || (s->only && strcmp(s->only, node)))
        return 0;
    return for_each(logs, one_file, s);
}

static int print(const char *path, bool follow)
{
    char buf[65536];
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct raia_error e = {0};
    if (fd < 0) {
        err_errno(&e, errno, "open '%s'", path);
        return verb_fail("logs", &e);
    }
    if (follow)
        cluster_catch_signals();
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n > 0) {
            if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout))
                return 1;
            continue;
        }
        struct stat now, mine;
        if (!follow || cluster_interrupted)
            return n < 0;
        poll(NULL, 0, LOOK_MS);
        /* Rotated: another file has the name now, and this one has been read to its end. */
        if (stat(path, &now) == 0 && fstat(fd, &mine) == 0 && now.st_ino != mine.st_ino) {
            int next = open(path, O_RDONLY | O_CLOEXEC);
            if (next >= 0) {
                close(fd);
                fd = next;
            }
        }
    }
}

/* In a pod: this node's own. */
static const char *pod_dir(void)
{
    return getenv("KUBERNETES_SERVICE_HOST") ? getenv("RAIA_SESSION_DIR") : NULL;
}

/* The folder of a cluster, running or not; NULL: the newest that runs. */
static int cluster_dir(const char *name, char **ret_dir, struct raia_error *e)
{
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    int r = name ? state_dir(name, ret_dir, e) : state_open(NULL, &c, e);
    if (r == 0 && !name)
        *ret_dir = STEAL(c.dir);
    if (r == 0 && access(*ret_dir, F_OK) < 0)
        return err_set(e, RAIA_ERR_NOT_FOUND, "there is no cluster '%s' on this machine", name);
    return r;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"cluster", required_argument, NULL, 'c'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"node", required_argument, NULL, 'n'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    struct search s = {0};
    struct raia_error e = {0};
    const char *cluster = NULL;
    bool follow = false;
    for (int o; (o = getopt_long(argc, argv, "f", options, NULL)) != -1;) {
        if (o == 'c')
            cluster = optarg;
        else if (o == 'n')
            s.only = optarg;
        else if (o == 'f')
            follow = true;
        else if (o != 'a') /* Ray's: the files are this machine's */
            return verb_usage(&verb_logs);
    }
    if (argc - optind > 1 || (follow && optind == argc))
        return verb_usage(&verb_logs);
    if (optind < argc)
        s.file = argv[optind];
    _cleanup_(mem_freep) char *dir = NULL;
    const char *pod = cluster ? NULL : pod_dir();
    if (!pod && cluster_dir(cluster, &dir, &e) < 0)
        return verb_fail("logs", &e);
    s.dir = pod ? pod : dir;
    _cleanup_(mem_freep) char *nodes = mem_printf("%s/%s", s.dir, pod ? "logs" : "nodes");
    if (pod) {
        const char *name = getenv("RAIA_NODE_NAME");
        s.node = name ? name : "-";
        s.logs = nodes;
    }
    if (nodes)
        (void)for_each(nodes, pod ? one_file : one_node, &s);
    if (!s.file)
        return fflush(stdout) != 0;
    _cleanup_(mem_freep) char *path = STEAL(s.found);
    if (!path) {
        err_set(&e, RAIA_ERR_NOT_FOUND, "no log file '%s'%s%s; `raia logs` lists them", s.file,
                s.only ? " on node " : "", s.only ? s.only : "");
        return verb_fail("logs", &e);
    }
    return print(path, follow);
}

const struct verb verb_logs = {
    .name = "logs",
    .run = run,
    .usage = "logs [FILE] [--cluster NAME] [--node NODE] [--follow]",
    .summary = "list the log files of this machine's nodes, or print one",
    .help = "Without FILE lists the log files; with it prints the first of that name.\n\n"
            "  --cluster NAME   running or down; the newest that runs otherwise\n"
            "  --node NODE      only of this node\n"
            "  -f, --follow     as it grows, until Ctrl-C\n\n"
            "  raia logs raylet.log --node head --follow\n",
};
