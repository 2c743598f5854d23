/*
 * Out of memory in certificates, secrets and digests.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test/each_alloc.h"
#include "crypto/crypto.h"

#define NOW 1800000000

static char path[] = "/tmp/raia-test-crypto-XXXXXX";

static int step_certificates(void *arg)
{
    static const char *const sans[] = {"dns:head.local", "ip:127.0.0.1"};
    struct crypto_leaf leaf = {
        .cn = "node 1", .sans = sans, .n_sans = 2, .valid_s = 3600, .client = true, .server = true};
    _cleanup_(crypto_ca_freep) struct crypto_ca *ca = NULL, *again = NULL;
    _cleanup_(crypto_pem_done) struct crypto_pem own = {0}, pem = {0};
    struct crypto_cert_info info;
    struct raia_error e;
    (void)arg;
    int r = crypto_ca_new("demo", NOW, 1000000, &ca, &e);
    if (r == 0)
        r = crypto_ca_pem(ca, &own, &e);
    if (r == 0)
        r = crypto_ca_load(own.cert, own.key, &again, &e);
    if (r == 0)
        r = crypto_issue(again, &leaf, NOW, &pem, &e);
    if (r == 0)
        r = crypto_cert_read(pem.cert, &info, &e);
    return r < 0 ? r : crypto_cert_verify(own.cert, pem.cert, "head.local", NOW, &e);
}

static int step_secrets(void *arg)
{
    char token[CRYPTO_TOKEN_SIZE], hex[CRYPTO_SHA256_HEX_SIZE];
    struct raia_error e;
    (void)arg;
    int r = crypto_token(token);
    if (r == 0)
        r = crypto_write_secret(path, token, strlen(token), &e);
    if (r == 0)
        r = crypto_sha256_file(path, hex, &e);
    return r < 0 || !crypto_equal(token, token) ? r : 0;
}

static int step_digests(void *arg)
{
    _cleanup_(crypto_sha256_freep) struct crypto_sha256 *s = crypto_sha256_new();
    _cleanup_(mem_freep) char *text = NULL;
    _cleanup_(mem_freep) void *data = NULL;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    size_t len;
    (void)arg;
    if (!s)
        return -RAIA_ERR_NOMEM;
    int r = crypto_sha256_add(s, "abc", 3);
    if (r == 0)
        r = crypto_sha256_end(s, digest);
    if (r == 0)
        r = crypto_sha256("abc", 3, digest);
    if (r == 0)
        r = crypto_sha1("abc", 3, digest);
    if (r < 0)
        return r;
    text = crypto_base64_encode("abc", 3);
    return text ? crypto_base64_decode(text, strlen(text), &data, &len) : -RAIA_ERR_NOMEM;
}

/* Each function fails with NOMEM or succeeds, and leaves nothing. */
Test(crypto_memory, all)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_geq(each_alloc(step_certificates, NULL), 4);
    cr_assert_geq(each_alloc(step_secrets, NULL), 1);
    cr_assert_geq(each_alloc(step_digests, NULL), 3);
    unlink(path);
}
