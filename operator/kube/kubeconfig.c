/*
 * Reading kubeconfig files, and a pod's own credentials.
 */
#include "kube/kubeconfig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "yaml/yaml_load.h"

#define FILE_MAX_BYTES  (4 << 20)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

static void wipe(char **text)
{
    if (*text)
        crypto_wipe(*text, strlen(*text));
    mem_free(STEAL(*text));
}

void kube_config_done(void *p)
{
    struct kube_config *c = p;
    char **plain[] = {&c->server,    &c->ca,       &c->ca_file,    &c->cert,
                      &c->cert_file, &c->key_file, &c->token_file, &c->ns};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        mem_free(STEAL(*plain[i]));
    wipe(&c->key);
    wipe(&c->token);
    c->insecure = false;
}

/* The entry of a list of {"name": ..., kind: {...}} that has this name. */
static int entry_of(const struct json *root, const char *list, const char *kind, const char *name,
                    const char *file, const struct json **ret, struct raia_error *e)
{
    JSON_FOREACH(n, json_get(root, list))
    {
        const char *is = json_str(json_get(n, "name"));
        if (!is || strcmp(is, name) != 0)
            continue;
        *ret = json_get(n, kind);
        if (!json_is(*ret, JSON_OBJECT))
            return err_set(e, RAIA_ERR_INVALID, "%s: %s '%.100s' has no %s", file, list, name,
                           kind);
        return 0;
    }
    return err_set(e, RAIA_ERR_NOT_FOUND, "%s: there is no '%.100s' among the %s", file, name,
                   list);
}

/* A member that is a string: copied to *to if it is there and not empty. */
static int take(const struct json *from, const char *key, const char *file, char **to,
                struct raia_error *e)
{
    const struct json *n = json_get(from, key);
    if (!n || json_is(n, JSON_NULL))
        return 0;
    const char *text = json_str(n);
    if (!text)
        return err_set(e, RAIA_ERR_INVALID, "%s: %s must be a string", file, key);
    if (!text[0])
        return 0;
    *to = mem_strdup(text);
    return *to ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory");
}

/* The same for base 64 of a text. */
static int take_data(const struct json *from, const char *key, const char *file, char **to,
                     struct raia_error *e)
{
    _cleanup_(mem_freep) char *coded = NULL;
    void *data = NULL;
    size_t len = 0;
    int r = take(from, key, file, &coded, e);
    if (r < 0 || !coded)
        return r;
    r = crypto_base64_decode(coded, strlen(coded), &data, &len);
    crypto_wipe(coded, strlen(coded));
    if (r == 0 && strlen(data) != len) {
        mem_free(data);
        r = -RAIA_ERR_INVALID;
    }
    if (r < 0)
        return err_set(e, -r, "%s: %s is no base 64 of a text", file, key);
    *to = data;
    return 0;
}

/* The same for a file's path, which starts at `folder` unless it is absolute. */
static int take_path(const struct json *from, const char *key, const char *file, const char *folder,
                     char **to, struct raia_error *e)
{
    _cleanup_(mem_freep) char *path = NULL;
    int r = take(from, key, file, &path, e);
    if (r < 0 || !path)
        return r;
    *to = path[0] == '/' || !folder ? STEAL(path) : mem_printf("%s/%s", folder, path);
    return *to ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory");
}

static int take_bool(const struct json *from, const char *key, const char *file, bool *to,
                     struct raia_error *e)
{
    const struct json *n = json_get(from, key);
    if (!n || json_is(n, JSON_NULL))
        return 0;
    if (json_bool(n, to) < 0)
        return err_set(e, RAIA_ERR_INVALID, "%s: %s must be true or false", file, key);
    return 0;
}

/* What is there and not understood would change what happens: refused, with what to do. */
static int refuse(const struct json *from, const char *file, struct raia_error *e)
{
    static const struct {
        const char *key;
        const char *advice;
    } table[] = {
        {"exec", "exec plug-ins are not run; put a token (kubectl create token ...) or a client "
                 "certificate into the file"},
        {"auth-provider", "auth-provider plug-ins are not supported; use a token or a client "
                          "certificate"},
        {"username", "passwords are not supported; use a token or a client certificate"},
        {"password", "passwords are not supported; use a token or a client certificate"},
        {"proxy-url", "proxies are not supported; name the API server itself"},
        {"tls-server-name", "it is not supported; name the server as its certificate does"},
        {"as", "impersonation is not supported; use credentials of that user"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct json *n = json_get(from, table[i].key);
        const char *text = json_str(n);
        if (n && !json_is(n, JSON_NULL) && !(text && !text[0]))
            return err_set(e, RAIA_ERR_UNSUPPORTED, "%s: %s: %s", file, table[i].key,
                           table[i].advice);
    }
    return 0;
}

static int read_cluster(const struct json *c, const char *file, const char *folder,
                        struct kube_config *cfg, struct raia_error *e)
{
    int r = refuse(c, file, e);
    if (r == 0)
        r = take(c, "server", file, &cfg->server, e);
    if (r == 0)
        r = take_data(c, "certificate-authority-data", file, &cfg->ca, e);
    if (r == 0 && !cfg->ca)
        r = take_path(c, "certificate-authority", file, folder, &cfg->ca_file, e);
    if (r == 0)
        r = take_bool(c, "insecure-skip-tls-verify", file, &cfg->insecure, e);
    return r;
}

static int read_user(const struct json *u, const char *file, const char *folder,
                     struct kube_config *cfg, struct raia_error *e)
{
    int r = refuse(u, file, e);
    if (r == 0)
        r = take_data(u, "client-certificate-data", file, &cfg->cert, e);
    if (r == 0 && !cfg->cert)
        r = take_path(u, "client-certificate", file, folder, &cfg->cert_file, e);
    if (r == 0)
        r = take_data(u, "client-key-data", file, &cfg->key, e);
    if (r == 0 && !cfg->key)
        r = take_path(u, "client-key", file, folder, &cfg->key_file, e);
    if (r == 0)
        r = take_path(u, "tokenFile", file, folder, &cfg->token_file, e);
    if (r == 0 && !cfg->token_file) /* kubectl too prefers the file */
        r = take(u, "token", file, &cfg->token, e);
    if (r == 0 && cfg->token && strpbrk(cfg->token, "\r\n"))
        r = err_set(e, RAIA_ERR_INVALID, "%s: the token has line breaks", file);
    if (r == 0 && (cfg->cert || cfg->cert_file) != (cfg->key || cfg->key_file))
        r = err_set(e, RAIA_ERR_INVALID,
                    "%s: a client certificate and its key must be given together", file);
    return r;
}

static int check(struct kube_config *cfg, const char *file, struct raia_error *e)
{
    bool secret = cfg->token || cfg->token_file || cfg->key || cfg->key_file;
    if (!cfg->server)
        return err_set(e, RAIA_ERR_INVALID, "%s: the cluster has no server", file);
    bool tls = str_starts_with(cfg->server, "https://");
    if ((!tls && !str_starts_with(cfg->server, "http://")) || strpbrk(cfg->server, " \r\n?#@"))
        return err_set(e, RAIA_ERR_INVALID, "%s: server '%.200s' is no https:// URL", file,
                       cfg->server);
    if (!tls && secret)
        return err_set(e, RAIA_ERR_INVALID,
                       "%s: server '%.200s' is plain HTTP: credentials are not sent over it", file,
                       cfg->server);
    if (cfg->insecure && (cfg->ca || cfg->ca_file))
        return err_set(e, RAIA_ERR_INVALID,
                       "%s: a CA and insecure-skip-tls-verify cannot go together", file);
    for (size_t n = strlen(cfg->server); n && cfg->server[n - 1] == '/'; n--)
        cfg->server[n - 1] = '\0';
    if (!cfg->ns && !(cfg->ns = mem_strdup("default")))
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    return 0;
}

static int read_root(const struct json *root, const char *file, const char *folder,
                     const char *context, struct kube_config *cfg, struct raia_error *e)
{
    const struct json *c = NULL, *cluster = NULL, *user = NULL;
    if (!json_is(root, JSON_OBJECT))
        return err_set(e, RAIA_ERR_INVALID, "%s: a kubeconfig is an object", file);
    const char *kind = json_str(json_get(root, "kind"));
    if (kind && strcmp(kind, "Config") != 0)
        return err_set(e, RAIA_ERR_INVALID, "%s: of kind '%.60s', not Config", file, kind);
    if (!context)
        context = json_str(json_get(root, "current-context"));
    if (!context || !context[0])
        return err_set(e, RAIA_ERR_INVALID, "%s: no current-context; name a context", file);
    int r = entry_of(root, "contexts", "context", context, file, &c, e);
    if (r < 0)
        return r;
    const char *cluster_name = json_str(json_get(c, "cluster"));
    const char *user_name = json_str(json_get(c, "user"));
    if (!cluster_name)
        return err_set(e, RAIA_ERR_INVALID, "%s: context '%.100s' names no cluster", file, context);
    r = entry_of(root, "clusters", "cluster", cluster_name, file, &cluster, e);
    if (r == 0)
        r = read_cluster(cluster, file, folder, cfg, e);
    if (r == 0 && user_name && user_name[0]) {
        r = entry_of(root, "users", "user", user_name, file, &user, e);
        if (r == 0)
            r = read_user(user, file, folder, cfg, e);
    }
    if (r == 0)
        r = take(c, "namespace", file, &cfg->ns, e);
    return r < 0 ? r : check(cfg, file, e);
}

int kube_config_parse(const char *text, size_t len, const char *name, const char *folder,
                      const char *context, struct kube_config *ret_cfg, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(kube_config_done) struct kube_config cfg = {0};
    struct yaml_limits limits = {.max_bytes = FILE_MAX_BYTES};
    int r = yaml_load_one(text, len, name, &limits, &root, e);
    if (r == 0)
        r = read_root(root, name, folder, context, &cfg, e);
    if (r < 0)
        return r;
    *ret_cfg = cfg;
    cfg = (struct kube_config){0};
    return 0;
}

static char *home_path(void)
{
    const char *home = getenv("HOME");
    return home && home[0] ? mem_printf("%s/.kube/config", home) : NULL;
}

int kube_config_load(const char *path, const char *context, struct kube_config *ret_cfg,
                     struct raia_error *e)
{
    const char *env = getenv("KUBECONFIG");
    _cleanup_(mem_freep) char *home = NULL, *text = NULL, *folder = NULL;
    size_t len = 0;
    if (!path && env && env[0])
        path = env;
    if (!path)
        path = home = home_path();
    if (!path)
        return err_set(e, RAIA_ERR_NOT_FOUND, "no kubeconfig: set KUBECONFIG or HOME");
    int r = io_read_file(path, FILE_MAX_BYTES, &text, &len, e);
    if (r < 0)
        return err_wrap(e, "kubeconfig");
    const char *slash = strrchr(path, '/');
    folder = slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
    if (!folder)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    r = kube_config_parse(text, len, path, folder, context, ret_cfg, e);
    crypto_wipe(text, len);
    return r;
}

int kube_config_in_cluster(const char *folder, struct kube_config *ret_cfg, struct raia_error *e)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    uint64_t number = 0;
    _cleanup_(kube_config_done) struct kube_config cfg = {0};
    folder = folder ? folder : SERVICE_ACCOUNT;
    if (!host || !host[0])
        return err_set(e, RAIA_ERR_NOT_FOUND,
                       "not in a pod: KUBERNETES_SERVICE_HOST is not set; give a kubeconfig");
    if (str_to_u64(port && port[0] ? port : "443", &number) < 0 || number == 0 || number > 65535 ||
        strpbrk(host, " /?#@\r\n"))
        return err_set(e, RAIA_ERR_INVALID,
                       "KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is malformed");
    const char *open = strchr(host, ':') ? "[" : "", *close = open[0] ? "]" : "";
    _cleanup_(mem_freep) char *ns_file = mem_printf("%s/namespace", folder);
    cfg.server = mem_printf("https://%s%s%s:%u", open, host, close, (unsigned)number);
    cfg.ca_file = mem_printf("%s/ca.crt", folder);
    cfg.token_file = mem_printf("%s/token", folder);
    if (!ns_file || !cfg.server || !cfg.ca_file || !cfg.token_file)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    if (access(cfg.token_file, R_OK) < 0)
        return err_set(e, RAIA_ERR_NOT_FOUND, "no service account token at %s", cfg.token_file);
    if (io_read_file(ns_file, 256, &cfg.ns, NULL, NULL) == 0) {
        cfg.ns[strcspn(cfg.ns, "\r\n")] = '\0';
    } else if (!(cfg.ns = mem_strdup("default"))) {
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    }
    *ret_cfg = cfg;
    cfg = (struct kube_config){0};
    return 0;
}

int kube_config_find(const char *path, const char *context, struct kube_config *ret_cfg,
                     struct raia_error *e)
{
    const char *env = getenv("KUBECONFIG"), *host = getenv("KUBERNETES_SERVICE_HOST");
    if (!path && !(env && env[0]) && host && host[0])
        return kube_config_in_cluster(NULL, ret_cfg, e);
    return kube_config_load(path, context, ret_cfg, e);
}
