/*
 * Out of memory in certificates, secrets and digests.
 */
#include <criterion/criterion.h>
#include <openssl/crypto.h>
#include <stdlib.h>
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

/* OpenSSL's own allocations: counted with ours while this is set. */
static bool counted;

static void *inside_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return counted ? mem_alloc(size) : malloc(size);
}

static void *inside_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size)
        return counted ? mem_realloc(p, size) : realloc(p, size);
    mem_free(p);
    return NULL;
}

static void inside_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

static bool hooked;

/* Before anything uses OpenSSL: then it is too late. */
__attribute__((constructor)) static void hook(void)
{
    hooked = CRYPTO_set_mem_functions(inside_malloc, inside_realloc, inside_free) == 1;
}

/* Whichever allocation inside OpenSSL fails, the function fails or succeeds, and the next one works
 * as ever. It allocates thousands of times: all of the first ones, then fewer and fewer. */
Test(crypto_memory, inside, .timeout = 120)
{
    static int (*const steps[])(void *) = {step_certificates, step_secrets, step_digests};

    cr_assert(hooked);
    counted = true;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        bool reached = true;
        unsigned failed = 0;
        cr_assert_eq(steps[i](NULL), 0); /* what it sets up once and for all is not meant */
        for (uint64_t n = 1; reached; n += 1 + n / 32) {
            mem_fail_nth(n);
            int r = steps[i](NULL);
            reached = mem_fail_count() >= n;
            mem_fail_nth(0);
            cr_assert_leq(r, 0);
            failed += r < 0;
        }
        cr_expect_gt(failed, 0, "step %zu", i);
        cr_assert_eq(steps[i](NULL), 0, "step %zu", i);
    }
    unlink(path);
}
