/* Real keys: see keys.h. */
#include "keys/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/crypto.h"

/* An authority is kept while its secrets are on their way; of a thousand clusters at once that is a
 * thousand. So only the one used last is ready for use, the others are texts. */
struct secret_ca {
    struct crypto_pem pem;   /* all of it */
    struct crypto_ca *ready; /* NULL: to be read from the texts */
};
static struct secret_ca *last; /* whose `ready` there is; NULL: nobody's */

static void rest_last(void)
{
    if (last)
        crypto_ca_free(STEAL(last->ready));
    last = NULL;
}

/* Makes it ready. */
static int use(const struct secret_ca *ca, struct raia_error *e)
{
    struct secret_ca *own = (struct secret_ca *)ca; /* its texts stay as they are */
    struct crypto_ca *ready = NULL;

    if (ca->ready)
        return 0;
    int r = crypto_ca_load(ca->pem.cert, ca->pem.key, &ready, e);
    if (r < 0)
        return r;
    rest_last();
    own->ready = ready;
    last = own;
    return 0;
}

static void free_ca(struct secret_maker *m, struct secret_ca *ca)
{
    (void)m;
    if (!ca)
        return;
    if (last == ca)
        rest_last();
    crypto_pem_done(&ca->pem);
    mem_free(ca);
}

static int make_token(struct secret_maker *m, char **ret_token, struct raia_error *e)
{
    char token[CRYPTO_TOKEN_SIZE];

    (void)m;
    if (crypto_token(token) < 0)
        return err_set(e, RAIA_ERR_IO, "no random bytes to be had");
    char *copy = mem_strdup(token);
    crypto_wipe(token, sizeof token);
    if (!copy)
        return err_set(e, RAIA_ERR_NOMEM, "a token");
    *ret_token = copy;
    return 0;
}

static int make_ca(struct secret_maker *m, const char *name, int64_t now_s, int64_t valid_s,
                   struct secret_ca **ret_ca, struct raia_error *e)
{
    struct secret_ca *ca = mem_new(struct secret_ca);
    char cn[65];

    if (!ca)
        return err_set(e, RAIA_ERR_NOMEM, "an authority");
    rest_last();
    snprintf(cn, sizeof cn, "%s", name); /* as much as a common name holds */
    int r = crypto_ca_new(cn, now_s, valid_s, &ca->ready, e);
    if (r == 0) {
        last = ca;
        r = crypto_ca_pem(ca->ready, &ca->pem, e);
    }
    if (r < 0)
        free_ca(m, ca);
    else
        *ret_ca = ca;
    return r;
}

/* Hands the texts over. */
static void take(struct crypto_pem *pem, char **ret_cert, char **ret_key)
{
    *ret_cert = STEAL(pem->cert);
    *ret_key = STEAL(pem->key);
}

static int ca_pem(struct secret_maker *m, const struct secret_ca *ca, char **ret_cert,
                  char **ret_key, struct raia_error *e)
{
    char *cert = mem_strdup(ca->pem.cert), *key = mem_strdup(ca->pem.key);

    (void)m;
    if (!cert || !key) {
        mem_free(cert);
        if (key)
            crypto_wipe(key, strlen(key));
        mem_free(key);
        return err_set(e, RAIA_ERR_NOMEM, "an authority's texts");
    }
    *ret_cert = cert;
    *ret_key = key;
    return 0;
}

static int make_leaf(struct secret_maker *m, const struct secret_ca *ca, const char *cn,
                     const char *const *sans, size_t n_sans, int64_t now_s, int64_t valid_s,
                     char **ret_cert, char **ret_key, struct raia_error *e)
{
    _cleanup_(crypto_pem_done) struct crypto_pem pem = {0};
    struct crypto_leaf leaf = {.cn = cn,
                               .sans = sans,
                               .n_sans = n_sans,
                               .valid_s = valid_s,
                               .client = true,
                               .server = true};
    int r = use(ca, e);
    if (r == 0)
        r = crypto_issue(ca->ready, &leaf, now_s, &pem, e);

    (void)m;
    if (r == 0)
        take(&pem, ret_cert, ret_key);
    return r;
}

static char *base64(struct secret_maker *m, const char *text)
{
    (void)m;
    return crypto_base64_encode(text, strlen(text));
}

static struct secret_maker maker = {.token = make_token,
                                    .ca = make_ca,
                                    .ca_pem = ca_pem,
                                    .leaf = make_leaf,
                                    .ca_free = free_ca,
                                    .base64 = base64};

struct secret_maker *keys_maker(void)
{
    return &maker;
}
