/*
 * Digests and encodings.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto_ssl.h"

struct crypto_sha256 {
    EVP_MD_CTX *ctx; /* OpenSSL's */
};

struct crypto_sha256 *crypto_sha256_new(void)
{
    struct crypto_sha256 *s = mem_new(struct crypto_sha256);
    if (!s)
        return NULL;
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
        crypto_sha256_free(s);
        return NULL;
    }
    return s;
}

int crypto_sha256_add(struct crypto_sha256 *s, const void *data, size_t len)
{
    return EVP_DigestUpdate(s->ctx, data, len) == 1 ? 0 : -RAIA_ERR_STATE;
}

int crypto_sha256_end(struct crypto_sha256 *s, uint8_t ret_digest[CRYPTO_SHA256_SIZE])
{
    return EVP_DigestFinal_ex(s->ctx, ret_digest, NULL) == 1 ? 0 : -RAIA_ERR_STATE;
}

void crypto_sha256_free(struct crypto_sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    mem_free(s);
}

void crypto_sha256_freep(void *p)
{
    crypto_sha256_free(*(struct crypto_sha256 **)p);
}

int crypto_sha256(const void *data, size_t len, uint8_t ret_digest[CRYPTO_SHA256_SIZE])
{
    return EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -RAIA_ERR_NOMEM;
}

int crypto_sha1(const void *data, size_t len, uint8_t ret_digest[20])
{
    return EVP_Digest(data, len, ret_digest, NULL, EVP_sha1(), NULL) == 1 ? 0 : -RAIA_ERR_NOMEM;
}

int crypto_sha256_file(const char *path, char ret_hex[CRYPTO_SHA256_HEX_SIZE], struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "open '%s'", path);
    _cleanup_(crypto_sha256_freep) struct crypto_sha256 *s = crypto_sha256_new();
    _cleanup_(mem_freep) char *buf = mem_alloc(64 << 10);
    if (!s || !buf)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while digesting '%s'", path);
    for (;;) {
        ssize_t n = read(fd, buf, 64 << 10);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "read '%s'", path);
        if (n == 0)
            break;
        if (crypto_sha256_add(s, buf, (size_t)n) < 0)
            return crypto_fail__(e, RAIA_ERR_INTERNAL, "digest a file");
    }
    uint8_t digest[CRYPTO_SHA256_SIZE];
    if (crypto_sha256_end(s, digest) < 0)
        return crypto_fail__(e, RAIA_ERR_INTERNAL, "digest a file");
    crypto_hex(digest, sizeof digest, ret_hex);
    return 0;
}

void crypto_hex(const void *data, size_t len, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        ret_hex[2 * i] = digits[p[i] >> 4];
        ret_hex[2 * i + 1] = digits[p[i] & 15];
    }
    ret_hex[2 * len] = '\0';
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *crypto_base64_encode(const void *data, size_t len)
{
    if (len > SIZE_MAX / 2)
        return NULL;
    const uint8_t *p = data;
    char *out = mem_alloc((len + 2) / 3 * 4 + 1), *o = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned v =
            (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        *o++ = base64[v >> 18];
        *o++ = base64[v >> 12 & 63];
        *o++ = n > 1 ? base64[v >> 6 & 63] : '=';
        *o++ = n > 2 ? base64[v & 63] : '=';
    }
    *o = '\0';
    return out;
}

static int sextet(char c)
{
    const char *p = c ? strchr(base64, c) : NULL;
    return p ? (int)(p - base64) : -1;
}

int crypto_base64_decode(const char *text, size_t len, void **ret_data, size_t *ret_len)
{
    if (len % 4 != 0)
        return -RAIA_ERR_INVALID;
    size_t pad = 0;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    _cleanup_(mem_freep) uint8_t *out = mem_alloc(len / 4 * 3 + 1);
    if (!out)
        return -RAIA_ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < len; i += 4) {
        size_t digits = i + 4 == len ? 4 - pad : 4;
        unsigned v = 0;
        for (size_t k = 0; k < 4; k++) {
            int s = k < digits ? sextet(text[i + k]) : 0;
            if (s < 0)
                return -RAIA_ERR_INVALID;
            v = v << 6 | (unsigned)s;
        }
        if (v & (digits == 2 ? 0xffffu : digits == 3 ? 0xffu : 0)) /* bits that mean nothing */
            return -RAIA_ERR_INVALID;
        for (size_t k = 1; k < digits; k++)
            out[n++] = (uint8_t)(v >> (24 - 8 * k));
    }
    out[n] = 0;
    *ret_data = STEAL(out);
    *ret_len = n;
    return 0;
}
