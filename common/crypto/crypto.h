/*
 * Certificates, tokens, digests. The only code that includes OpenSSL.
 *
 * A cluster has one certificate authority (EC P-256); each daemon gets a leaf for mutual TLS:
 *
 *     struct crypto_ca *ca = NULL;
 *     r = crypto_ca_new("raia cluster demo", now_s, 10 * 365 * 86400, &ca, e);
 *     struct crypto_pem ca_pem = {0}, node = {0};
 *     r = crypto_ca_pem(ca, &ca_pem, e);
 *     const char *sans[] = {"dns:localhost", "ip:127.0.0.1", "uri:raia://node/ab12"};
 *     struct crypto_leaf leaf = {.cn = "node ab12", .sans = sans, .n_sans = 3,
 *                                .valid_s = 30 * 86400, .client = true, .server = true};
 *     r = crypto_issue(ca, &leaf, now_s, &node, e);
 *     r = crypto_write_secret("node.key", node.key, strlen(node.key), e);
 *
 * Ownership: a crypto_pem owns its texts; crypto_pem_done wipes the key. A crypto_ca is immutable
 * once made. Threads: any. Failure: codes with texts; private keys and tokens are in no text.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

/* -- certificates ---------------------------------------------------------------------------- */

struct crypto_ca; /* a CA's certificate and private key */

/* A certificate and its private key as PEM texts. */
struct crypto_pem {
    char *cert; /* NUL-terminated; mem_free */
    char *key;  /* NUL-terminated PKCS#8, not encrypted; wiped before it is freed */
};
void crypto_pem_done(void *pem); /* accepts NULL and half-filled; usable with _cleanup_ */

/* What a leaf certificate says. */
struct crypto_leaf {
    const char *cn;          /* subject common name, 1 to 64 bytes */
    const char *const *sans; /* alternative names: "dns:NAME", "ip:ADDRESS", "uri:URI" */
    size_t n_sans;           /* how many; at most 64 */
    int64_t valid_s;         /* seconds from now until it expires */
    bool client;             /* extended key usage: client authentication */
    bool server;             /* extended key usage: server authentication */
};

/* What can be read off a certificate. */
struct crypto_cert_info {
    char cn[128];              /* subject common name, cut if longer */
    int64_t not_before_unix_s; /* valid from */
    int64_t not_after_unix_s;  /* valid until */
    bool is_ca;                /* it may sign others */
    char sha256[65];           /* fingerprint of its DER form, hex */
};

/* Certificates are valid from five minutes before now_s, so that clocks may differ a little. */
int crypto_ca_new(const char *cn, int64_t now_s, int64_t valid_s, struct crypto_ca **ret_ca,
                  struct raia_error *e);
int crypto_ca_load(const char *cert_pem, const char *key_pem, struct crypto_ca **ret_ca,
                   struct raia_error *e);
int crypto_ca_pem(const struct crypto_ca *ca, struct crypto_pem *ret_pem, struct raia_error *e);
void crypto_ca_free(struct crypto_ca *ca); /* accepts NULL */
void crypto_ca_freep(void *p);             /* for _cleanup_ */

int crypto_issue(const struct crypto_ca *ca, const struct crypto_leaf *leaf, int64_t now_s,
                 struct crypto_pem *ret_pem, struct raia_error *e);
int crypto_cert_read(const char *cert_pem, struct crypto_cert_info *ret_info, struct raia_error *e);
/* Does the leaf chain to one of these CAs (a text may have several, as while one is replaced) and cover
 * `host` (name or address; NULL: not asked) at now_s. */
int crypto_cert_verify(const char *ca_cert_pem, const char *cert_pem, const char *host,
                       int64_t now_s, struct raia_error *e);

/* -- secrets --------------------------------------------------------------------------------- */

#define CRYPTO_TOKEN_SIZE 65 /* 32 random bytes in hex, and the end mark */

int crypto_random(void *buf, size_t len);
int crypto_token(char ret_token[CRYPTO_TOKEN_SIZE]);
/* Equal? In a time that depends on the lengths alone. NULL equals nothing. */
bool crypto_equal(const char *a, const char *b);
void crypto_wipe(void *p, size_t len);
/* Replaces `path` atomically (temporary file, fsync, rename) with mode 0600. */
int crypto_write_secret(const char *path, const void *data, size_t len, struct raia_error *e);

/* -- digests and encodings ------------------------------------------------------------------- */

#define CRYPTO_SHA256_SIZE     32
#define CRYPTO_SHA256_HEX_SIZE 65 /* with the end mark */

struct crypto_sha256;                          /* a digest being made */
struct crypto_sha256 *crypto_sha256_new(void); /* NULL when memory runs out */
int crypto_sha256_add(struct crypto_sha256 *s, const void *data, size_t len);
/* The digest of all that was added; the object can only be freed then. */
int crypto_sha256_end(struct crypto_sha256 *s, uint8_t ret_digest[CRYPTO_SHA256_SIZE]);
void crypto_sha256_free(struct crypto_sha256 *s); /* accepts NULL */
void crypto_sha256_freep(void *p);

int crypto_sha256(const void *data, size_t len, uint8_t ret_digest[CRYPTO_SHA256_SIZE]);
int crypto_sha256_file(const char *path, char ret_hex[CRYPTO_SHA256_HEX_SIZE],
                       struct raia_error *e);
/* For the WebSocket handshake alone: SHA-1 protects nothing. */
int crypto_sha1(const void *data, size_t len, uint8_t ret_digest[20]);

/* 2*len digits and an end mark. */
void crypto_hex(const void *data, size_t len, char *ret_hex);
/* Base 64 with padding (RFC 4648). NUL-terminated, mem_free; NULL when memory runs out. */
char *crypto_base64_encode(const void *data, size_t len);
/* Strict: no white space, padding required. -INVALID, -NOMEM. The bytes are followed by a NUL. */
int crypto_base64_decode(const char *text, size_t len, void **ret_data, size_t *ret_len);

#endif
