/* The last error of each thread, with its causes. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/runtime.h"

static _Thread_local struct chain last;
static const struct raia_error none;

int last_set_chain(const struct chain *c)
{
    if (c != &last)
        last = *c;
    return last.n ? -last.links[0].code : -RAIA_ERR_INTERNAL;
}

int last_set_error(const struct raia_error *e)
{
    last.links[0] = *e;
    last.n = 1;
    return -e->code;
}

void last_clear(void)
{
    last.n = 0;
}

int last_set(int code, const char *fmt, ...)
{
    char text[RAIA_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    last.n = 1;
    return err_set(&last.links[0], code < 0 ? -code : code, "%s", text);
}

void last_get_chain(struct chain *ret)
{
    *ret = last;
}

const struct raia_error *raia_last_error(void)
{
    return last.n ? &last.links[0] : &none;
}

const struct raia_error *raia_error_cause(const struct raia_error *e)
{
    for (unsigned i = 0; i + 1 < last.n; i++)
        if (e == &last.links[i])
            return &last.links[i + 1];
    return NULL;
}

int raia_perror(const char *what)
{
    const struct raia_error *e = raia_last_error();

    fprintf(stderr, "%s: %s\n", what ? what : "raia", e->code ? e->text : "no error");
    while ((e = raia_error_cause(e)))
        fprintf(stderr, "  because: %s\n", e->text);
    return 1;
}
