/*
 * The authority and its leaves: what they say, whom they cover, until when.
 */
#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
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

/* While an authority is replaced both are in one text, in any order, and the leaves of both are valid. A
 * text that goes on with rubbish is refused, not read up to there. */
Test(crypto_issue, two_authorities)
{
    struct crypto_ca *ca[2] = {new_ca("demo"), new_ca("demo")};
    for (int i = 0; i < 2; i++) {
        _cleanup_(crypto_pem_done) struct crypto_pem one = {0}, other = {0}, leaf = {0};
        cr_assert_eq(crypto_ca_pem(ca[i], &one, NULL), 0);
        cr_assert_eq(crypto_ca_pem(ca[!i], &other, NULL), 0);
        issue(ca[i], &leaf);
        _cleanup_(mem_freep) char *first = mem_printf("%s%s", one.cert, other.cert);
        _cleanup_(mem_freep) char *last = mem_printf("%s%s", other.cert, one.cert);
        _cleanup_(mem_freep) char *cut = mem_printf("%s%.100s", one.cert, other.cert);
        cr_assert_eq(crypto_cert_verify(first, leaf.cert, "head.local", NOW, NULL), 0);
        cr_assert_eq(crypto_cert_verify(last, leaf.cert, "head.local", NOW, NULL), 0);
        cr_assert_eq(crypto_cert_verify(cut, leaf.cert, NULL, NOW, NULL), -RAIA_ERR_INVALID);
        cr_assert_eq(crypto_cert_verify("", leaf.cert, NULL, NOW, NULL), -RAIA_ERR_INVALID);
    }
    crypto_ca_free(ca[0]);
    crypto_ca_free(ca[1]);
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

/* Keys and public keys are, byte for byte, as OpenSSL's own encoders write them. */
Test(crypto_issue, as_openssl)
{
    struct crypto_ca *ca = new_ca("demo");
    for (int i = 0; i < 50; i++) {
        _cleanup_(crypto_pem_done) struct crypto_pem pem = {0};
        issue(ca, &pem);
        BIO *k = BIO_new_mem_buf(pem.key, -1), *c = BIO_new_mem_buf(pem.cert, -1);
        BIO *out = BIO_new(BIO_s_mem());
        EVP_PKEY *key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
        X509 *cert = PEM_read_bio_X509(c, NULL, NULL, NULL);
        cr_assert(key && cert && X509_check_private_key(cert, key) == 1);
        cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
        char *text = NULL;
        long n = BIO_get_mem_data(out, &text);
        cr_assert(n == (long)strlen(pem.key) && memcmp(text, pem.key, (size_t)n) == 0);
        unsigned char *in_cert = NULL, *alone = NULL;
        int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &in_cert);
        cr_assert(size > 0 && size == i2d_PUBKEY(key, &alone));
        cr_assert_eq(memcmp(in_cert, alone, (size_t)size), 0);
        OPENSSL_free(in_cert);
        OPENSSL_free(alone);
        X509_free(cert);
        EVP_PKEY_free(key);
        BIO_free(k);
        BIO_free(c);
        BIO_free(out);
    }
    crypto_ca_free(ca);
}

/* An authority of another kind that somebody brings is written as it came. */
Test(crypto_issue, foreign_authority)
{
    EVP_PKEY *key = EVP_EC_gen("secp256k1");
    X509 *x = X509_new();
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *is_ca = X509V3_EXT_nconf_nid(NULL, &ctx, NID_basic_constraints, "CA:TRUE");
    cr_assert(key && x && is_ca && X509_set_version(x, X509_VERSION_3) == 1 &&
              X509_set_pubkey(x, key) == 1 && ASN1_TIME_set(X509_getm_notBefore(x), NOW) &&
              ASN1_TIME_set(X509_getm_notAfter(x), NOW + 1000) && X509_add_ext(x, is_ca, -1) == 1 &&
              X509_sign(x, key, EVP_sha256()) > 0);
    BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());
    cr_assert(PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              PEM_write_bio_X509(c, x) == 1 && BIO_write(k, "", 1) == 1 &&
              BIO_write(c, "", 1) == 1);
    char *key_pem, *cert_pem;
    (void)BIO_get_mem_data(k, &key_pem);
    (void)BIO_get_mem_data(c, &cert_pem);
    struct crypto_ca *ca = NULL;
    struct raia_error e = {0};
    _cleanup_(crypto_pem_done) struct crypto_pem pem = {0};
    cr_assert_eq(crypto_ca_load(cert_pem, key_pem, &ca, &e), 0, "%s", e.text);
    cr_assert_eq(crypto_ca_pem(ca, &pem, &e), 0, "%s", e.text);
    cr_assert_str_eq(pem.key, key_pem);
    crypto_ca_free(ca);
    X509_EXTENSION_free(is_ca);
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(k);
    BIO_free(c);
}
