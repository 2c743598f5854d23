/*
 * kubeconfig files, a pod's credentials, and files that change.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "kube/credentials.h"
#include "kube/kubeconfig.h"

#define HEAD                                                                                       \
    "apiVersion: v1\nkind: Config\ncurrent-context: one\n"                                         \
    "contexts:\n- {name: one, context: {cluster: c, user: u, namespace: team}}\n"                  \
    "- {name: two, context: {cluster: c, user: v}}\n"

static int parse(const char *clusters, const char *users, const char *context,
                 struct kube_config *cfg, struct raia_error *e)
{
    char text[4096];
    snprintf(text, sizeof text, HEAD "clusters: [{name: c, cluster: %s}]\nusers:\n%s", clusters,
             users);
    return kube_config_parse(text, strlen(text), "conf", "/etc/k", context, cfg, e);
}

/* Inline texts, files (from the file's folder) and tokens are found by the context. */
Test(kubeconfig, understood)
{
    struct kube_config cfg = {0};
    struct raia_error e = {0};
    const char *users = "- {name: u, user: {client-certificate-data: Y2VydA==, client-key-data: "
                        "a2V5}}\n- {name: v, user: {tokenFile: tok}}\n";
    cr_assert_eq(parse("{server: 'https://h:6443/', certificate-authority-data: Y2E=}", users, NULL,
                       &cfg, &e),
                 0, "%s", e.text);
    cr_assert_str_eq(cfg.server, "https://h:6443");
    cr_assert_str_eq(cfg.ca, "ca");
    cr_assert_str_eq(cfg.cert, "cert");
    cr_assert_str_eq(cfg.key, "key");
    cr_assert_str_eq(cfg.ns, "team");
    cr_assert_null(cfg.token);
    kube_config_done(&cfg);
    cr_assert_eq(
        parse("{server: 'https://h', certificate-authority: /ca.crt}", users, "two", &cfg, &e), 0,
        "%s", e.text);
    cr_assert_str_eq(cfg.ca_file, "/ca.crt");
    cr_assert_str_eq(cfg.token_file, "/etc/k/tok");
    cr_assert_str_eq(cfg.ns, "default");
    kube_config_done(&cfg);
    cr_assert_eq(parse("{server: 'https://h', insecure-skip-tls-verify: true}",
                       "- {name: u, user: {token: t}}\n", NULL, &cfg, &e),
                 0, "%s", e.text);
    cr_assert(cfg.insecure);
    cr_assert_str_eq(cfg.token, "t");
    kube_config_done(&cfg);
}

static void refused(const char *clusters, const char *users, const char *context, int code,
                    const char *part)
{
    struct kube_config cfg = {0};
    struct raia_error e = {0};
    int r = parse(clusters, users, context, &cfg, &e);
    cr_assert_eq(r, -code, "%s: %s", part, e.text);
    cr_assert_not_null(strstr(e.text, part), "'%s' is not in '%s'", part, e.text);
    cr_assert_null(strstr(e.text, "SECRET"));
    cr_assert_null(cfg.server);
}

/* What is not understood, or would leak a secret, is refused with a text that says what to do. */
Test(kubeconfig, refused)
{
    static const char ok[] = "{server: 'https://h'}",
                      user[] = "- {name: u, user: {token: SECRET}}\n";
    refused(ok, "- {name: u, user: {exec: {command: aws}}}\n", NULL, RAIA_ERR_UNSUPPORTED,
            "create token");
    refused(ok, "- {name: u, user: {auth-provider: {name: gcp}}}\n", NULL, RAIA_ERR_UNSUPPORTED,
            "auth-provider");
    refused(ok, "- {name: u, user: {username: a, password: SECRET}}\n", NULL, RAIA_ERR_UNSUPPORTED,
            "passwords");
    refused("{server: 'https://h', proxy-url: 'http://p'}", user, NULL, RAIA_ERR_UNSUPPORTED,
            "proxies");
    refused("{server: 'http://h'}", user, NULL, RAIA_ERR_INVALID, "plain HTTP");
    refused("{server: 'ftp://h'}", user, NULL, RAIA_ERR_INVALID, "https://");
    refused("{}", user, NULL, RAIA_ERR_INVALID, "no server");
    refused("{server: 'https://h', certificate-authority-data: '!'}", user, NULL, RAIA_ERR_INVALID,
            "base 64");
    refused("{server: 'https://h', insecure-skip-tls-verify: 1}", user, NULL, RAIA_ERR_INVALID,
            "true or false");
    refused("{server: 'https://h', certificate-authority: /a, insecure-skip-tls-verify: true}",
            user, NULL, RAIA_ERR_INVALID, "cannot go together");
    refused(ok, "- {name: u, user: {client-certificate: /a}}\n", NULL, RAIA_ERR_INVALID,
            "together");
    refused(ok, user, "three", RAIA_ERR_NOT_FOUND, "'three'");
    refused(ok, user, "two", RAIA_ERR_NOT_FOUND, "'v'");
    refused(ok, "- {name: u, user: {token: [SECRET]}}\n", NULL, RAIA_ERR_INVALID, "a string");
}

static char folder[] = "/tmp/kubeXXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert_eq(io_write_file(path, text, strlen(text), 0600, 0, NULL), 0);
}

static void setup(void)
{
    cr_assert_not_null(mkdtemp(folder));
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
}

static void teardown(void)
{
    io_remove_tree(folder, NULL);
}

/* A file is found by name, environment or home; in a pod its service account is. */
Test(kubeconfig, found, .init = setup, .fini = teardown)
{
    struct kube_config cfg = {0};
    struct raia_error e = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/conf", folder);
    put("conf", HEAD "clusters: [{name: c, cluster: {server: 'https://h'}}]\n"
                     "users: [{name: u, user: {tokenFile: t}}]\n");
    setenv("KUBECONFIG", path, 1);
    cr_assert_eq(kube_config_find(NULL, NULL, &cfg, &e), 0, "%s", e.text);
    cr_assert_not_null(strstr(cfg.token_file, folder));
    kube_config_done(&cfg);
    setenv("KUBECONFIG", "/none", 1);
    cr_assert_eq(kube_config_find(NULL, NULL, &cfg, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_not_null(strstr(e.text, "/none"));
    unsetenv("KUBECONFIG");
    cr_assert_eq(kube_config_in_cluster(folder, &cfg, &e), -RAIA_ERR_NOT_FOUND);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
    cr_assert_eq(kube_config_in_cluster(folder, &cfg, &e), -RAIA_ERR_NOT_FOUND);
    put("token", "tok\n");
    put("namespace", "sys\n");
    cr_assert_eq(kube_config_in_cluster(folder, &cfg, &e), 0, "%s", e.text);
    cr_assert_str_eq(cfg.server, "https://[fd00::1]:6443");
    cr_assert_str_eq(cfg.ns, "sys");
    kube_config_done(&cfg);
}

/* A token is the one in its file now; one that cannot be read any more is used on; after a 401 the
 * file is looked at at once. */
Test(kubeconfig, credentials, .init = setup, .fini = teardown)
{
    char path[128];
    snprintf(path, sizeof path, "%s/token", folder);
    struct kube_config cfg = {.server = NULL, .token_file = path};
    struct kube_credentials k;
    struct kube_credential_texts now;
    struct raia_error e = {0};
    kube_credentials_init(&k, &cfg);
    cr_assert_eq(kube_credentials_get(&k, 0, &now, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_not_null(strstr(e.text, path));
    put("token", "one\n");
    cr_assert_eq(kube_credentials_get(&k, 1, &now, &e), 0);
    cr_assert_str_eq(now.token, "one");
    cr_assert_null(now.ca);
    put("token", "second");
    cr_assert_eq(kube_credentials_get(&k, 2, &now, &e), 0);
    cr_assert_str_eq(now.token, "one", "not looked at all the time");
    cr_assert_eq(kube_credentials_get(&k, INT64_C(6000000000), &now, &e), 0);
    cr_assert_str_eq(now.token, "second");
    put("token", "third");
    kube_credentials_stale(&k);
    cr_assert_eq(kube_credentials_get(&k, INT64_C(6000000001), &now, &e), 0);
    cr_assert_str_eq(now.token, "third");
    unlink(path);
    kube_credentials_stale(&k);
    cr_assert_eq(kube_credentials_get(&k, INT64_C(6000000002), &now, &e), 0);
    cr_assert_str_eq(now.token, "third");
    kube_credentials_done(&k);
}
