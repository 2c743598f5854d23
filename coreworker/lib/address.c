/*
 * From what a user calls a cluster to the path of a node's socket: "unix:PATH", "auto", a cluster's
 * name, a node's session folder. Of a cluster the head is preferred; what does not answer is passed
 * over. State folders are /tmp/raia-UID/CLUSTER/nodes/NODE, or under
 * RAIA_STATE_DIR in place of /tmp/raia-UID.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/unix.h"
#include "lib/runtime.h"

#define PROBE_MS 1000 /* for a node's socket to accept */

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Somebody listens there: what a dead node left is no address. */
static bool answers(const char *path)
{
    struct raia_error e;
    int fd;

    if (unix_connect(path, SOCK_STREAM, clock_deadline_ms(PROBE_MS), &fd, &e) < 0)
        return false;
    close(fd);
    return true;
}

static bool later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* The socket of a node of that cluster that is alive: the head's, else the newest; its time. */
static bool cluster_socket(const char *cluster, char *path, size_t size, struct timespec *ret_when)
{
    char root[512], nodes[1024], one[2048];
    bool found = false, found_head = false;
    struct dirent *d;
    struct stat st;
    DIR *dir;

    io_state_root(root, sizeof(root));
    snprintf(nodes, sizeof(nodes), "%s/%s/nodes", root, cluster);
    dir = opendir(nodes);
    while (dir && (d = readdir(dir))) {
        bool head = strcmp(d->d_name, "head") == 0;

        if (d->d_name[0] == '.')
            continue;
        snprintf(one, sizeof(one), "%s/%s/raylet.sock", nodes, d->d_name);
        if (strlen(one) >= size || stat(one, &st) < 0 || !S_ISSOCK(st.st_mode))
            continue;
        if (found && !head && (found_head || !later(&st.st_mtim, ret_when)))
            continue;
        if (!answers(one))
            continue;
        found = true;
        found_head |= head;
        *ret_when = st.st_mtim;
        memcpy(path, one, strlen(one) + 1);
    }
    if (dir)
        closedir(dir);
    return found;
}

static int newest(char *path, size_t size, struct raia_error *e)
{
    struct timespec best = {0}, when;
    char base[512], one[512];
    struct dirent *d;
    bool found = false;
    DIR *dir;

    io_state_root(base, sizeof(base));
    dir = opendir(base);
    while (dir && (d = readdir(dir))) {
        if (d->d_name[0] == '.' || !cluster_socket(d->d_name, one, sizeof(one), &when))
            continue;
        if (found && !later(&when, &best))
            continue;
        found = true;
        best = when;
        snprintf(path, size, "%s", one);
    }
    if (dir)
        closedir(dir);
    return found ? 0
                 : err_set(e, RAIA_ERR_NOT_FOUND,
                           "no cluster under %s answers: start one with `raia up` or `raia start`",
                           base);
}

int session_address(const char *address, char *path, size_t size, struct raia_error *e)
{
    struct timespec when;

    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(path, size, "%s", address + 5);
        return 0;
    }
    if (strcmp(address, "auto") == 0)
        return newest(path, size, e);
    if (strchr(address, '/')) {
        snprintf(path, size, "%s/raylet.sock", address);
        if (is_socket(path))
            return 0;
        return err_set(e, RAIA_ERR_NOT_FOUND, "there is no node in the folder %s", address);
    }
    if (cluster_socket(address, path, size, &when))
        return 0;
    return err_set(e, RAIA_ERR_NOT_FOUND,
                   "there is no cluster '%s' of this user on this machine whose node answers: "
                   "`raia status` lists "
                   "them; use unix:PATH for a socket",
                   address);
}
