/*
 * The informer's protocol, step by step.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kube/informer.h"
#include "kube/sim/recorded.h"

static struct kube_recorded *t;
static struct kube_client *c;
static struct kube_informer *inf;
static char log_text[512];
static enum kube_reason trouble;
static int n_trouble, n_sync;

static void on_change(void *arg, enum kube_change ch, const struct kube_object *old,
                      const struct kube_object *now)
{
    (void)arg;
    size_t n = strlen(log_text);
    snprintf(log_text + n, sizeof log_text - n, "%c%s ", "ACR"[ch], (now ? now : old) -> name);
}

static void on_sync(void *arg, int64_t began)
{
    (void)arg, (void)began;
    n_sync++;
}

static void on_trouble(void *arg, const struct kube_error *error)
{
    (void)arg;
    trouble = error->reason;
    n_trouble++;
}

static void make(struct kube_informer_options o)
{
    log_text[0] = '\0';
    n_trouble = n_sync = 0;
    t = kube_recorded_new();
    cr_assert_eq(kube_client_new(kube_recorded_transport(t), NULL, &c, NULL), 0);
    o.resource = &kube_pods;
    o.on_change = on_change;
    o.on_sync = on_sync;
    o.on_trouble = on_trouble;
    cr_assert_eq(kube_informer_new(c, &o, &inf, NULL), 0);
    kube_informer_start(inf);
}

/* Time goes on until the next timer, and what is in flight is answered once. */
static void step(void)
{
    if (kube_recorded_in_flight(t) == 0) {
        int64_t next = kube_client_next(c), now = kube_client_now(c);
        cr_assert_neq(next, CLOCK_NEVER, "it has stopped");
        kube_recorded_pass(t, next > now ? next - now : 0);
        kube_client_step(c);
    }
}

static void end(void)
{
    cr_assert(kube_recorded_used_up(t), "not all replies were asked for");
    kube_informer_stop(inf);
    kube_recorded_step(t);
    cr_assert(kube_informer_idle(inf));
    kube_informer_free(inf);
    kube_client_free(c);
    kube_transport_free(kube_recorded_transport(t));
}

static const char *target(size_t i)
{
    const struct kube_asked *q = kube_recorded_asked(t, i);
    return q ? q->target : "";
}

#define ITEM(name, rv)                                                                             \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" name "\",\"resourceVersion\":\"" rv "\"}}"
#define EVENT(type, name, rv) "{\"type\":\"" type "\",\"object\":" ITEM(name, rv) "}\n"
#define WATCH                 "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds="

/* Pages are fetched to the end, then the watch begins at the list's version and goes on, after its
 * end, from the last event or bookmark. */
Test(informer, pages_then_watch)
{
    make((struct kube_informer_options){.no_streaming = true, .page = 2, .label_selector = "a=b"});
    kube_recorded_reply(t, "GET", "limit=2", 200,
                        "{\"metadata\":{\"continue\":\"tok/en\"},\"items\":[" ITEM(
                            "p", "1") "," ITEM("q", "2") "]}");
    kube_recorded_reply(
        t, "GET", "continue=tok%2Fen", 200,
        "{\"metadata\":{\"resourceVersion\":\"zz9\"},\"items\":[" ITEM("r", "3") "]}");
    kube_recorded_reply(t, "GET", "watch=1", 200,
                        EVENT("MODIFIED", "p", "x1") EVENT("DELETED", "q", "x0")
                            EVENT("BOOKMARK", "", "b7"));
    step();
    cr_assert_not(kube_informer_synced(inf));
    cr_assert_eq(kube_recorded_step(t), 3);
    cr_assert(kube_informer_synced(inf));
    cr_assert_eq(n_sync, 1);
    cr_assert_str_eq(target(0), "/api/v1/pods?labelSelector=a%3Db&limit=2");
    cr_assert_not_null(strstr(target(2), "&resourceVersion=zz9"));
    cr_assert_null(strstr(target(2), "sendInitialEvents"));
    cr_assert_str_eq(log_text, "Ap Aq Ar Rq ", "an unchanged object is no change");
    kube_recorded_reply(t, "GET", "resourceVersion=b7", 200, EVENT("ADDED", "s", "b8"));
    step();
    kube_recorded_step(t);
    cr_assert_str_eq(log_text, "Ap Aq Ar Rq As ");
    cr_assert_eq(n_trouble, 0, "the end of a watch is no trouble");
    end();
}

/* A streaming list counts when its bookmark has come, however its bytes are cut; one that breaks
 * off before begins anew, and removes nothing. */
Test(informer, streaming)
{
    make((struct kube_informer_options){0});
    kube_recorded_piece(t, 7);
    kube_recorded_reply(t, "GET", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 200,
                        EVENT("ADDED", "p", "1") EVENT("ADDED", "q", "2"));
    step();
    kube_recorded_step(t);
    cr_assert_not(kube_informer_synced(inf));
    cr_assert_eq(n_trouble, 1);
    kube_recorded_reply(t, "GET", "sendInitialEvents", 200,
                        EVENT("ADDED", "q", "2")
                            EVENT("BOOKMARK", "", "mid") "{\"type\":\"BOOKMARK\",\"object\":{"
                                                         "\"metadata\":{\"resourceVersion\":\"v\","
                                                         "\"annotations\":{\"k8s.io/"
                                                         "initial-events-end\":\"true\"}}}}\n");
    step();
    kube_recorded_step(t);
    cr_assert(kube_informer_synced(inf));
    cr_assert_str_eq(log_text, "Ap Aq Rp ");
    kube_recorded_reply(t, "GET", "resourceVersion=v", 200, EVENT("ADDED", "r", "v2"));
    step();
    kube_recorded_step(t);
    cr_assert_str_eq(log_text, "Ap Aq Rp Ar ");
    end();
}

/* A server that does not know streaming lists is asked for pages. */
Test(informer, no_streaming)
{
    make((struct kube_informer_options){0});
    kube_recorded_reply(t, "GET", "sendInitialEvents", 422, "{\"reason\":\"Invalid\"}");
    step();
    kube_recorded_step(t);
    kube_recorded_reply(t, "GET", "limit=500", 200,
                        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}");
    kube_recorded_reply(t, "GET", "resourceVersion=1", 200, EVENT("ADDED", "p", "2"));
    step();
    kube_recorded_step(t);
    cr_assert(kube_informer_synced(inf));
    end();
}

static void listed(void)
{
    kube_recorded_reply(
        t, "GET", "limit", 200,
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" ITEM("p", "1") "]}");
}

/* 410, as a status and as an event, and an event that cannot be read, mean a new list; other
 * failures go on from where it was, after a wait; a wish to wait is kept. */
Test(informer, failures)
{
    make((struct kube_informer_options){.no_streaming = true, .max_event = 200});
    listed();
    kube_recorded_reply(t, "GET", "watch", 410, "{\"reason\":\"Expired\"}");
    step();
    kube_recorded_step(t);
    cr_assert_eq(trouble, KUBE_EXPIRED);
    listed();
    kube_recorded_reply(t, "GET", "watch", 200,
                        "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n");
    step();
    kube_recorded_step(t);
    cr_assert_eq(trouble, KUBE_EXPIRED);
    listed();
    kube_recorded_reply(t, "GET", "watch", 200, EVENT("ADDED", "q", "2") "nonsense\n");
    step();
    kube_recorded_step(t);
    cr_assert_eq(trouble, KUBE_TRANSPORT);
    listed();
    kube_recorded_reply(t, "GET", "resourceVersion=1", -RAIA_ERR_TIMEOUT, NULL);
    step();
    kube_recorded_step(t);
    cr_assert_str_eq(log_text, "Ap Aq Rq ");
    kube_recorded_reply(t, "GET", "resourceVersion=1", 429, "{}");
    kube_recorded_retry_after(t, 40);
    step();
    kube_recorded_step(t);
    cr_assert_eq(trouble, KUBE_TOO_MANY);
    cr_assert_geq(kube_client_next(c), kube_client_now(c) + 40 * CLOCK_NS_PER_S);
    kube_recorded_reply(t, "GET", "resourceVersion=1", 403, "{\"reason\":\"Forbidden\"}");
    step();
    kube_recorded_step(t);
    cr_assert_eq(trouble, KUBE_FORBIDDEN);
    struct kube_informer_stats st;
    kube_informer_get_stats(inf, &st);
    cr_assert_eq(st.expired, 2);
    cr_assert_eq(st.failures, 6);
    cr_assert_eq(st.lists, 4);
    end();
}

/* A continue that has expired begins the list anew; a page that is too large is halved. */
Test(informer, list_failures)
{
    make((struct kube_informer_options){.no_streaming = true, .page = 8});
    kube_recorded_reply(t, "GET", "limit=8", 200,
                        "{\"metadata\":{\"continue\":\"c\"},\"items\":[" ITEM("p", "1") "]}");
    kube_recorded_reply(t, "GET", "continue=c", 410, "{\"reason\":\"Expired\"}");
    step();
    kube_recorded_step(t);
    kube_recorded_reply(t, "GET", "limit=8", -RAIA_ERR_LIMIT, NULL);
    step();
    kube_recorded_step(t);
    kube_recorded_reply(t, "GET", "limit=4", 200, "{\"metadata\":{},\"items\":[]}");
    step();
    kube_recorded_step(t);
    cr_assert_not(kube_informer_synced(inf), "a list without a version is none");
    cr_assert_str_eq(log_text, "Ap ");
    end();
}
