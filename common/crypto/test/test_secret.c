/*
 * Tokens, comparison, secret files.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"

/* Tokens are 64 hex digits and differ. */
Test(crypto_secret, token)
{
    char a[CRYPTO_TOKEN_SIZE], b[CRYPTO_TOKEN_SIZE];
    cr_assert_eq(crypto_token(a), 0);
    cr_assert_eq(crypto_token(b), 0);
    cr_assert_eq(strspn(a, "0123456789abcdef"), 64);
    cr_assert_neq(strcmp(a, b), 0);
}

/* Equality is exact; nothing equals NULL. */
Test(crypto_secret, equal)
{
    cr_assert(crypto_equal("abc", "abc"));
    cr_assert(crypto_equal("", ""));
    cr_assert_not(crypto_equal("abc", "abd"));
    cr_assert_not(crypto_equal("abc", "ab"));
    cr_assert_not(crypto_equal("abc", NULL));
    cr_assert_not(crypto_equal(NULL, NULL));
}

/* A secret file has mode 0600, replaces what was there, and leaves nothing beside it. */
Test(crypto_secret, file)
{
    char dir[] = "/tmp/raia-test-secret-XXXXXX", path[64], buf[16] = "";
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    FILE *f = fopen(path, "w");
    fputs("old and longer", f);
    fclose(f);
    chmod(path, 0644);
    cr_assert_eq(crypto_write_secret(path, "new", 3, NULL), 0);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    f = fopen(path, "r");
    cr_assert_eq(fread(buf, 1, sizeof buf, f), 3);
    fclose(f);
    cr_assert_str_eq(buf, "new");
    unlink(path);
    cr_assert_eq(rmdir(dir), 0, "nothing else is in there");
    struct raia_error e = {0};
    cr_assert_eq(crypto_write_secret(path, "new", 3, &e), -RAIA_ERR_NOT_FOUND, "%s", e.text);
    cr_assert_not_null(strstr(e.text, path));
}
