/*
 * Digests and encodings, against their published vectors.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/crypto.h"

static const char abc_hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/* SHA-256 of "abc", at once, in pieces and from a file. */
Test(crypto_digest, sha256)
{
    uint8_t d[CRYPTO_SHA256_SIZE];
    char hex[CRYPTO_SHA256_HEX_SIZE];
    cr_assert_eq(crypto_sha256("abc", 3, d), 0);
    crypto_hex(d, sizeof d, hex);
    cr_assert_str_eq(hex, abc_hex);

    struct crypto_sha256 *s = crypto_sha256_new();
    cr_assert_eq(crypto_sha256_add(s, "a", 1), 0);
    cr_assert_eq(crypto_sha256_add(s, "bc", 2), 0);
    memset(d, 0, sizeof d);
    cr_assert_eq(crypto_sha256_end(s, d), 0);
    crypto_hex(d, sizeof d, hex);
    cr_assert_str_eq(hex, abc_hex);
    crypto_sha256_free(s);
    crypto_sha256_free(NULL);

    char path[] = "/tmp/raia-test-digest-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "abc", 3), 3);
    close(fd);
    memset(hex, 0, sizeof hex);
    cr_assert_eq(crypto_sha256_file(path, hex, NULL), 0);
    cr_assert_str_eq(hex, abc_hex);
    unlink(path);
    cr_assert_eq(crypto_sha256_file(path, hex, NULL), -RAIA_ERR_NOT_FOUND);
}

/* SHA-1 of "abc". */
Test(crypto_digest, sha1)
{
    uint8_t d[20];
    char hex[41];
    cr_assert_eq(crypto_sha1("abc", 3, d), 0);
    crypto_hex(d, sizeof d, hex);
    cr_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

/* Base 64 both ways, RFC 4648's vectors; what is malformed is refused. */
Test(crypto_digest, base64)
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < 7; i++) {
        char *t = crypto_base64_encode(plain[i], strlen(plain[i]));
        cr_assert_str_eq(t, coded[i]);
        void *back = NULL;
        size_t len = 99;
        cr_assert_eq(crypto_base64_decode(t, strlen(t), &back, &len), 0);
        cr_assert_eq(len, strlen(plain[i]));
        cr_assert_str_eq((char *)back, plain[i]);
        mem_free(t);
        mem_free(back);
    }
    static const char *const bad[] = {"Z",    "Zg=",  "Zg",       "Z===",  "====", "Zm9v Zm9",
                                      "Zh==", "Zm9=", "Zg==Zg==", "Zm9\n", "=m9v"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *back = NULL;
        size_t len;
        cr_assert_eq(crypto_base64_decode(bad[i], strlen(bad[i]), &back, &len), -RAIA_ERR_INVALID,
                     "%s", bad[i]);
    }
}
