/*
 * Chaos: rules by method that make calls of this process's clients fail. Process-wide; a single
 * load is all that it costs while nothing is armed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "rpc/rpc_impl.h"

struct rule {
    struct rule *next;        /* list */
    char *method;             /* full name, last part, or "*" */
    int64_t left;             /* failures still to inject; -1: no limit */
    unsigned request_percent; /* of requests dropped */
    unsigned reply_percent;   /* of replies dropped */
    uint32_t delay_ms;        /* for every request */
};

#define DEFAULT_SEED 0x52616961u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards rules and state */
static struct rule *rules;
static uint64_t state = DEFAULT_SEED; /* of the generator */
static atomic_bool armed;
static atomic_ulong injected;

static unsigned percent(void)
{
    /* splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ (z >> 31)) % 100);
}

static void free_rules(struct rule *r)
{
    while (r) {
        struct rule *next = r->next;
        mem_free(r->method);
        mem_free(r);
        r = next;
    }
}

static bool matches(const struct rule *r, const char *method)
{
    const char *slash = strrchr(method, '/');
    return strcmp(r->method, "*") == 0 || strcmp(r->method, method) == 0 ||
           (slash && strcmp(r->method, slash + 1) == 0);
}

static struct rule *find(const char *method)
{
    struct rule *any = NULL;
    for (struct rule *r = rules; r; r = r->next) {
        if (!matches(r, method))
            continue;
        if (strcmp(r->method, "*") != 0)
            return r;
        any = r;
    }
    return any;
}

static bool inject(struct rule *r, unsigned p)
{
    if (r->left == 0 || percent() >= p)
        return false;
    if (r->left > 0)
        r->left--;
    atomic_fetch_add(&injected, 1);
    return true;
}

struct rpc_chaos_fate rpc_chaos_draw(const char *method)
{
    struct rpc_chaos_fate f = {0};
    if (!atomic_load_explicit(&armed, memory_order_relaxed))
        return f;
    pthread_mutex_lock(&lock);
    struct rule *r = find(method);
    if (r) {
        f.delay_ms = r->delay_ms;
        f.drop_request = inject(r, r->request_percent);
        f.drop_reply = !f.drop_request && inject(r, r->reply_percent);
    }
    pthread_mutex_unlock(&lock);
    return f;
}

/* For streams: the opening is the request, each message received a reply. */
bool rpc_chaos_draw_stream(const char *method, bool reply)
{
    if (!atomic_load_explicit(&armed, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&lock);
    struct rule *r = find(method);
    bool drop = r && inject(r, reply ? r->reply_percent : r->request_percent);
    pthread_mutex_unlock(&lock);
    return drop;
}

static struct rule *rule_new(const char *method, size_t len, int64_t count, uint64_t req,
                             uint64_t reply, uint64_t delay, int *ret_r, struct raia_error *e)
{
    if (!len || req > 100 || reply > 100 || count < -1 || delay > 3600000) {
        *ret_r = err_set(e, RAIA_ERR_INVALID,
                         "chaos rule for '%.*s': want a method, a count of -1 or more, percentages "
                         "of 0 to 100 and a delay of at most 3600000 ms",
                         (int)(len < 200 ? len : 200), method);
        return NULL;
    }
    struct rule *r = mem_new(struct rule);
    if (r && !(r->method = mem_strndup(method, len))) {
        mem_free(r);
        r = NULL;
    }
    if (!r) {
        *ret_r = err_set(e, RAIA_ERR_NOMEM, "chaos rules: out of memory");
        return NULL;
    }
    r->left = count;
    r->request_percent = (unsigned)req;
    r->reply_percent = (unsigned)reply;
    r->delay_ms = (uint32_t)delay;
    return r;
}

/* Takes it; an earlier rule of the same method goes. */
static void add_locked(struct rule *r)
{
    for (struct rule **p = &rules; *p; p = &(*p)->next)
        if (strcmp((*p)->method, r->method) == 0) {
            struct rule *old = *p;
            *p = old->next;
            old->next = NULL;
            free_rules(old);
            break;
        }
    r->next = rules;
    rules = r;
}

int rpc_chaos_add(const char *method, int64_t count, unsigned request_percent,
                  unsigned response_percent, uint32_t delay_ms, struct raia_error *e)
{
    int r = 0;
    struct rule *rule =
        rule_new(method, strlen(method), count, request_percent, response_percent, delay_ms, &r, e);
    if (!rule)
        return r;
    pthread_mutex_lock(&lock);
    add_locked(rule);
    atomic_store(&armed, true);
    pthread_mutex_unlock(&lock);
    return 0;
}

/* Reads a number that ends at `end` or at one of ":,"; -1 only where neg. */
static bool number(const char **p, bool neg, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)**p) && !(neg && **p == '-'))
        return false;
    errno = 0;
    long long v = strtoll(*p, &end, 10);
    if (errno || end == *p)
        return false;
    *p = end;
    *ret = v;
    return true;
}

/* One "METHOD=COUNT:REQUEST:RESPONSE[:DELAY]"; *p is left behind it. */
static struct rule *parse_rule(const char **p, int *ret_r, struct raia_error *e)
{
    const char *start = *p, *eq = start + strcspn(start, "=,");
    int64_t v[4] = {0};
    const char *q = eq;
    bool ok = *q == '=';
    for (unsigned i = 0; ok && i < 4; i++) {
        if (i == 3 && *q != ':')
            break;
        ok = i == 0 || *q == ':';
        q++;
        ok = ok && number(&q, i == 0, &v[i]) && v[i] >= (i == 0 ? -1 : 0);
    }
    if (!ok || (*q && *q != ',')) {
        *ret_r = err_set(e, RAIA_ERR_INVALID,
                         "chaos rule '%.*s': want METHOD=COUNT:REQUEST:RESPONSE[:DELAY_MS], as in "
                         "RegisterNode=-1:10:10",
                         (int)strcspn(start, ","), start);
        return NULL;
    }
    *p = q + (*q == ',');
    return rule_new(start, (size_t)(eq - start), v[0], (uint64_t)v[1], (uint64_t)v[2],
                    (uint64_t)v[3], ret_r, e);
}

int rpc_chaos_set(const char *text, uint64_t seed, struct raia_error *e)
{
    struct rule *list = NULL;
    int r = 0;
    for (const char *p = text ? text : ""; *p;) {
        struct rule *rule = parse_rule(&p, &r, e);
        if (!rule) {
            free_rules(list);
            return r;
        }
        rule->next = list;
        list = rule;
    }
    pthread_mutex_lock(&lock);
    free_rules(STEAL(rules));
    while (list) {
        struct rule *rule = list;
        list = rule->next;
        add_locked(rule);
    }
    state = seed ? seed : DEFAULT_SEED;
    atomic_store(&armed, rules != NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

void rpc_chaos_clear(void)
{
    (void)rpc_chaos_set(NULL, 0, NULL);
}

uint64_t rpc_chaos_count(void)
{
    return atomic_load(&injected);
}

int rpc_chaos_from_env(struct raia_error *e)
{
    const char *text = getenv("RAIA_TESTING_RPC_FAILURE");
    if (!text)
        return 0;
    int r = rpc_chaos_set(text, 0, e);
    return r < 0 ? err_wrap(e, "RAIA_TESTING_RPC_FAILURE") : 0;
}
