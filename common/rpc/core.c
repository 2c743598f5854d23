/*
 * What channel and server have in common: the streams that live on them and the reference count
 * that tells when nothing is left.
 */
#include "rpc/rpc_impl.h"

static void on_gone(struct loop_task *t)
{
    struct rpc_core *c = LOOP_OF(t, struct rpc_core, gone_task);
    struct loop *loop = c->loop;
    c->gone(c);
    loop_release(loop);
}

void rpc_core_init(struct rpc_core *c, struct loop *loop, void (*gone)(struct rpc_core *c))
{
    c->loop = loop;
    c->refs = 1;
    c->gone_task.fn = on_gone;
    c->gone = gone;
    loop_hold(loop);
}

void rpc_core_ref(struct rpc_core *c)
{
    c->refs++;
}

void rpc_core_unref(struct rpc_core *c)
{
    if (--c->refs == 0)
        loop_post(c->loop, &c->gone_task);
}

void rpc_core_cancel_all(struct rpc_core *c, int code, const char *text)
{
    for (struct rpc_stream *st = c->streams; st; st = st->next)
        rpc_stream_abort(st, code, text);
}

bool rpc_is_local(const char *host)
{
    static const char *const local[] = {"127.", "localhost", "[::1]",
                                        "::1",  "unix:",     "unix-abstract:"};
    for (unsigned i = 0; i < sizeof local / sizeof local[0]; i++)
        if (strncmp(host, local[i], strlen(local[i])) == 0) {
            /* "localhost.example.org" is another machine, and so is "127.example.org". */
            const char *end = host + strlen(local[i]);
            if (i == 0)
                return strspn(end, "0123456789.:") == strlen(end);
            if (i <= 3 && *end && *end != ':')
                continue;
            return true;
        }
    return strncmp(host, "mem:", 4) == 0;
}
