/*
 * Random bytes, tokens, comparisons in constant time, and secret files.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto_ssl.h"

int crypto_random(void *buf, size_t len)
{
    if (len > INT32_MAX || RAND_bytes(buf, (int)len) != 1)
        return -RAIA_ERR_UNAVAILABLE;
    return 0;
}

int crypto_token(char ret_token[CRYPTO_TOKEN_SIZE])
{
    uint8_t raw[(CRYPTO_TOKEN_SIZE - 1) / 2];
    int r = crypto_random(raw, sizeof raw);
    if (r == 0)
        crypto_hex(raw, sizeof raw, ret_token);
    crypto_wipe(raw, sizeof raw);
    return r;
}

bool crypto_equal(const char *a, const char *b)
{
    if (!a || !b)
        return false;
    size_t n = strlen(a);
    return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int crypto_write_secret(const char *path, const void *data, size_t len, struct raia_error *e)
{
    _cleanup_(mem_freep) char *temp = mem_printf("%s.XXXXXX", path);
    if (!temp)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory while writing '%s'", path);
    _cleanup_(fd_closep) int fd = mkostemp(temp, O_CLOEXEC); /* made with mode 0600 */
    if (fd < 0)
        return err_errno(e, errno, "create a file beside '%s'", path);
    int r = write_all(fd, data, len);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(temp, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(temp);
        return err_errno(e, -r, "write '%s'", path);
    }
    return 0;
}
