/*
 * PEM texts: in, out, and reading what a certificate says.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "crypto/crypto_ssl.h"

int crypto_fail__(struct raia_error *e, int code, const char *what)
{
    unsigned long last = ERR_peek_last_error();
    const char *why = last ? ERR_reason_error_string(last) : NULL;
    if (last && ERR_GET_REASON(last) == ERR_R_MALLOC_FAILURE)
        code = RAIA_ERR_NOMEM;
    ERR_clear_error();
    return err_set(e, code, "%s%s%s", what, why ? ": " : "", why ? why : "");
}

void crypto_pem_done(void *p)
{
    struct crypto_pem *pem = p;
    if (!pem)
        return;
    if (pem->key)
        crypto_wipe(pem->key, strlen(pem->key));
    mem_free(STEAL(pem->key));
    mem_free(STEAL(pem->cert));
}

static char *bio_text(BIO *b)
{
    char *data = NULL;
    long n = BIO_get_mem_data(b, &data);
    return n > 0 ? mem_strndup(data, (size_t)n) : NULL;
}

/* PKCS #8 (RFC 5958) of a key on P-256 (RFC 5915) is always this, with the two numbers in place. */
static const unsigned char p256_head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                          0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                          0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                          0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const unsigned char p256_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};

/* By hand where it is such a key, as all are that we make: OpenSSL 3.0 looks for an encoder by name
 * each time, for half a millisecond. */
static bool write_key(BIO *to, EVP_PKEY *key)
{
    unsigned char
        der[sizeof p256_head + CRYPTO_P256_SIZE__ + sizeof p256_middle + CRYPTO_P256_POINT__];
    unsigned char *at = der + sizeof p256_head, *point = der + sizeof der - CRYPTO_P256_POINT__;
    BIGNUM *secret = NULL;

    memcpy(der, p256_head, sizeof p256_head);
    memcpy(at + CRYPTO_P256_SIZE__, p256_middle, sizeof p256_middle);
    if (!crypto_point__(key, point))
        return PEM_write_bio_PKCS8PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &secret) == 1 &&
              BN_bn2binpad(secret, at, CRYPTO_P256_SIZE__) == CRYPTO_P256_SIZE__ &&
              PEM_write_bio(to, PEM_STRING_PKCS8INF, "", der, sizeof der) > 0;
    BN_clear_free(secret);
    crypto_wipe(der, sizeof der);
    return ok;
}

int crypto_to_pem__(X509 *cert, EVP_PKEY *key, struct crypto_pem *ret_pem, struct raia_error *e)
{
    _cleanup_(crypto_pem_done) struct crypto_pem pem = {0};
    _cleanup_(BIO_freep) BIO *c = BIO_new(BIO_s_mem());
    _cleanup_(BIO_freep) BIO *k = BIO_new(BIO_s_secmem());
    if (!c || !k || PEM_write_bio_X509(c, cert) != 1 || (key && !write_key(k, key)))
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "write a certificate as PEM");
    pem.cert = bio_text(c);
    pem.key = key ? bio_text(k) : NULL;
    if (!pem.cert || (key && !pem.key))
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while writing PEM");
    *ret_pem = (struct crypto_pem){STEAL(pem.cert), STEAL(pem.key)};
    return 0;
}

/* Refuses to ask a terminal for a passphrase, which is OpenSSL's default. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

int crypto_read_cert__(const char *pem, X509 **ret_cert, struct raia_error *e)
{
    _cleanup_(BIO_freep) BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *cert = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;
    if (!cert)
        return crypto_fail__(e, RAIA_ERR_INVALID, "read a certificate from PEM");
    *ret_cert = cert;
    return 0;
}

int crypto_ca_load(const char *cert_pem, const char *key_pem, struct crypto_ca **ret_ca,
                   struct raia_error *e)
{
    _cleanup_(X509_freep) X509 *cert = NULL;
    int r = crypto_read_cert__(cert_pem, &cert, e);
    if (r < 0)
        return r;
    if (X509_check_ca(cert) != 1)
        return err_set(e, RAIA_ERR_INVALID, "the certificate is not one of an authority");
    _cleanup_(BIO_freep) BIO *b = BIO_new_mem_buf(key_pem, -1);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key =
        b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
    if (!key)
        return crypto_fail__(e, RAIA_ERR_INVALID, "read the authority's private key from PEM");
    if (X509_check_private_key(cert, key) != 1)
        return crypto_fail__(e, RAIA_ERR_INVALID, "the private key is not the certificate's");
    struct crypto_ca *ca = mem_new(struct crypto_ca);
    if (!ca)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while loading an authority");
    ca->cert = STEAL(cert);
    ca->key = STEAL(key);
    *ret_ca = ca;
    return 0;
}

int crypto_ca_pem(const struct crypto_ca *ca, struct crypto_pem *ret_pem, struct raia_error *e)
{
    return crypto_to_pem__(ca->cert, ca->key, ret_pem, e);
}

static int64_t unix_seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int crypto_cert_read(const char *cert_pem, struct crypto_cert_info *ret_info, struct raia_error *e)
{
    _cleanup_(X509_freep) X509 *cert = NULL;
    int r = crypto_read_cert__(cert_pem, &cert, e);
    if (r < 0)
        return r;
    struct crypto_cert_info info = {
        .not_before_unix_s = unix_seconds(X509_get0_notBefore(cert)),
        .not_after_unix_s = unix_seconds(X509_get0_notAfter(cert)),
        .is_ca = X509_check_ca(cert) == 1,
    };
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, info.cn, sizeof info.cn);
    unsigned char digest[CRYPTO_SHA256_SIZE];
    if (X509_digest(cert, EVP_sha256(), digest, NULL) != 1)
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "digest a certificate");
    crypto_hex(digest, sizeof digest, info.sha256);
    *ret_info = info;
    return 0;
}

/* Every certificate of a text, of which there is one at least. */
static int trust(X509_STORE *store, const char *pem, struct raia_error *e)
{
    _cleanup_(BIO_freep) BIO *b = BIO_new_mem_buf(pem, -1);
    int n = 0;
    if (!store || !b)
        return crypto_fail__(e, RAIA_ERR_NOMEM, "verify a certificate");
    for (X509 *ca; (ca = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)); n++) {
        int added = X509_STORE_add_cert(store, ca);
        X509_free(ca);
        if (added != 1)
            return crypto_fail__(e, RAIA_ERR_NOMEM, "verify a certificate");
    }
    if (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return crypto_fail__(e, RAIA_ERR_INVALID, "read a certificate from PEM");
    ERR_clear_error(); /* that was the end of the text */
    return 0;
}

static int verify(X509_STORE *store, X509_STORE_CTX *ctx, X509 *cert, const char *host,
                  int64_t now_s, struct raia_error *e)
{
    if (!ctx || X509_STORE_CTX_init(ctx, store, cert, NULL) != 1)
        return crypto_fail__(e, RAIA_ERR_NOMEM, "verify a certificate");
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    if (X509_verify_cert(ctx) != 1) {
        ERR_clear_error();
        return err_set(e, RAIA_ERR_PERMISSION, "the certificate is not valid: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    if (host && X509_check_ip_asc(cert, host, 0) != 1 &&
        X509_check_host(cert, host, 0, 0, NULL) != 1)
        return err_set(e, RAIA_ERR_PERMISSION, "the certificate is not for host '%s'", host);
    return 0;
}

int crypto_cert_verify(const char *ca_cert_pem, const char *cert_pem, const char *host,
                       int64_t now_s, struct raia_error *e)
{
    _cleanup_(X509_freep) X509 *cert = NULL;
    int r = crypto_read_cert__(cert_pem, &cert, e);
    if (r < 0)
        return r;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    r = trust(store, ca_cert_pem, e);
    if (r == 0)
        r = verify(store, ctx, cert, host, now_s, e);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return r;
}
