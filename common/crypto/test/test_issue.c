/*
 * The authority and its leaves: what they say, whom they cover, until when.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/crypto.h"

#define NOW 1800000000

static struct crypto_ca *new_ca(const char *cn)
{
    struct crypto_ca *ca = NULL;
    struct raia_error e = {0};
    cr_assert_eq(crypto_ca_new(cn, NOW, 1000000, &ca, &e), 0, "%s", e.text);
    return ca;
}

static void issue(const struct crypto_ca *ca, struct crypto_pem *pem)
{
    static const char *const sans[] = {"dns:head.local", "ip:127.0.0.1", "ip:::1",
                                       "uri:raia://node/1,DNS:evil"};
    struct crypto_leaf leaf = {
        .cn = "node 1", .sans = sans, .n_sans = 4, .valid_s = 3600, .client = true, .server = true};
    struct raia_error e = {0};
    cr_assert_eq(crypto_issue(ca, &leaf, NOW, pem, &e), 0, "%s", e.text);
}

/* A leaf says what was asked for, and is valid for its hosts, its time and its authority only. */
Test(crypto_issue, leaf)
{
    struct crypto_ca *ca = new_ca("demo"), *other = new_ca("demo");
    _cleanup_(crypto_pem_done) struct crypto_pem ca_pem = {0}, other_pem = {0}, pem = {0};
    cr_assert_eq(crypto_ca_pem(ca, &ca_pem, NULL), 0);
    cr_assert_eq(crypto_ca_pem(other, &other_pem, NULL), 0);
    issue(ca, &pem);
    struct crypto_cert_info info;
    cr_assert_eq(crypto_cert_read(pem.cert, &info, NULL), 0);
    cr_assert_str_eq(info.cn, "node 1");
    cr_assert_eq(info.not_before_unix_s, NOW - 300);
    cr_assert_eq(info.not_after_unix_s, NOW + 3600);
    cr_assert_not(info.is_ca);
    cr_assert_eq(strlen(info.sha256), 64);
    cr_assert_not_null(strstr(pem.key, "BEGIN PRIVATE KEY"));

    static const char *const good[] = {NULL, "head.local", "127.0.0.1", "::1"};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(crypto_cert_verify(ca_pem.cert, pem.cert, good[i], NOW, NULL), 0);
    static const char *const bad[] = {"other.local", "127.0.0.2", "evil", "node 1"};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(crypto_cert_verify(ca_pem.cert, pem.cert, bad[i], NOW, NULL),
                     -RAIA_ERR_PERMISSION, "%s", bad[i]);
    struct raia_error e = {0};
    cr_assert_eq(crypto_cert_verify(ca_pem.cert, pem.cert, NULL, NOW + 3601, &e),
                 -RAIA_ERR_PERMISSION);
    cr_assert_not_null(strstr(e.text, "expired"), "%s", e.text);
    cr_assert_eq(crypto_cert_verify(other_pem.cert, pem.cert, NULL, NOW, NULL),
                 -RAIA_ERR_PERMISSION, "same name, other key");
    crypto_ca_free(ca);
    crypto_ca_free(other);
}

/* An authority saved and loaded again signs leaves that the first one's certificate covers. */
Test(crypto_issue, reload)
{
    struct crypto_ca *ca = new_ca("demo"), *again = NULL, *none = NULL;
    _cleanup_(crypto_pem_done) struct crypto_pem pem = {0}, leaf = {0};
    cr_assert_eq(crypto_ca_pem(ca, &pem, NULL), 0);
    cr_assert_eq(crypto_ca_load(pem.cert, pem.key, &again, NULL), 0);
    issue(again, &leaf);
    cr_assert_eq(crypto_cert_verify(pem.cert, leaf.cert, NULL, NOW, NULL), 0);
    struct crypto_cert_info info;
    cr_assert_eq(crypto_cert_read(pem.cert, &info, NULL), 0);
    cr_assert(info.is_ca);
    cr_assert_eq(crypto_ca_load(leaf.cert, leaf.key, &none, NULL), -RAIA_ERR_INVALID, "a leaf");
    cr_assert_eq(crypto_ca_load(pem.cert, leaf.key, &none, NULL), -RAIA_ERR_INVALID, "other key");
    cr_assert_eq(crypto_ca_load("rubbish", pem.key, &none, NULL), -RAIA_ERR_INVALID);
    cr_assert_eq(crypto_ca_load(pem.cert, "rubbish", &none, NULL), -RAIA_ERR_INVALID);
    cr_assert_null(none);
    crypto_ca_free(ca);
    crypto_ca_free(again);
    crypto_ca_free(NULL);
}

/* Names and times that make no sense are refused. */
Test(crypto_issue, misuse)
{
    struct crypto_ca *ca = new_ca("demo"), *none = NULL;
    static const char *const bad_sans[] = {"dns:", "host", "ip:1.2.3", "ip:x", "email:a@b"};
    struct crypto_pem pem = {0};
    for (size_t i = 0; i < 5; i++) {
        struct crypto_leaf leaf = {
            .cn = "x", .sans = &bad_sans[i], .n_sans = 1, .valid_s = 1, .server = true};
        cr_assert_eq(crypto_issue(ca, &leaf, NOW, &pem, NULL), -RAIA_ERR_INVALID, "%s",
                     bad_sans[i]);
    }
    struct crypto_leaf leaf = {.cn = "x", .valid_s = 1};
    cr_assert_eq(crypto_issue(ca, &leaf, NOW, &pem, NULL), -RAIA_ERR_INVALID, "no use");
    leaf = (struct crypto_leaf){.cn = "x", .valid_s = 0, .client = true};
    cr_assert_eq(crypto_issue(ca, &leaf, NOW, &pem, NULL), -RAIA_ERR_INVALID, "no time");
    cr_assert_eq(crypto_ca_new("", NOW, 10, &none, NULL), -RAIA_ERR_INVALID);
    cr_assert_null(pem.cert);
    crypto_ca_free(ca);
}
