/* Errors with causes, to bytes and back. */
#include "core/chain.h"

#include <string.h>

#include "base/err.h"

#define LINK_HEAD 8u

void chain_init(struct chain *c)
{
    c->n = 0;
}

void chain_push(struct chain *c, const struct raia_error *e)
{
    if (c->n == CHAIN_MAX)
        c->n--;
    memmove(&c->links[1], &c->links[0], c->n * sizeof(c->links[0]));
    c->links[0] = *e;
    c->n++;
}

void chain_add_cause(struct chain *c, const struct raia_error *e)
{
    if (c->n < CHAIN_MAX)
        c->links[c->n++] = *e;
}

size_t chain_encode(const struct chain *c, void *to, size_t max)
{
    uint8_t *p = to;
    size_t at = 0;

    for (unsigned i = 0; i < c->n; i++) {
        const struct raia_error *e = &c->links[i];
        uint16_t len = (uint16_t)strnlen(e->text, RAIA_ERROR_TEXT_MAX - 1);
        int32_t code = e->code;

        if (max - at < LINK_HEAD + len)
            break;
        memcpy(p + at, &code, 4);
        p[at + 4] = (uint8_t)(e->retryable | e->maybe_executed << 1);
        p[at + 5] = 0;
        memcpy(p + at + 6, &len, 2);
        memcpy(p + at + LINK_HEAD, e->text, len);
        at += LINK_HEAD + len;
    }
    return at;
}

void chain_decode(struct chain *c, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t at = 0;

    chain_init(c);
    while (c->n < CHAIN_MAX && size - at >= LINK_HEAD) {
        struct raia_error *e = &c->links[c->n];
        int32_t code;
        uint16_t len;

        memcpy(&code, p + at, 4);
        memcpy(&len, p + at + 6, 2);
        if (code <= 0 || code > RAIA_ERR_MAX || len >= RAIA_ERROR_TEXT_MAX ||
            size - at - LINK_HEAD < len)
            break;
        *e = (struct raia_error){
            .code = code, .retryable = p[at + 4] & 1, .maybe_executed = (p[at + 4] & 2) != 0};
        memcpy(e->text, p + at + LINK_HEAD, len);
        c->n++;
        at += LINK_HEAD + len;
    }
    if (c->n == 0) {
        err_set(&c->links[0], RAIA_ERR_INTERNAL, "an error that cannot be read (%zu bytes)", size);
        c->n = 1;
    }
}
