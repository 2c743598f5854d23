/*
 * Secrets of a RayCluster: the token of its REST API, and the certificates of its nodes.
 *
 *     r = secret_token(cluster, maker, &secret, e);               // Secret CLUSTER, key auth_token
 *     r = secret_tls(c, config, "demo-head-svc", maker, ca, NULL, now_s, &set, e);  // three of them
 *
 * A cluster has one authority: Secret CLUSTER-raia-ca (ca.pem, ca.key), which no pod ever mounts, and
 * a certificate for each role, CLUSTER-raia-tls-head and -worker (ca.pem, node.pem, node.key). What
 * must be known of them later is in annotations, because the contents of secrets are never read
 * again: the authorities' certificate, by which the next one can be introduced before it signs, and
 * when the nodes' certificates end.
 *
 * Rotation needs no reading either. A new authority is made each time: first all nodes are told to
 * trust it too (ca.pem gets both), and when that has spread, after
 * SECRET_SPREAD_NS, their certificates are replaced by its own, and the authority's secret last. In
 * between its key is in memory alone; if that is lost, another one begins from the start, beside all
 * that may have signed something: the annotations of the three name them.
 *
 * Keys and tokens come from a secret_maker, so that this stays pure. Ownership: results are the
 * caller's. Threads: any. Failure: -NOMEM, and what the maker says; no key or token is in a text.
 */
#ifndef OPERATOR_SECRET_H
#define OPERATOR_SECRET_H

#include <stdint.h>

#include "api/raycluster.h"
#include "core/config.h"
#include "json/json.h"

#define SECRET_ANNOTATION_CA   "ray.io/raia-ca"      /* the authority's certificate, PEM */
#define SECRET_ANNOTATION_ID   "ray.io/raia-ca-id"   /* the same in short, on all three */
#define SECRET_ANNOTATION_NEXT "ray.io/raia-ca-next" /* of a leaf: the one introduced last, PEM */
#define SECRET_ANNOTATION_ENDS "ray.io/raia-tls-expires" /* RFC 3339: the nodes' certificates */
#define SECRET_TOKEN_KEY       "auth_token"
#define SECRET_CA_DAYS         3650
#define SECRET_LEAF_DAYS       365
#define SECRET_RENEW_DAYS      120 /* before they end */
#define SECRET_SPREAD_NS       (15 * 60 * INT64_C(1000000000))

/* An authority in memory: the maker's. */
struct secret_ca;

/* Where keys come from. */
struct secret_maker {
    /* A fresh token, at most 128 bytes; mem_free. */
    int (*token)(struct secret_maker *m, char **ret_token, struct raia_error *e);
    int (*ca)(struct secret_maker *m, const char *name, int64_t now_s, int64_t valid_s,
              struct secret_ca **ret_ca, struct raia_error *e);
    /* Its certificate and private key, PEM; mem_free. */
    int (*ca_pem)(struct secret_maker *m, const struct secret_ca *ca, char **ret_cert,
                  char **ret_key, struct raia_error *e);
    /* A node's, for both ends of a connection. sans: as crypto/crypto.h. */
    int (*leaf)(struct secret_maker *m, const struct secret_ca *ca, const char *cn,
                const char *const *sans, size_t n_sans, int64_t now_s, int64_t valid_s,
                char **ret_cert, char **ret_key, struct raia_error *e);
    void (*ca_free)(struct secret_maker *m, struct secret_ca *ca); /* accepts NULL */
    /* Base 64, for a Secret's data; mem_free. NULL: no memory. */
    char *(*base64)(struct secret_maker *m, const char *text);
};

/* The cluster's Secret with the token: the user's own or CLUSTER. NULL: it has no token, or the user
 * has given it in the pod's variables by another way. *ret_made: we make it. */
const char *secret_token_name(const struct ray_cluster *c, const struct operator_config *config,
                              bool *ret_made);
int secret_token(const struct ray_cluster *c, struct secret_maker *m, struct json **ret_secret,
                 struct raia_error *e);

/* The labels that every secret of the cluster has; NULL: no memory. */
struct json *secret_labels(const struct ray_cluster *c);
/* A merge patch that gives one that is there its labels back; NULL in *ret_patch: it has them. */
int secret_relabel(const struct ray_cluster *c, const struct json *have, struct json **ret_patch);

void secret_ca_name(const struct ray_cluster *c, char *buf, size_t size);
void secret_tls_name(const struct ray_cluster *c, bool head, char *buf, size_t size);

/* The three secrets of an authority. */
struct secret_set {
    struct json *ca;      /* CLUSTER-raia-ca */
    struct json *leaf[2]; /* of workers, of the head */
};
void secret_set_done(void *set); /* usable with _cleanup_ */

/* Objects to create or apply. trust: certificates (PEM) that are trusted beside the authority's;
 * NULL. */
int secret_tls(const struct ray_cluster *c, const struct operator_config *config,
               const char *service, struct secret_maker *m, const struct secret_ca *ca,
               const char *trust, int64_t now_s, struct secret_set *ret, struct raia_error *e);
/* A merge patch of the two leaf secrets by which `ca` is trusted beside those of `trust`. */
int secret_trust(struct secret_maker *m, const struct secret_ca *ca, const char *trust,
                 struct json **ret_patch, struct raia_error *e);

#endif
