/*
 * Where the API server is and who we are: from a kubeconfig file, or from inside a pod.
 *
 *     struct kube_config cfg = {0};
 *     r = kube_config_load(path, context, &cfg, e);     // path NULL: $KUBECONFIG, ~/.kube/config
 *     r = kube_config_in_cluster(NULL, &cfg, e);
 *     r = kube_config_find(NULL, NULL, &cfg, e);        // a file that was named; in a pod, the pod's
 *     kube_config_done(&cfg);
 *
 * Understood: clusters (server, certificate-authority and -data, insecure-skip-tls-verify), users
 * (client-certificate, client-key and -data, token, tokenFile), contexts with a namespace. Refused
 * with a text that says what to do: exec and auth-provider plug-ins, passwords, proxies,
 * tls-server-name, and http:// servers together with a secret. $KUBECONFIG names one file.
 * Relative paths start at the file's folder. Files are named here, and read when they are needed
 * (credentials.h), as they change.
 *
 * Ownership: a kube_config owns its texts; done wipes secrets. Threads: any.
 * Failure: -NOT_FOUND, -INVALID, -UNSUPPORTED, -PROTOCOL; no text holds a secret.
 */
#ifndef KUBE_KUBECONFIG_H
#define KUBE_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "raia/error.h"

/* NULL: not given. Of an inline text and a file the inline text counts. */
struct kube_config {
    char *server;     /* https://HOST:PORT[/PREFIX], without '/' at the end */
    char *ca;         /* PEM */
    char *ca_file;    /* its file */
    char *cert;       /* own certificate, PEM */
    char *cert_file;  /* its file */
    char *key;        /* own private key, PEM */
    char *key_file;   /* its file */
    char *token;      /* bearer token */
    char *token_file; /* its file: re-read as it changes */
    char *ns;         /* the context's namespace; "default" if it has none */
    bool insecure;    /* insecure-skip-tls-verify was said */
};

/* context NULL: current-context. */
int kube_config_load(const char *path, const char *context, struct kube_config *ret_cfg,
                     struct raia_error *e);
/* The same of a text; `name` and `folder` (for relative paths) are of its file. */
int kube_config_parse(const char *text, size_t len, const char *name, const char *folder,
                      const char *context, struct kube_config *ret_cfg, struct raia_error *e);
/* From KUBERNETES_SERVICE_HOST and _PORT and a service account's folder (NULL: the usual). */
int kube_config_in_cluster(const char *folder, struct kube_config *ret_cfg, struct raia_error *e);
/* path, or $KUBECONFIG, or in a pod the pod's own, or ~/.kube/config. */
int kube_config_find(const char *path, const char *context, struct kube_config *ret_cfg,
                     struct raia_error *e);
void kube_config_done(void *cfg); /* accepts a zeroed one; usable with _cleanup_ */

#endif
