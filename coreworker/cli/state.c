/*
 * State folders (state.h).
 */
#include "cli/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/remote.h"
#include "crypto/crypto.h"
#include "json/json.h"

#define TOKEN_MAX        4096
#define CERTIFICATE_DAYS 3650

void state_cluster_done(struct state_cluster *c)
{
    mem_free(c->name);
    mem_free(c->dir);
    mem_free(c->api_url);
    mem_free(c->gcs_address);
    if (c->token)
        crypto_wipe(c->token, strlen(c->token));
    mem_free(c->token);
    *c = (struct state_cluster){0};
}

int state_root(char **ret_dir, struct raia_error *e)
{
    char root[4096];
    io_state_root(root, sizeof root);
    _cleanup_(mem_freep) char *dir = mem_strdup(root);
    if (dir && dir[0] != '/') {
        char cwd[4096];
        char *absolute = getcwd(cwd, sizeof cwd) ? mem_printf("%s/%s", cwd, dir) : NULL;
        mem_free(dir);
        dir = absolute;
    }
    if (!dir)
        return err_set(e, RAIA_ERR_NOMEM, "the state folder");
    int r = io_mkdir_p(dir, 0700, e);
    if (r < 0)
        return r;
    struct stat st;
    if (lstat(dir, &st) < 0)
        return err_errno(e, errno, "state folder '%s'", dir);
    if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 022))
        return err_set(
            e, RAIA_ERR_PERMISSION,
            "'%s' must be a folder of yours that nobody else can write to; remove it, or "
            "set RAIA_STATE_DIR to another",
            dir);
    *ret_dir = STEAL(dir);
    return 0;
}

int state_dir(const char *name, char **ret_dir, struct raia_error *e)
{
    _cleanup_(mem_freep) char *root = NULL;
    int r = state_root(&root, e);
    if (r < 0)
        return r;
    if (!*name || strchr(name, '/') || name[0] == '.')
        return err_set(e, RAIA_ERR_INVALID, "'%s' is not a cluster's name", name);
    *ret_dir = mem_printf("%s/%s", root, name);
    return *ret_dir ? 0 : err_set(e, RAIA_ERR_NOMEM, "the state folder");
}

bool state_alive(const char *dir, int *ret_pid)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/keeper.pid", dir);
    pid_t pid = path ? fd_lock_holder(path) : 0;
    if (pid && ret_pid)
        *ret_pid = (int)pid;
    return pid != 0;
}

int state_load(const char *dir, const char *name, struct state_cluster *ret_c, struct raia_error *e)
{
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    _cleanup_(mem_freep) char *path = mem_printf("%s/cluster.json", dir);
    _cleanup_(mem_freep) char *token_path = mem_printf("%s/token", dir);
    _cleanup_(json_freep) struct json *root = NULL;
    const char *api, *gcs;
    if (!path || !token_path)
        return err_set(e, RAIA_ERR_NOMEM, "cluster '%s'", name);
    int r = json_load(path, NULL, &root, e);
    if (r == 0)
        r = json_get_str(root, "api_url", &api, e);
    if (r == 0)
        r = json_get_str(root, "gcs_address", &gcs, e);
    if (r == 0)
        r = json_opt_int(root, "created_ms", 0, &c.created_ms, e);
    size_t size;
    if (r == 0)
        r = io_read_file(token_path, TOKEN_MAX, &c.token, &size, e);
    if (r < 0)
        return err_wrap(e, "cluster '%s'", name);
    c.token[strcspn(c.token, "\r\n")] = 0;
    c.name = mem_strdup(name);
    c.dir = mem_strdup(dir);
    c.api_url = mem_strdup(api);
    c.gcs_address = mem_strdup(gcs);
    if (!c.name || !c.dir || !c.api_url || !c.gcs_address)
        return err_set(e, RAIA_ERR_NOMEM, "cluster '%s'", name);
    *ret_c = c;
    c = (struct state_cluster){0};
    return 0;
}

void state_list_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        mem_free(names[i]);
    mem_free(names);
}

static void list_freep(char ***names)
{
    state_list_free(*names);
}

int state_list(char ***ret_names, struct raia_error *e)
{
    _cleanup_(mem_freep) char *root = NULL;
    int r = state_root(&root, e);
    if (r < 0)
        return r;
    _cleanup_(list_freep) char **names = mem_calloc(1, sizeof *names);
    size_t n = 0;
    DIR *d = opendir(root);
    for (struct dirent *it; d && names && (it = readdir(d));) {
        if (it->d_name[0] == '.')
            continue;
        char **more = mem_realloc(names, (n + 2) * sizeof *more);
        if (!more)
            break;
        names = more;
        names[n + 1] = NULL;
        names[n++] = mem_strdup(it->d_name);
    }
    if (d)
        closedir(d);
    if (!names)
        return err_set(e, RAIA_ERR_NOMEM, "the list of clusters");
    *ret_names = STEAL(names);
    return 0;
}

/* The newest cluster that runs. */
static int open_newest(struct state_cluster *ret_c, struct raia_error *e)
{
    _cleanup_(list_freep) char **names = NULL;
    _cleanup_(state_cluster_done) struct state_cluster best = {0};
    int r = state_list(&names, e);
    for (size_t i = 0; r == 0 && names[i]; i++) {
        _cleanup_(mem_freep) char *dir = NULL;
        struct state_cluster c = {0};
        if (state_dir(names[i], &dir, NULL) < 0 || !state_alive(dir, NULL) ||
            state_load(dir, names[i], &c, NULL) < 0)
            continue;
        if (!best.name || c.created_ms > best.created_ms) {
            state_cluster_done(&best);
            best = c;
        } else {
            state_cluster_done(&c);
        }
    }
    if (r < 0)
        return r;
    if (!best.name)
        return err_set(
            e, RAIA_ERR_NOT_FOUND,
            "no cluster of yours runs on this machine; start one with `raia up -f FILE`");
    *ret_c = best;
    best = (struct state_cluster){0};
    return 0;
}

/* The cluster's name in a value of RAIA_ADDRESS: a name, its folder or one of its nodes', or the
 * socket of a node ("unix:PATH"). NULL: none of these. mem_free. */
static char *name_in_address(const char *address)
{
    _cleanup_(mem_freep) char *root = NULL;
    const char *path = strncmp(address, "unix:", 5) ? address : address + 5;
    if (!strchr(path, '/'))
        return mem_strdup(path);
    if (state_root(&root, NULL) < 0 || strncmp(path, root, strlen(root)) ||
        path[strlen(root)] != '/')
        return NULL;
    path += strlen(root) + 1;
    return mem_strndup(path, strcspn(path, "/"));
}

int state_open(const char *name, struct state_cluster *ret_c, struct raia_error *e)
{
    const char *address = getenv("RAIA_ADDRESS");
    _cleanup_(mem_freep) char *dir = NULL;
    _cleanup_(mem_freep) char *named = NULL;
    if (!name)
        name = getenv("RAIA_CLUSTER");
    if (name && remote_is_address(name))
        return remote_open(name, ret_c, e);
    if ((!name || !*name) && address && *address && strcmp(address, "auto"))
        name = named = name_in_address(address);
    if ((!name || !*name) && remote_from_env())
        return remote_open(remote_from_env(), ret_c, e);
    if (!name || !*name)
        return open_newest(ret_c, e);
    int r = state_dir(name, &dir, e);
    if (r < 0)
        return r;
    if (!state_alive(dir, NULL))
        return err_set(
            e, RAIA_ERR_NOT_FOUND,
            "no cluster '%s' runs on this machine; `raia status --all` lists those that do", name);
    return state_load(dir, name, ret_c, e);
}

int state_publish(const char *dir, const char *name, const struct state_address *a,
                  struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = json_new_object();
    _cleanup_(mem_freep) char *path = mem_printf("%s/cluster.json", dir);
    _cleanup_(mem_freep) char *api = mem_printf("http://%s:%d", a->api_host, a->dashboard_port);
    _cleanup_(mem_freep) char *gcs = mem_printf("%s:%d", a->host, a->port);
    int r = root && path && api && gcs ? 0 : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_set_str(root, "name", name);
    if (r == 0)
        r = json_set_str(root, "api_url", api);
    if (r == 0)
        r = json_set_str(root, "gcs_address", gcs);
    if (r == 0)
        r = json_set_int(root, "created_ms", clock_unix_ms());
    _cleanup_(mem_freep) char *text = r == 0 ? json_print(root, JSON_PRETTY, NULL) : NULL;
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "cluster.json");
    return io_write_file(path, text, strlen(text), 0600, 0, e);
}

static int write_pem(const char *dir, const char *name, const char *pem, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/tls/%s", dir, name);
    return path ? crypto_write_secret(path, pem, strlen(pem), e)
                : err_set(e, RAIA_ERR_NOMEM, "certificates");
}

int state_make_secrets(const char *dir, const char *node_ip, struct raia_error *e)
{
    _cleanup_(mem_freep) char *tls = mem_printf("%s/tls", dir);
    _cleanup_(mem_freep) char *token_path = mem_printf("%s/token", dir);
    _cleanup_(mem_freep) char *san = mem_printf("ip:%s", node_ip);
    _cleanup_(mem_freep) char *done = mem_printf("%s/tls/node.key", dir);
    if (!tls || !token_path || !san || !done)
        return err_set(e, RAIA_ERR_NOMEM, "certificates");
    int r = io_mkdir_p(tls, 0700, e);
    char token[CRYPTO_TOKEN_SIZE];
    if (r == 0 && access(token_path, F_OK) < 0) {
        r = crypto_token(token) < 0 ? err_set(e, RAIA_ERR_IO, "no random bytes to be had")
                                    : crypto_write_secret(token_path, token, strlen(token), e);
        crypto_wipe(token, sizeof token);
    }
    if (r < 0 || access(done, F_OK) == 0)
        return r;

    int64_t now = clock_unix_ms() / 1000, life = CERTIFICATE_DAYS * INT64_C(86400);
    _cleanup_(crypto_ca_freep) struct crypto_ca *ca = NULL;
    _cleanup_(crypto_pem_done) struct crypto_pem root = {0}, leaf = {0};
    const char *sans[] = {"dns:raia-node", "dns:localhost", "ip:127.0.0.1", san};
    struct crypto_leaf ask = {.cn = "raia-node",
                              .sans = sans,
                              .n_sans = strcmp(node_ip, "127.0.0.1") ? 4 : 3,
                              .valid_s = life,
                              .client = true,
                              .server = true};
    r = crypto_ca_new("raia cluster", now, life, &ca, e);
    if (r == 0)
        r = crypto_ca_pem(ca, &root, e);
    if (r == 0)
        r = crypto_issue(ca, &ask, now, &leaf, e);
    if (r == 0)
        r = write_pem(dir, "ca.pem", root.cert, e);
    if (r == 0)
        r = write_pem(dir, "ca.key", root.key, e);
    if (r == 0)
        r = write_pem(dir, "node.pem", leaf.cert, e);
    return r == 0 ? write_pem(dir, "node.key", leaf.key, e) : r;
}
