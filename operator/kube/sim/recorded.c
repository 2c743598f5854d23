/*
 * Recorded replies, in their order.
 */
#include "kube/sim/recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "kube/sim/model_impl.h"

#define MOST 1024

struct reply {
    char *method, *part, *body; /* what is expected, and given */
    int status;                 /* of HTTP; negative: no answer */
    int retry_after_s;          /* 0: none */
};

struct kube_recorded {
    struct kube_transport base;       /* first */
    struct reply replies[MOST];       /* in order */
    size_t n_replies, next;           /* how many, and the next */
    struct kube_asked asked[MOST];    /* so far */
    struct kube_exchange *open[MOST]; /* as asked; NULL: answered */
    size_t n_asked;                   /* how many */
    bool canceled[MOST];              /* by their owners */
    size_t piece;                     /* of a watch's body */
    int64_t now;                      /* ns */
};

static int start(struct kube_transport *base, struct kube_exchange *x,
                 const struct kube_request *rq, struct raia_error *e)
{
    struct kube_recorded *t = (struct kube_recorded *)base;
    if (t->n_asked == MOST)
        return err_set(e, RAIA_ERR_LIMIT, "too many requests for a test");
    t->asked[t->n_asked] = (struct kube_asked){
        mem_strdup(rq->method), mem_strdup(rq->target), mem_strdup(rq->content_type),
        rq->body ? mem_strndup(rq->body, rq->body_len) : NULL};
    t->open[t->n_asked++] = x;
    x->impl = t;
    return 0;
}

static void cancel(struct kube_transport *base, struct kube_exchange *x)
{
    struct kube_recorded *t = (struct kube_recorded *)base;
    for (size_t i = 0; i < t->n_asked; i++)
        if (t->open[i] == x)
            t->canceled[i] = true;
}

static int64_t now(struct kube_transport *base)
{
    return ((struct kube_recorded *)base)->now;
}

static int64_t unix_ms(struct kube_transport *base)
{
    return INT64_C(1790000000000) + ((struct kube_recorded *)base)->now / 1000000;
}

static void free_recorded(struct kube_transport *base)
{
    struct kube_recorded *t = (struct kube_recorded *)base;
    for (size_t i = 0; i < t->n_replies; i++) {
        mem_free(t->replies[i].method);
        mem_free(t->replies[i].part);
        mem_free(t->replies[i].body);
    }
    for (size_t i = 0; i < t->n_asked; i++) {
        mem_free(t->asked[i].method);
        mem_free(t->asked[i].target);
        mem_free(t->asked[i].type);
        mem_free(t->asked[i].body);
    }
    mem_free(t);
}

static const struct kube_transport_ops ops = {start, cancel, now, unix_ms, free_recorded};

struct kube_recorded *kube_recorded_new(void)
{
    struct kube_recorded *t = MODEL_NEED(mem_new(struct kube_recorded));
    t->base.ops = &ops;
    t->now = 1000000000;
    return t;
}

struct kube_transport *kube_recorded_transport(struct kube_recorded *t)
{
    return &t->base;
}

void kube_recorded_reply(struct kube_recorded *t, const char *method, const char *target_part,
                         int status, const char *body)
{
    if (t->n_replies == MOST)
        abort();
    t->replies[t->n_replies++] =
        (struct reply){mem_strdup(method), mem_strdup(target_part), mem_strdup(body), status, 0};
}

void kube_recorded_retry_after(struct kube_recorded *t, int seconds)
{
    t->replies[t->n_replies - 1].retry_after_s = seconds;
}

void kube_recorded_piece(struct kube_recorded *t, size_t bytes)
{
    t->piece = bytes;
}

/* The body to a receiver of pieces. */
static void give(struct kube_recorded *t, struct kube_exchange *x, const char *body,
                 struct raia_error *e)
{
    size_t left = strlen(body);
    while (left && !e->code) {
        size_t n = t->piece && t->piece < left ? t->piece : left;
        int r = x->data(x, body, n);
        if (r < 0)
            err_set(e, -r, "the receiver ended it");
        body += n;
        left -= n;
    }
}

static void answer(struct kube_recorded *t, size_t i)
{
    static struct reply none = {.status = 599};
    struct kube_exchange *x = t->open[i];
    const struct kube_asked *q = &t->asked[i];
    struct raia_error e = {0};
    struct kube_reply rp = {0};
    t->open[i] = NULL;
    x->impl = NULL;
    if (t->canceled[i]) {
        err_set(&e, RAIA_ERR_CANCELED, "canceled");
        x->done(x, &rp, &e);
        return;
    }
    struct reply *r = t->next < t->n_replies ? &t->replies[t->next] : &none;
    if (r == &none || strcmp(r->method, q->method) != 0 || !strstr(q->target, r->part)) {
        fprintf(stderr, "recorded: %s %s was not expected\n", q->method, q->target);
        r = &none;
    } else {
        t->next++;
    }
    rp.status = r->status;
    rp.retry_after_s = r->retry_after_s;
    if (r->status < 0)
        err_set(&e, -r->status, "no answer");
    else if (x->data && r->status == 200 && r->body)
        give(t, x, r->body, &e);
    else
        rp.body = r->body;
    rp.body_len = rp.body ? strlen(rp.body) : 0;
    x->done(x, &rp, &e);
}

unsigned kube_recorded_step(struct kube_recorded *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->n_asked; i++) {
        if (t->open[i]) {
            answer(t, i);
            n++;
        }
    }
    return n;
}

void kube_recorded_pass(struct kube_recorded *t, int64_t ns)
{
    t->now += ns;
}

size_t kube_recorded_count(const struct kube_recorded *t)
{
    return t->n_asked;
}

const struct kube_asked *kube_recorded_asked(const struct kube_recorded *t, size_t i)
{
    return i < t->n_asked ? &t->asked[i] : NULL;
}

bool kube_recorded_used_up(const struct kube_recorded *t)
{
    return t->next == t->n_replies;
}

unsigned kube_recorded_in_flight(const struct kube_recorded *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->n_asked; i++)
        n += t->open[i] != NULL;
    return n;
}
