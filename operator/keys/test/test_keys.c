/*
 * Tests of keys/keys.h: that a cluster's secrets hold certificates which nodes can use.
 */
#include "keys/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"

#define NOW INT64_C(1800000000)
#define DAY 86400

static const struct operator_config config = {.cluster_domain = "cluster.local", .tls = true};
static const struct ray_cluster cluster = {.name = "demo", .ns = "team", .uid = "u-1"};

/* The text of one key of a Secret; mem_free. */
static char *data(const struct json *secret, const char *key)
{
    const char *coded = json_str(json_get(json_get(secret, "data"), key));
    void *text = NULL;
    size_t len;

    cr_assert(coded, "no %s", key);
    cr_assert_eq(crypto_base64_decode(coded, strlen(coded), &text, &len), 0);
    return text;
}

static struct secret_ca *new_ca(void)
{
    struct secret_ca *ca = NULL;
    struct raia_error e = {0};

    cr_assert_eq(keys_maker()->ca(keys_maker(), "demo-raia-ca", NOW, 3650 * DAY, &ca, &e), 0, "%s",
                 e.text);
    return ca;
}

/* Both roles' certificates verify against the authority for the common name, the head's for its
 * service too; they say who they are, and end in a year. */
Test(keys, certificates)
{
    _cleanup_(secret_set_done) struct secret_set set = {0};
    struct secret_ca *ca = new_ca();
    struct raia_error e = {0};

    cr_assert_eq(
        secret_tls(&cluster, &config, "demo-head-svc", keys_maker(), ca, NULL, NOW, &set, &e), 0,
        "%s", e.text);
    keys_maker()->ca_free(keys_maker(), ca);
    _cleanup_(mem_freep) char *root = data(set.ca, "ca.pem");
    for (int head = 0; head < 2; head++) {
        _cleanup_(mem_freep) char *cert = data(set.leaf[head], "node.pem");
        _cleanup_(mem_freep) char *key = data(set.leaf[head], "node.key");
        _cleanup_(mem_freep) char *trusted = data(set.leaf[head], "ca.pem");
        struct crypto_cert_info info;
        cr_assert_str_eq(trusted, root);
        cr_assert(strstr(key, "PRIVATE KEY"));
        cr_assert_eq(crypto_cert_verify(root, cert, "raia-node", NOW + 364 * DAY, &e), 0, "%s",
                     e.text);
        cr_assert_lt(crypto_cert_verify(root, cert, "raia-node", NOW + 366 * DAY, NULL), 0);
        cr_assert_eq(
            crypto_cert_verify(root, cert, "demo-head-svc.team.svc.cluster.local", NOW, NULL) == 0,
            head);
        cr_assert_eq(crypto_cert_read(cert, &info, NULL), 0);
        cr_assert_str_eq(info.cn, head ? "head" : "worker");
        cr_assert_not(json_get(json_get(set.leaf[head], "data"), "ca.key"));
    }
}

/* While an authority is replaced, nodes with the old and the new certificates trust each other. */
Test(keys, rotation)
{
    _cleanup_(secret_set_done) struct secret_set old = {0}, new = {0};
    _cleanup_(json_freep) struct json *patch = NULL;
    struct secret_ca *first = new_ca(), *next = new_ca();
    struct secret_maker *m = keys_maker();

    cr_assert_eq(secret_tls(&cluster, &config, "svc", m, first, NULL, NOW, &old, NULL), 0);
    _cleanup_(mem_freep) char *old_root = data(old.ca, "ca.pem");
    cr_assert_eq(secret_trust(m, next, old_root, &patch, NULL), 0);
    cr_assert_eq(secret_tls(&cluster, &config, "svc", m, next, old_root, NOW, &new, NULL), 0);
    m->ca_free(m, first);
    m->ca_free(m, next);
    cr_assert_eq(json_size(json_get(patch, "data")), 1, "the certificates stay for now");
    _cleanup_(mem_freep) char *both = data(patch, "ca.pem");
    _cleanup_(mem_freep) char *after = data(new.leaf[0], "ca.pem");
    _cleanup_(mem_freep) char *old_cert = data(old.leaf[1], "node.pem");
    _cleanup_(mem_freep) char *new_cert = data(new.leaf[1], "node.pem");
    const char *bundles[] = {both, after};
    for (int i = 0; i < 2; i++) { /* each bundle holds both authorities */
        const char *second = strstr(bundles[i] + 1, "-----BEGIN");
        cr_assert(second);
        _cleanup_(mem_freep) char *one = mem_strndup(bundles[i], (size_t)(second - bundles[i]));
        cr_assert_eq(crypto_cert_verify(one, old_cert, "raia-node", NOW, NULL), 0);
        cr_assert_eq(crypto_cert_verify(second, new_cert, "raia-node", NOW, NULL), 0);
    }
}

/* Tokens are 32 random bytes. */
Test(keys, tokens)
{
    _cleanup_(json_freep) struct json *a = NULL, *b = NULL;

    cr_assert_eq(secret_token(&cluster, keys_maker(), &a, NULL), 0);
    cr_assert_eq(secret_token(&cluster, keys_maker(), &b, NULL), 0);
    _cleanup_(mem_freep) char *x = data(a, "auth_token"), *y = data(b, "auth_token");
    cr_assert_eq(strlen(x), 64);
    cr_assert_str_neq(x, y);
}
