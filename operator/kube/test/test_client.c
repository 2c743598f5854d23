/*
 * Requests: what is sent, in which order, and what becomes of answers.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/sim/recorded.h"

static struct kube_recorded *t;
static struct kube_client *c;
static enum kube_reason reasons[16];
static int codes[16], n_done;
static char last_name[64];

static void on_done(struct kube_call *call, struct json *object, const struct kube_error *error,
                    void *arg)
{
    (void)arg;
    cr_assert_not(kube_call_active(call));
    const char *name = json_str(json_at(object, "metadata.name"));
    snprintf(last_name, sizeof last_name, "%s", name ? name : "");
    codes[n_done] = error->base.code;
    reasons[n_done++] = error->reason;
}

static void make(struct kube_client_options o)
{
    t = kube_recorded_new();
    cr_assert_eq(kube_client_new(kube_recorded_transport(t), &o, &c, NULL), 0);
    n_done = 0;
}

static void end(void)
{
    cr_assert(kube_recorded_used_up(t), "not all replies were asked for");
    kube_client_close(c);
    kube_recorded_step(t);
    kube_client_step(c);
    cr_assert(kube_client_idle(c));
    kube_client_free(c);
    kube_transport_free(kube_recorded_transport(t));
}

static void ask(struct kube_call *call, struct kube_ask a)
{
    struct raia_error e = {0};
    cr_assert_eq(kube_ask(c, call, &a, on_done, NULL, &e), 0, "%s", e.text);
}

static void asked(size_t i, const char *method, const char *target, const char *type,
                  const char *body)
{
    const struct kube_asked *q = kube_recorded_asked(t, i);
    cr_assert_not_null(q);
    cr_assert_str_eq(q->method, method);
    cr_assert_str_eq(q->target, target);
    cr_assert(type ? q->type && strcmp(q->type, type) == 0 : !q->type, "%zu: %s", i, q->type);
    cr_assert(body ? q->body && strcmp(q->body, body) == 0 : !q->body, "%zu: %s", i, q->body);
}

/* Each verb is the request that the API documents. */
Test(client, verbs)
{
    static const char pod[] = "{\"metadata\":{\"name\":\"a\"}}";
    static const char typed[] =
        "{\"metadata\":{\"name\":\"a\"},\"apiVersion\":\"v1\",\"kind\":\"Pod\"}";
    struct kube_call calls[6] = {0};
    struct json *o = NULL;
    struct kube_target n = {.resource = &kube_pods, .ns = "n", .name = "a"}, s = n;
    s.subresource = "status";
    make((struct kube_client_options){0});
    cr_assert_eq(json_parse(pod, strlen(pod), NULL, &o, NULL), 0);
    kube_recorded_reply(t, "GET", "/a", 200, pod);
    kube_recorded_reply(t, "POST", "/pods", 201, pod);
    kube_recorded_reply(t, "DELETE", "/a", 200, "{}");
    kube_recorded_reply(t, "PATCH", "/a", 200, pod);
    kube_recorded_reply(t, "PATCH", "/a/status", 200, pod);
    kube_recorded_reply(t, "GET", "/version", 200, "{}");
    ask(&calls[0], (struct kube_ask){.verb = KUBE_GET, .target = n});
    ask(&calls[1], (struct kube_ask){.verb = KUBE_CREATE, .target = n, .object = o});
    ask(&calls[2], (struct kube_ask){.verb = KUBE_DELETE,
                                     .target = n,
                                     .uid = "u",
                                     .resource_version = "7",
                                     .propagation = "Background",
                                     .has_grace = true});
    ask(&calls[3], (struct kube_ask){.verb = KUBE_APPLY,
                                     .target = n,
                                     .object = o,
                                     .field_manager = "raia op",
                                     .force = true});
    ask(&calls[4], (struct kube_ask){.verb = KUBE_PATCH, .target = s, .object = o});
    cr_assert_eq(kube_ask_path(c, &calls[5], "/version", on_done, NULL, NULL), 0);
    cr_assert_eq(n_done, 0, "never from kube_ask");
    cr_assert_eq(kube_recorded_step(t), 6);
    cr_assert_eq(n_done, 6);
    asked(0, "GET", "/api/v1/namespaces/n/pods/a", NULL, NULL);
    asked(1, "POST", "/api/v1/namespaces/n/pods", "application/json", typed);
    asked(2, "DELETE", "/api/v1/namespaces/n/pods/a", "application/json",
          "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\","
          "\"gracePeriodSeconds\":0,\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"7\"}}");
    asked(3, "PATCH", "/api/v1/namespaces/n/pods/a?fieldManager=raia%20op&force=true",
          "application/apply-patch+yaml", typed);
    asked(4, "PATCH", "/api/v1/namespaces/n/pods/a/status", "application/merge-patch+json", pod);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(codes[i], 0);
    json_free(o);
    end();
}

/* What would be another request than was meant is refused at once. */
Test(client, refused)
{
    struct kube_call call = {0};
    struct raia_error e = {0};
    struct json *o = json_new_object();
    make((struct kube_client_options){0});
    const struct kube_ask bad[] = {
        {.verb = KUBE_DELETE, .target = {.resource = &kube_pods, .ns = "n"}},
        {.verb = KUBE_DELETE, .target = {.resource = &kube_pods, .ns = "n", .name = ""}},
        {.verb = KUBE_DELETE, .target = {.resource = &kube_pods, .ns = "n", .name = ".."}},
        {.verb = KUBE_GET, .target = {.resource = &kube_pods, .name = "a"}},
        {.verb = KUBE_CREATE, .target = {.resource = &kube_pods, .ns = "n"}},
        {.verb = KUBE_APPLY,
         .target = {.resource = &kube_pods, .ns = "n", .name = "a"},
         .object = o},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(kube_ask(c, &call, &bad[i], on_done, NULL, &e), -RAIA_ERR_INVALID, "%zu", i);
    cr_assert_eq(kube_ask_path(c, &call, "version", on_done, NULL, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(kube_recorded_count(t), 0);
    json_free(o);
    end();
}

static struct kube_ask get(void)
{
    return (struct kube_ask){.verb = KUBE_GET,
                             .target = {.resource = &kube_pods, .ns = "n", .name = "a"}};
}

/* Requests over the limit wait in order; of those that wait, only so many. */
Test(client, in_flight)
{
    struct kube_call calls[4] = {0};
    struct raia_error e = {0};
    make((struct kube_client_options){.max_in_flight = 1, .max_waiting = 2});
    for (int i = 0; i < 3; i++)
        ask(&calls[i], get());
    struct kube_ask a = get();
    cr_assert_eq(kube_ask(c, &calls[3], &a, on_done, NULL, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(kube_recorded_in_flight(t), 1);
    for (int i = 0; i < 3; i++)
        kube_recorded_reply(t, "GET", "/a", 200, "{}");
    cr_assert_eq(kube_recorded_step(t), 3);
    cr_assert_eq(n_done, 3);
    end();
}

/* A server that says when to come back is obeyed by all requests, and asked again; only so often.
 */
Test(client, retry_after)
{
    struct kube_call calls[2] = {0};
    make((struct kube_client_options){.retries = 1});
    kube_recorded_reply(t, "GET", "/a", 429, "{}");
    kube_recorded_retry_after(t, 2);
    ask(&calls[0], get());
    kube_recorded_step(t);
    ask(&calls[1], get());
    cr_assert_eq(kube_recorded_in_flight(t), 0, "all wait");
    int64_t now = kube_client_now(c);
    cr_assert_eq(kube_client_next(c), now + 2 * CLOCK_NS_PER_S);
    kube_recorded_pass(t, 2 * CLOCK_NS_PER_S);
    kube_recorded_reply(t, "GET", "/a", 503, "{}");
    kube_recorded_retry_after(t, 1);
    kube_recorded_reply(t, "GET", "/a", 200, "{}");
    kube_client_step(c);
    cr_assert_eq(kube_recorded_step(t), 2);
    cr_assert_eq(n_done, 2);
    cr_assert_eq(reasons[0], KUBE_UNAVAILABLE, "no more retries than asked for");
    cr_assert_eq(reasons[1], KUBE_OK);
    end();
}

/* Answers that are none, and none at all, are errors that name the request. */
Test(client, failures)
{
    struct kube_call call = {0};
    make((struct kube_client_options){0});
    kube_recorded_reply(t, "GET", "/a", -RAIA_ERR_TIMEOUT, NULL);
    ask(&call, get());
    kube_recorded_step(t);
    cr_assert_eq(reasons[0], KUBE_TRANSPORT);
    cr_assert_eq(codes[0], RAIA_ERR_TIMEOUT);
    kube_recorded_reply(t, "GET", "/a", 200, "<html>");
    ask(&call, get());
    kube_recorded_step(t);
    cr_assert_eq(reasons[1], KUBE_TRANSPORT);
    cr_assert_neq(codes[1], 0);
    kube_recorded_reply(t, "GET", "/a", 404, "{\"reason\":\"NotFound\"}");
    ask(&call, get());
    kube_recorded_step(t);
    cr_assert_eq(reasons[2], KUBE_NOT_FOUND);
    end();
}

/* Cancelled calls end once, with CANCELED, never from inside the cancel; so do those of a client
 * that is closed. */
Test(client, canceled)
{
    struct kube_call calls[4] = {0};
    make((struct kube_client_options){.max_in_flight = 1});
    for (int i = 0; i < 4; i++)
        ask(&calls[i], get());
    kube_cancel(&calls[0]);
    kube_cancel(&calls[1]);
    kube_cancel(&calls[1]);
    cr_assert_eq(n_done, 0);
    kube_client_step(c);
    cr_assert_eq(n_done, 1);
    kube_client_close(c);
    kube_recorded_step(t);
    kube_client_step(c);
    cr_assert_eq(n_done, 4);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(codes[i], RAIA_ERR_CANCELED);
    struct kube_ask a = get();
    cr_assert_eq(kube_ask(c, &calls[0], &a, on_done, NULL, NULL), -RAIA_ERR_SHUTDOWN);
    cr_assert_eq(kube_recorded_count(t), 1);
    end();
}
