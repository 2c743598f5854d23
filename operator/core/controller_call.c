/*
 * Calls to heads: the token is fetched, the call made, and its answer handed to the reconciler.
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/controller_impl.h"
#include "crypto/crypto.h"

#define RUNNING_MAX    1000 /* they may wait for news at their heads */
#define WAITING_MAX    10000
#define TIMEOUT_MAX_MS 60000
#define TOKEN_KEY      "auth_token"

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(text);
}

static void free_op(struct call_op *op)
{
    struct item *it = op->it;
    struct controller *c = it->c;
    if (list_linked(&op->wait)) {
        list_del(&op->wait);
        c->n_calls_waiting--;
    }
    c->calls_running -= op->begun;
    list_del(&op->link);
    mem_free(op->ns);
    mem_free(op->method);
    mem_free(op->url);
    mem_free(op->body);
    mem_free(op->secret);
    wipe(op->token);
    mem_free(op);
}

/* The answer, or why there is none; the end of the call. */
static void answer(struct call_op *op, int status, const char *body, size_t len, const char *error)
{
    struct item *it = op->it;
    struct controller *c = it->c;
    struct reconciler *r = it->source->r;
    struct plan_answer a = {.tag = op->tag,
                            .http_status = status,
                            .body = body,
                            .body_len = len,
                            .error = status  ? NULL
                                     : error ? error
                                             : "no answer",
                            .now = controller_now__(c)};
    bool gone = it->gone;
    free_op(op); /* first: then a plan may ask the same again */
    if (!gone && r->answered)
        r->answered(r, &it->memory, &a);
    if (!gone)
        controller_add__(c, it->uid);
    controller_release__(it);
    controller_pump_soon__(c, controller_now__(c)); /* not from here: that might go deep */
}

static void on_done(struct controller_call *x, int status, const char *body, size_t len,
                    const char *error)
{
    struct call_op *op = container_of(x, struct call_op, x);
    op->with_daemon = false;
    answer(op, status, body, len, error);
}

static void begin_call(struct call_op *op)
{
    struct controller *c = op->it->c;
    struct raia_error e = {0};
    op->x.ns = op->ns;
    op->x.method = op->method;
    op->x.url = op->url;
    op->x.body = op->body;
    op->x.token = op->token;
    op->x.done = on_done;
    c->stats.calls++;
    int r = c->o.calls ? c->o.calls->start(c->o.calls, &op->x, &e)
                       : err_set(&e, RAIA_ERR_UNSUPPORTED, "this operator makes no calls");
    op->with_daemon = r == 0;
    if (r < 0)
        answer(op, 0, NULL, 0, e.text);
}

static char *token_of(const struct json *secret)
{
    const char *text = json_str(json_get(json_get(secret, "data"), TOKEN_KEY));
    void *data = NULL;
    size_t len = 0;
    if (!text || crypto_base64_decode(text, strlen(text), &data, &len) < 0)
        return NULL;
    char *token = mem_strndup(data, len);
    explicit_bzero(data, len);
    mem_free(data);
    return token;
}

static void on_secret(struct kube_call *call, struct json *object, const struct kube_error *error,
                      void *arg)
{
    struct call_op *op = arg;
    (void)call;
    if (error->base.code) {
        answer(op, 0, NULL, 0, error->base.text);
        return;
    }
    op->token = token_of(object);
    if (op->token)
        begin_call(op);
    else
        answer(op, 0, NULL, 0, "the secret has no " TOKEN_KEY " that can be read");
}

static void begin(struct call_op *op)
{
    struct raia_error e = {0};
    op->begun = true;
    op->it->c->calls_running++;
    if (!op->secret) {
        begin_call(op);
        return;
    }
    struct kube_ask q = {.verb = KUBE_GET,
                         .target = {.resource = &kube_secrets, .ns = op->ns, .name = op->secret},
                         .timeout_ms = op->x.timeout_ms};
    if (kube_ask(op->it->c->o.client, &op->get, &q, on_secret, op, &e) < 0)
        answer(op, 0, NULL, 0, e.text);
}

void controller_calls_pump__(struct controller *c)
{
    while (c->calls_running < RUNNING_MAX && !list_empty(&c->calls_waiting)) {
        struct call_op *op = LIST_FIRST(&c->calls_waiting, struct call_op, wait);
        list_del(&op->wait);
        c->n_calls_waiting--;
        begin(op);
    }
}

static int copy(char **to, const char *text)
{
    *to = mem_strdup(text);
    return text && !*to ? -RAIA_ERR_NOMEM : 0;
}

int controller_call_start__(struct item *it, const struct plan_action *a)
{
    struct controller *c = it->c;
    struct call_op *op;
    LIST_FOREACH (op, &it->calls, link)
        if (op->tag == a->tag)
            return 0; /* under way */
    if (c->n_calls_waiting >= WAITING_MAX)
        return -RAIA_ERR_LIMIT;
    if (!a->url || !a->method)
        return -RAIA_ERR_INVALID;
    if (!(op = mem_new(struct call_op)))
        return -RAIA_ERR_NOMEM;
    op->it = it;
    op->tag = a->tag;
    op->x.timeout_ms =
        a->timeout_ms > 0 && a->timeout_ms < TIMEOUT_MAX_MS ? a->timeout_ms : TIMEOUT_MAX_MS;
    list_add_tail(&it->calls, &op->link);
    if (copy(&op->ns, a->ns) < 0 || copy(&op->method, a->method) < 0 ||
        copy(&op->url, a->url) < 0 || copy(&op->body, a->body) < 0 ||
        copy(&op->secret, a->token_secret) < 0) {
        free_op(op);
        return -RAIA_ERR_NOMEM;
    }
    list_add_tail(&c->calls_waiting, &op->wait);
    c->n_calls_waiting++;
    controller_pump_soon__(c, controller_now__(c)); /* an answer never comes from inside a plan */
    return 0;
}

void controller_call_cancel__(struct call_op *op)
{
    struct controller *c = op->it->c;
    if (kube_call_active(&op->get)) {
        kube_cancel(&op->get);
    } else if (op->with_daemon) {
        c->o.calls->cancel(c->o.calls, &op->x);
    } else {
        answer(op, 0, NULL, 0, "canceled");
    }
}
