/*
 * Servers inside the process: the register of names, and the backlog through which a client's
 * thread hands new streams to the server's loop.
 */
#include "rpc/mem_impl.h"

#define BACKLOG_MAX 4096u

struct mem_listener {
    struct mem_listener *next; /* the server's list */
    struct mem_listener *reg;  /* the register's list */
    struct rpc_server *s;      /* whose core is referenced */
    struct loop_task task;     /* takes in the backlog; posted under the register's lock */
    char *name;                /* what stands behind "mem:" */
    struct mem_pair *first;    /* the backlog, oldest first */
    struct mem_pair **last;    /* where the next is put */
    unsigned waiting;          /* in the backlog */
    bool live;                 /* the server has started */
    bool removed;              /* not in the register any more: the next run frees it */
};

static pthread_mutex_t reg_lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards all of the above but name, s */
static struct mem_listener *reg_list;
static struct mem_pair *reg_waiting;     /* for a server that is not there yet */
static struct rpc_channel *reg_watchers; /* that want to hear of servers */

static struct mem_listener *find(const char *name)
{
    struct mem_listener *l = reg_list;
    while (l && strcmp(l->name, name) != 0)
        l = l->reg;
    return l;
}

/* Register locked: the pair goes to the listener's loop. */
static void hand_over(struct mem_listener *l, struct mem_pair *p)
{
    p->next = NULL;
    *l->last = p;
    l->last = &p->next;
    l->waiting++;
    loop_post(l->s->core.loop, &l->task);
}

int rpc_mem_connect(const char *name, struct mem_pair *p, bool wait, const char **ret_why)
{
    int r = -RAIA_ERR_UNAVAILABLE;
    pthread_mutex_lock(&reg_lock);
    struct mem_listener *l = find(name);
    if (l && l->live && l->waiting < BACKLOG_MAX) {
        atomic_fetch_add(&p->refs, 1);
        hand_over(l, p);
        r = 0;
    } else if (l && l->live) {
        *ret_why = "the server's backlog is full";
    } else if (!wait) {
        *ret_why = "no server listens there";
    } else if (!(p->name = mem_strdup(name))) {
        *ret_why = "out of memory";
        r = -RAIA_ERR_NOMEM;
    } else {
        atomic_fetch_add(&p->refs, 1);
        p->next = reg_waiting;
        reg_waiting = p;
        r = 0;
    }
    pthread_mutex_unlock(&reg_lock);
    return r;
}

void rpc_mem_leave(struct mem_pair *p)
{
    pthread_mutex_lock(&reg_lock);
    bool waits = p->name != NULL;
    if (waits) {
        struct mem_pair **at = &reg_waiting;
        while (*at != p)
            at = &(*at)->next;
        *at = p->next;
        mem_free(STEAL(p->name));
    }
    pthread_mutex_unlock(&reg_lock);
    if (waits)
        rpc_mem_pair_unref(p);
}

/* Register locked: a listener is live now; who waited for it, latest first, is turned round and
 * goes to it. */
static void take_waiting(struct mem_listener *l)
{
    struct mem_pair *mine = NULL;
    for (struct mem_pair **at = &reg_waiting; *at;) {
        struct mem_pair *p = *at;
        if (strcmp(p->name, l->name) != 0) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        mem_free(STEAL(p->name));
        p->next = mine;
        mine = p;
    }
    while (mine) {
        struct mem_pair *p = mine;
        mine = p->next;
        hand_over(l, p);
    }
}

/* ---- the state of channels ---- */

/* Register locked: the server `name` came or went. */
static void tell_watchers(const char *name)
{
    for (struct rpc_channel *ch = reg_watchers; ch; ch = ch->mem_next)
        if (strcmp(ch->mem_name, name) == 0)
            loop_post(ch->core.loop, &ch->mem_task);
}

enum rpc_state rpc_mem_state(const struct rpc_channel *ch)
{
    if (!ch->mem_wanted)
        return RPC_IDLE;
    pthread_mutex_lock(&reg_lock);
    struct mem_listener *l = find(ch->mem_name);
    bool live = l && l->live;
    pthread_mutex_unlock(&reg_lock);
    return live ? RPC_READY : RPC_FAILED;
}

static void on_state_task(struct loop_task *t)
{
    struct rpc_channel *ch = LOOP_OF(t, struct rpc_channel, mem_task);
    enum rpc_state now = rpc_mem_state(ch);
    if (ch->closing) {
        rpc_core_unref(&ch->core);
        return;
    }
    bool changed = now != ch->mem_last;
    ch->mem_last = now;
    if (changed && ch->on_state)
        ch->on_state(ch->on_state_arg, now);
}

void rpc_mem_want(struct rpc_channel *ch)
{
    if (ch->mem_wanted)
        return;
    ch->mem_wanted = true;
    if (ch->mem_watching)
        loop_post(ch->core.loop, &ch->mem_task);
}

void rpc_mem_watch(struct rpc_channel *ch)
{
    if (ch->mem_watching)
        return;
    ch->mem_watching = true;
    ch->mem_task.fn = on_state_task;
    ch->mem_last = rpc_mem_state(ch);
    rpc_core_ref(&ch->core);
    pthread_mutex_lock(&reg_lock);
    ch->mem_next = reg_watchers;
    reg_watchers = ch;
    pthread_mutex_unlock(&reg_lock);
}

void rpc_mem_unwatch(struct rpc_channel *ch)
{
    if (!ch->mem_watching)
        return;
    ch->mem_watching = false;
    pthread_mutex_lock(&reg_lock);
    struct rpc_channel **at = &reg_watchers;
    while (*at != ch)
        at = &(*at)->mem_next;
    *at = ch->mem_next;
    pthread_mutex_unlock(&reg_lock);
    /* The task may be pending; its last run, which sees that the channel is closing, lets go. */
    loop_post(ch->core.loop, &ch->mem_task);
}

/* ---- servers ---- */

/* The client's end learns that nothing came of it. */
static void refuse(struct mem_pair *p, int code, const char *text)
{
    pthread_mutex_lock(&p->lock);
    struct rpc_stream *st = p->client ? &p->client->st : NULL;
    if (st && !st->closed) {
        err_set(&st->err, code, "%s", text);
        st->closed = st->peer_end = true;
        rpc_queue_clear(&st->out);
        rpc_stream_notify(st);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Makes the server's end; the client's may be gone already. Takes the backlog's reference. */
static void take_in(struct mem_listener *l, struct mem_pair *p)
{
    struct mem_end *end = mem_new(struct mem_end);
    char *address = mem_printf("mem:%s", l->name);
    char *method = NULL;

    pthread_mutex_lock(&p->lock);
    struct rpc_stream *client = p->client && !p->client->st.closed ? &p->client->st : NULL;
    if (client && end && address && (method = mem_strdup(client->method_name))) {
        struct rpc_stream *st = &end->st;
        rpc_stream_init(st, &rpc_mem_wire, &l->s->core, method);
        end->pair = p;
        st->lock = &p->lock;
        st->server = true;
        st->unary = client->unary;
        st->deadline_ms = client->deadline_ms;
        st->peer.address = STEAL(address);
        const char *auth = LOOP_OF(client->core, struct rpc_channel, core)->authorization;
        st->authorized = rpc_server_authorize(l->s, auth, auth ? strlen(auth) : 0);
        p->server = STEAL(end);
        client->wire->pump_out(client);
        rpc_stream_notify(st);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    pthread_mutex_unlock(&p->lock);
    refuse(p, RAIA_ERR_NOMEM, "the server is out of memory");
    rpc_mem_pair_unref(p);
    mem_free(end);
    mem_free(address);
}

static void on_backlog(struct loop_task *t)
{
    struct mem_listener *l = LOOP_OF(t, struct mem_listener, task);
    pthread_mutex_lock(&reg_lock);
    struct mem_pair *p = l->first;
    bool removed = l->removed;
    l->first = NULL;
    l->last = &l->first;
    l->waiting = 0;
    pthread_mutex_unlock(&reg_lock);
    while (p) {
        struct mem_pair *next = p->next;
        if (removed) {
            refuse(p, RAIA_ERR_UNAVAILABLE, "the server is shutting down");
            rpc_mem_pair_unref(p);
        } else {
            take_in(l, p);
        }
        p = next;
    }
    if (!removed)
        return;
    rpc_core_unref(&l->s->core);
    mem_free(l->name);
    mem_free(l);
}

int rpc_mem_listen(struct rpc_server *s, const char *name, struct raia_error *e)
{
    if (!name[0])
        return err_set(e, RAIA_ERR_INVALID, "listen on 'mem:': a name is missing");
    struct mem_listener *l = mem_new(struct mem_listener);
    if (l)
        l->name = mem_strdup(name);
    if (!l || !l->name) {
        mem_free(l);
        return err_set(e, RAIA_ERR_NOMEM, "listen on mem:%s: out of memory", name);
    }
    l->s = s;
    l->task.fn = on_backlog;
    l->last = &l->first;
    pthread_mutex_lock(&reg_lock);
    bool taken = find(name) != NULL;
    if (!taken) {
        l->reg = reg_list;
        reg_list = l;
    }
    pthread_mutex_unlock(&reg_lock);
    if (taken) {
        mem_free(l->name);
        mem_free(l);
        return err_set(e, RAIA_ERR_EXISTS, "listen on mem:%s: another server does already", name);
    }
    l->next = s->mem;
    s->mem = l;
    rpc_core_ref(&s->core);
    return 0;
}

void rpc_mem_start(struct rpc_server *s)
{
    pthread_mutex_lock(&reg_lock);
    for (struct mem_listener *l = s->mem; l; l = l->next) {
        l->live = true;
        take_waiting(l);
        tell_watchers(l->name);
    }
    pthread_mutex_unlock(&reg_lock);
}

void rpc_mem_shutdown(struct rpc_server *s)
{
    pthread_mutex_lock(&reg_lock);
    for (struct mem_listener *l; (l = s->mem);) {
        struct mem_listener **p = &reg_list;
        while (*p != l)
            p = &(*p)->reg;
        *p = l->reg;
        s->mem = l->next;
        l->removed = true;
        tell_watchers(l->name);
        loop_post(s->core.loop, &l->task);
    }
    pthread_mutex_unlock(&reg_lock);
}
