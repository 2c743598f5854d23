/*
 * The texts of a kube_config's files, re-read as they change: tokens of service accounts live an
 * hour, certificates are rotated.
 *
 *     struct kube_credentials k;
 *     kube_credentials_init(&k, &cfg);
 *     r = kube_credentials_get(&k, now, &now_texts, e);   // before each request: cheap
 *     kube_credentials_stale(&k);                         // after a 401: look again next time
 *
 * A file is looked at (stat) at most once in 5 s, and read when it is another one than before; one
 * that cannot be read any more leaves the old text in use.
 * Ownership: the config must outlive it; the texts are good until the next get. Threads: the
 * owner's. Failure: a file that was never readable: its code, and its path in the text.
 */
#ifndef KUBE_CREDENTIALS_H
#define KUBE_CREDENTIALS_H

#include <stdint.h>

#include "kube/kubeconfig.h"

struct kube_file {
    const char *path; /* NULL: none */
    char *text;       /* as read last */
    int64_t mtime_ns; /* of what was read */
    uint64_t inode;   /* of what was read */
    int64_t size;     /* of what was read */
};

struct kube_credentials {
    const struct kube_config *cfg;         /* where from */
    struct kube_file ca, cert, key, token; /* those that are files */
    int64_t look_ns;                       /* not before this */
};

/* NULL: there is none. */
struct kube_credential_texts {
    const char *ca;    /* PEM */
    const char *cert;  /* PEM */
    const char *key;   /* PEM */
    const char *token; /* without line end */
};

void kube_credentials_init(struct kube_credentials *k, const struct kube_config *cfg);
void kube_credentials_done(struct kube_credentials *k); /* wipes */
int kube_credentials_get(struct kube_credentials *k, int64_t now, struct kube_credential_texts *ret,
                         struct raia_error *e);
void kube_credentials_stale(struct kube_credentials *k);

#endif
