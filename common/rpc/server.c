/*
 * Servers, whatever the transport: methods, limits, admission of what comes, and the shutdown.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rpc/rpc_impl.h"

#define SHUTTING_DOWN "the server is shutting down"

static void server_free(struct rpc_server *s)
{
    for (unsigned i = 0; i < s->n_methods; i++)
        mem_free(s->methods[i].name);
    mem_free(s->methods);
    mem_free(s->token);
    mem_free(s);
}

void rpc_server_mem_unref(struct rpc_server *s)
{
    if (--s->mem_refs == 0)
        server_free(s);
}

/* Nothing of the transports is left. */
static void server_gone(struct rpc_core *c)
{
    struct rpc_server *s = LOOP_OF(c, struct rpc_server, core);
    loop_timer_stop(&s->grace);
    rpc_grpc_server_free(s);
    if (s->done)
        s->done(s->done_arg);
    rpc_server_mem_unref(s);
}

int rpc_server_new(struct loop *loop, const struct rpc_server_opts *opts, struct rpc_server **ret_s,
                   struct raia_error *e)
{
    static const struct rpc_server_opts none;
    const struct rpc_server_opts *o = opts ? opts : &none;
    struct rpc_server *s = mem_new(struct rpc_server);
    if (!s)
        return err_set(e, RAIA_ERR_NOMEM, "rpc server: out of memory");
    s->mem_refs = 1;
    s->max_active = o->max_active ? o->max_active : 4096;
    s->max_streams = o->max_streams ? o->max_streams : 4096;
    s->core.max_message = o->max_message ? o->max_message : RPC_MAX_MESSAGE_DEFAULT;
    s->core.outbox = o->outbox ? o->outbox : RPC_OUTBOX_DEFAULT;
    int r = 0;
    if (o->token && !(s->token = mem_strdup(o->token)))
        r = err_set(e, RAIA_ERR_NOMEM, "rpc server: out of memory");
    if (r == 0)
        r = rpc_grpc_server_new(s, o, e);
    if (r < 0) {
        server_free(s);
        return r;
    }
    rpc_core_init(&s->core, loop, server_gone);
    *ret_s = s;
    return 0;
}

static int add_method(struct rpc_server *s, const char *name, rpc_unary_fn unary, rpc_open_fn open,
                      void *arg, const struct rpc_method_opts *opts, struct raia_error *e)
{
    const char *slash = name[0] == '/' ? strchr(name + 1, '/') : NULL;
    if (!slash || slash == name + 1 || !slash[1] || strchr(slash + 1, '/'))
        return err_set(e, RAIA_ERR_INVALID, "rpc method '%s': want \"/package.Service/Method\"",
                       name);
    if (s->started || s->closing)
        return err_set(e, RAIA_ERR_STATE, "rpc method '%s': the server has started", name);
    for (unsigned i = 0; i < s->n_methods; i++)
        if (strcmp(s->methods[i].name, name) == 0)
            return err_set(e, RAIA_ERR_EXISTS, "rpc method '%s' is registered twice", name);
    struct rpc_method *all = mem_realloc(s->methods, (s->n_methods + 1) * sizeof *all);
    if (!all)
        return err_set(e, RAIA_ERR_NOMEM, "rpc method '%s': out of memory", name);
    s->methods = all;
    char *copy = mem_strdup(name);
    if (!copy)
        return err_set(e, RAIA_ERR_NOMEM, "rpc method '%s': out of memory", name);
    all[s->n_methods++] = (struct rpc_method){.name = copy,
                                              .unary = unary,
                                              .open = open,
                                              .arg = arg,
                                              .max_active = opts ? opts->max_active : 0};
    return 0;
}

int rpc_server_unary(struct rpc_server *s, const char *name, rpc_unary_fn fn, void *arg,
                     const struct rpc_method_opts *opts, struct raia_error *e)
{
    return add_method(s, name, fn, NULL, arg, opts, e);
}

int rpc_server_stream(struct rpc_server *s, const char *name, rpc_open_fn fn, void *arg,
                      const struct rpc_method_opts *opts, struct raia_error *e)
{
    return add_method(s, name, NULL, fn, arg, opts, e);
}

int rpc_server_listen(struct rpc_server *s, const char *host, uint16_t port, uint16_t *ret_port,
                      struct raia_error *e)
{
    if (s->started || s->closing)
        return err_set(e, RAIA_ERR_STATE, "listen on %s: the server has started", host);
    if (strncmp(host, "mem:", 4) == 0)
        return rpc_mem_listen(s, host + 4, e);
    if (strncmp(host, "unix:", 5) == 0)
        return rpc_grpc_listen(s, host, NULL, e);
    char addr[300];
    bool v6 = strchr(host, ':') && host[0] != '[';
    int n = snprintf(addr, sizeof addr, v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
    if (n < 0 || (size_t)n >= sizeof addr)
        return err_set(e, RAIA_ERR_INVALID, "listen on '%.64s...': the name is too long", host);
    return rpc_grpc_listen(s, addr, ret_port, e);
}

static int method_cmp(const void *a, const void *b)
{
    return strcmp(((const struct rpc_method *)a)->name, ((const struct rpc_method *)b)->name);
}

int rpc_server_start(struct rpc_server *s, struct raia_error *e)
{
    if (s->started || s->closing)
        return err_set(e, RAIA_ERR_STATE, "rpc server: started twice");
    if (s->n_methods)
        qsort(s->methods, s->n_methods, sizeof *s->methods, method_cmp);
    int r = rpc_grpc_start(s, e);
    if (r < 0)
        return r;
    s->started = true;
    rpc_mem_start(s);
    return 0;
}

static struct rpc_method *find(const struct rpc_server *s, const char *name)
{
    struct rpc_method key = {.name = (char *)(uintptr_t)name};
    return s->n_methods ? bsearch(&key, s->methods, s->n_methods, sizeof key, method_cmp) : NULL;
}

static void refuse(struct rpc_stream *st, const struct raia_error *err)
{
    st->user = &rpc_user_drop;
    rpc_stream_put(st, NULL, true, err);
}

void rpc_server_accept(struct rpc_stream *st)
{
    struct rpc_server *s = LOOP_OF(st->core, struct rpc_server, core);
    struct raia_error e = {0};

    if (rpc_stream_is_grpc(st))
        rpc_grpc_slot_used(s);
    if (st->refused) {
        st->user = &rpc_user_drop;
        return;
    }
    struct rpc_method *m = find(s, st->method_name);
    if (s->closing)
        err_set(&e, RAIA_ERR_UNAVAILABLE, "%s: " SHUTTING_DOWN, st->method_name);
    else if (!st->authorized)
        err_set(&e, RAIA_ERR_PERMISSION, "%s: the token is missing or wrong", st->method_name);
    else if (!m)
        err_set(&e, RAIA_ERR_UNSUPPORTED, "no method '%s' here", st->method_name);
    else if (m->max_active && m->active >= m->max_active)
        err_set(&e, RAIA_ERR_LIMIT, "%s: %u calls of it are being served, which is the limit",
                st->method_name, m->active);
    else if (m->unary ? s->active >= s->max_active : s->streams >= s->max_streams)
        err_set(&e, RAIA_ERR_LIMIT, "%s: the server serves %u calls, which is the limit",
                st->method_name, m->unary ? s->active : s->streams);
    if (e.code) {
        refuse(st, &e);
        return;
    }
    st->method = m;
    st->server_of = s;
    m->active++;
    s->mem_refs++;
    if (m->unary) {
        s->active++;
        st->user = &rpc_user_request;
        return;
    }
    s->streams++;
    int r = m->open(m->arg, st, &e);
    if (r < 0) {
        if (!e.code)
            err_set(&e, -r, "%s was refused", st->method_name);
        refuse(st, &e);
        return;
    }
    st->user = &rpc_user_public;
    rpc_stream_put(st, NULL, false, NULL); /* tells the client that it is open */
}

void rpc_server_left(struct rpc_stream *st)
{
    struct rpc_method *m = st->method;
    if (!m || st->q.open)
        return;
    /* The stream may be detached, and the server's core gone, but its struct is held by mem_refs.
     */
    struct rpc_server *s = st->server_of;
    st->method = NULL;
    m->active--;
    if (m->unary)
        s->active--;
    else
        s->streams--;
    rpc_server_mem_unref(s);
}

bool rpc_server_authorize(const struct rpc_server *s, const char *auth, size_t size)
{
    static const char bearer[] = "Bearer ";
    if (!s->token)
        return true;
    size_t want = strlen(s->token);
    if (!auth || size != sizeof bearer - 1 + want || memcmp(auth, bearer, sizeof bearer - 1) != 0)
        return false;
    /* The time it takes tells nothing about the token. */
    unsigned char diff = 0;
    for (size_t i = 0; i < want; i++)
        diff |= (unsigned char)(auth[sizeof bearer - 1 + i] ^ s->token[i]);
    return diff == 0;
}

static void on_grace_over(struct loop_timer *t)
{
    struct rpc_server *s = LOOP_OF(t, struct rpc_server, grace);
    s->cancelled = true;
    rpc_core_cancel_all(&s->core, RAIA_ERR_UNAVAILABLE, SHUTTING_DOWN);
    rpc_grpc_cancel_all(s);
}

void rpc_server_shutdown(struct rpc_server *s, uint32_t grace_ms, void (*done)(void *arg),
                         void *arg)
{
    bool first = !s->closing;
    if (first) {
        s->closing = true;
        s->done = done;
        s->done_arg = arg;
        rpc_mem_shutdown(s);
        rpc_grpc_shutdown(s);
    }
    uint64_t end = loop_now_ms(s->core.loop) + grace_ms;
    if (s->core.refs && !s->cancelled && (first || s->grace.due_ms > end))
        loop_timer_start(s->core.loop, &s->grace, grace_ms, 0, on_grace_over);
    if (first)
        rpc_core_unref(&s->core);
}
