/*
 * Private to crypto/: owners of OpenSSL objects and its errors as ours.
 */
#ifndef CRYPTO_CRYPTO_SSL_H
#define CRYPTO_CRYPTO_SSL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#define CRYPTO_OWNER__(type, free_fn)                                                              \
    static inline void type##_freep(type **p)                                                      \
    {                                                                                              \
        free_fn(*p);                                                                               \
    }
CRYPTO_OWNER__(BIO, BIO_free_all)
CRYPTO_OWNER__(X509, X509_free)
CRYPTO_OWNER__(EVP_PKEY, EVP_PKEY_free)

struct crypto_ca {
    X509 *cert;    /* the authority's own certificate */
    EVP_PKEY *key; /* signs */
};

#define CRYPTO_P256_SIZE__  32 /* bytes of a number */
#define CRYPTO_P256_POINT__ 65 /* of a point: 4, x, y */

/* The public key of a key on P-256; false for any other. */
bool crypto_point__(EVP_PKEY *key, unsigned char point[CRYPTO_P256_POINT__]);

/* Fails with what OpenSSL said last, and empties its queue. */
int crypto_fail__(struct raia_error *e, int code, const char *what);
int crypto_read_cert__(const char *pem, X509 **ret_cert, struct raia_error *e);
/* Certificate (and key, if not NULL) as PEM texts. */
int crypto_to_pem__(X509 *cert, EVP_PKEY *key, struct crypto_pem *ret_pem, struct raia_error *e);

#endif
