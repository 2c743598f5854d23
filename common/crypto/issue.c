/*
 * Making an authority, and the leaf certificates that it signs.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

#include "crypto/crypto_ssl.h"

#define BACKDATE_S (5 * 60)
#define SANS_MAX   64
#define SAN_BYTES  255 /* most of one alternative name */

void crypto_ca_free(struct crypto_ca *ca)
{
    if (!ca)
        return;
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    mem_free(ca);
}

void crypto_ca_freep(void *p)
{
    crypto_ca_free(*(struct crypto_ca **)p);
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    bool ok = x && X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    return ok;
}

/* 127 random bits: positive, and never the same twice. */
static bool set_serial(X509 *cert)
{
    unsigned char raw[16];
    if (crypto_random(raw, sizeof raw) < 0)
        return false;
    raw[0] &= 0x7f;
    BIGNUM *n = BN_bin2bn(raw, sizeof raw, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return ok;
}

bool crypto_point__(EVP_PKEY *key, unsigned char point[CRYPTO_P256_POINT__])
{
    char group[32];
    size_t n = 0;
    return EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0 &&
           EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, CRYPTO_P256_POINT__,
                                           &n) == 1 &&
           n == CRYPTO_P256_POINT__ && point[0] == POINT_CONVERSION_UNCOMPRESSED;
}

/* What X509_set_pubkey would do, which in OpenSSL 3.0 encodes the key and decodes it again, each
 * time by a search through all codecs. */
static bool set_pubkey(X509 *cert, EVP_PKEY *key)
{
    unsigned char *point = OPENSSL_malloc(CRYPTO_P256_POINT__);
    if (point && crypto_point__(key, point) &&
        X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                               V_ASN1_OBJECT, OBJ_nid2obj(NID_X9_62_prime256v1), point,
                               CRYPTO_P256_POINT__) == 1)
        return true;
    OPENSSL_free(point);
    return false;
}

/* A certificate with key, name, serial and times; extensions and signature are still to come. */
static X509 *begin(EVP_PKEY *key, const char *cn, int64_t now_s, int64_t valid_s)
{
    _cleanup_(X509_freep) X509 *cert = X509_new();
    if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
        !set_pubkey(cert, key) ||
        !ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now_s - BACKDATE_S)) ||
        !ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now_s + valid_s)))
        return NULL;
    if (X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)cn, -1, -1, 0) != 1)
        return NULL;
    return STEAL(cert);
}

static int check(const char *cn, int64_t valid_s, struct raia_error *e)
{
    if (!cn || !*cn || strlen(cn) > 64)
        return err_set(e, RAIA_ERR_INVALID, "a certificate's name must have 1 to 64 bytes");
    if (valid_s <= 0 || valid_s > INT64_C(100) * 366 * 86400)
        return err_set(e, RAIA_ERR_INVALID, "a certificate must be valid for 1 s to 100 years");
    return 0;
}

int crypto_ca_new(const char *cn, int64_t now_s, int64_t valid_s, struct crypto_ca **ret_ca,
                  struct raia_error *e)
{
    int r = check(cn, valid_s, e);
    if (r < 0)
        return r;
    _cleanup_(crypto_ca_freep) struct crypto_ca *ca = mem_new(struct crypto_ca);
    if (!ca)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while making an authority");
    ca->key = EVP_EC_gen("P-256");
    ca->cert = ca->key ? begin(ca->key, cn, now_s, valid_s) : NULL;
    X509 *c = ca->cert;
    if (!c || X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
        !add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(c, c, NID_subject_key_identifier, "hash") ||
        X509_sign(c, ca->key, EVP_sha256()) == 0)
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "make a certificate authority");
    *ret_ca = STEAL(ca);
    return 0;
}

/* One alternative name; the text after the kind is taken as it is. */
static int add_san(GENERAL_NAMES *names, const char *san, struct raia_error *e)
{
    const char *value = strchr(san, ':');
    int type = strncmp(san, "dns:", 4) == 0   ? GEN_DNS
               : strncmp(san, "uri:", 4) == 0 ? GEN_URI
               : strncmp(san, "ip:", 3) == 0  ? GEN_IPADD
                                              : -1;
    if (type < 0 || !value[1] || strlen(value + 1) > SAN_BYTES)
        return err_set(e, RAIA_ERR_INVALID,
                       "alternative name '%.80s': expected dns:NAME, ip:ADDRESS or uri:URI", san);
    ASN1_STRING *s;
    if (type == GEN_IPADD) {
        s = a2i_IPADDRESS(value + 1);
        if (!s)
            return crypto_fail__(e, RAIA_ERR_INVALID, "an alternative name is no IP address");
    } else {
        s = ASN1_IA5STRING_new();
        if (s && ASN1_STRING_set(s, value + 1, -1) != 1) {
            ASN1_STRING_free(s);
            s = NULL;
        }
    }
    GENERAL_NAME *n = s ? GENERAL_NAME_new() : NULL;
    if (n)
        GENERAL_NAME_set0_value(n, type, s);
    else
        ASN1_STRING_free(s);
    if (!n || sk_GENERAL_NAME_push(names, n) <= 0) {
        GENERAL_NAME_free(n);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while making a certificate");
    }
    return 0;
}

static int add_sans(X509 *cert, const struct crypto_leaf *leaf, struct raia_error *e)
{
    if (leaf->n_sans == 0)
        return 0;
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int r = names ? 0 : err_set(e, RAIA_ERR_NOMEM, "out of memory while making a certificate");
    for (size_t i = 0; r == 0 && i < leaf->n_sans; i++)
        r = add_san(names, leaf->sans[i], e);
    if (r == 0 && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) != 1)
        r = crypto_fail__(e, RAIA_ERR_NOMEM, "add alternative names");
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return r;
}

int crypto_issue(const struct crypto_ca *ca, const struct crypto_leaf *leaf, int64_t now_s,
                 struct crypto_pem *ret_pem, struct raia_error *e)
{
    int r = check(leaf->cn, leaf->valid_s, e);
    if (r < 0)
        return r;
    if (leaf->n_sans > SANS_MAX || (!leaf->client && !leaf->server))
        return err_set(e, RAIA_ERR_INVALID,
                       "a leaf needs a use (client or server) and has at most %d names", SANS_MAX);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    _cleanup_(X509_freep) X509 *cert = key ? begin(key, leaf->cn, now_s, leaf->valid_s) : NULL;
    if (!cert)
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "make a certificate");
    r = add_sans(cert, leaf, e);
    if (r < 0)
        return r;
    const char *use = !leaf->server   ? "clientAuth"
                      : !leaf->client ? "serverAuth"
                                      : "serverAuth,clientAuth";
    if (X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) != 1 ||
        !add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, ca->cert, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, ca->cert, NID_ext_key_usage, use) ||
        !add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid") ||
        X509_sign(cert, ca->key, EVP_sha256()) == 0)
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "sign a certificate");
    return crypto_to_pem__(cert, key, ret_pem, e);
}
