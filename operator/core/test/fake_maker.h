/*
 * For tests: keys that are numbered texts.
 */
#ifndef TEST_FAKE_MAKER_H
#define TEST_FAKE_MAKER_H

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/secret.h"

struct fake_ca {
    unsigned n; /* which one it is */
};

struct fake_maker {
    struct secret_maker base; /* first */
    unsigned tokens;          /* made */
    unsigned cas;             /* made */
    int alive;                /* authorities in memory */
};

static inline int fake_token(struct secret_maker *m, char **ret, struct raia_error *e)
{
    *ret = mem_printf("token-%u", ++((struct fake_maker *)m)->tokens);
    return *ret ? 0 : err_set(e, RAIA_ERR_NOMEM, "a token");
}

static inline int fake_ca(struct secret_maker *m, const char *name, int64_t now_s, int64_t valid_s,
                          struct secret_ca **ret, struct raia_error *e)
{
    struct fake_maker *f = (struct fake_maker *)m;
    struct fake_ca *ca = mem_new(struct fake_ca);

    (void)name, (void)now_s, (void)valid_s;
    if (!ca)
        return err_set(e, RAIA_ERR_NOMEM, "an authority");
    ca->n = ++f->cas;
    f->alive++;
    *ret = (struct secret_ca *)ca;
    return 0;
}

static inline int fake_texts(const char *what, unsigned n, char **ret_cert, char **ret_key,
                             struct raia_error *e)
{
    *ret_cert = mem_printf("cert of %s %u\n", what, n);
    *ret_key = mem_printf("key of %s %u\n", what, n);
    if (*ret_cert && *ret_key)
        return 0;
    mem_free(STEAL(*ret_cert));
    mem_free(STEAL(*ret_key));
    return err_set(e, RAIA_ERR_NOMEM, "a key");
}

static inline int fake_ca_pem(struct secret_maker *m, const struct secret_ca *ca, char **ret_cert,
                              char **ret_key, struct raia_error *e)
{
    (void)m;
    return fake_texts("ca", ((const struct fake_ca *)ca)->n, ret_cert, ret_key, e);
}

static inline int fake_leaf(struct secret_maker *m, const struct secret_ca *ca, const char *cn,
                            const char *const *sans, size_t n_sans, int64_t now_s, int64_t valid_s,
                            char **ret_cert, char **ret_key, struct raia_error *e)
{
    (void)m, (void)sans, (void)n_sans, (void)now_s, (void)valid_s;
    return fake_texts(cn, ((const struct fake_ca *)ca)->n, ret_cert, ret_key, e);
}

static inline void fake_ca_free(struct secret_maker *m, struct secret_ca *ca)
{
    ((struct fake_maker *)m)->alive -= ca != NULL;
    mem_free(ca);
}

/* As it is: to be read in tests. */
static inline char *fake_base64(struct secret_maker *m, const char *text)
{
    (void)m;
    return mem_strdup(text);
}

static inline struct fake_maker fake_maker_init(void)
{
    return (struct fake_maker){.base = {.token = fake_token,
                                        .ca = fake_ca,
                                        .ca_pem = fake_ca_pem,
                                        .leaf = fake_leaf,
                                        .ca_free = fake_ca_free,
                                        .base64 = fake_base64}};
}

/* Counts from 1 again: how long its texts are decides how they are cut on their way. */
static inline void fake_maker_reset(struct fake_maker *f)
{
    f->tokens = f->cas = 0;
}

#endif
