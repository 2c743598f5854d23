/*
 * The bytes of a watch, cut into events: one JSON object per line. Pure.
 *
 *     kube_stream_init(&s, 4 << 20, NULL);
 *     r = kube_stream_feed(&s, data, len, on_event, arg, e);    // pieces as they come
 *     kube_stream_done(&s);
 *
 * Lines within a piece are read where they lie; only a line cut by a piece's end is copied, once.
 * Ownership: the event's tree is good until the callback returns. Threads: the owner's.
 * Failure: -LIMIT for a line beyond max bytes, -PROTOCOL for one that is no event; what the
 * callback returned (negative) ends the feed. After any of these the stream is useless.
 */
#ifndef KUBE_WATCH_STREAM_H
#define KUBE_WATCH_STREAM_H

#include "base/buf.h"
#include "json/json.h"

enum kube_event {
    KUBE_EVENT_ADDED,
    KUBE_EVENT_MODIFIED,
    KUBE_EVENT_DELETED,
    KUBE_EVENT_BOOKMARK,
    KUBE_EVENT_ERROR
};

typedef int (*kube_event_fn)(void *arg, enum kube_event type, const struct json *object,
                             struct raia_error *e);

struct kube_stream {
    struct buf line;         /* the beginning of a line whose end has not come */
    size_t max;              /* bytes of a line */
    const struct json *keep; /* what of an event is read (json_limits.keep); NULL: all */
};

/* keep is borrowed. */
void kube_stream_init(struct kube_stream *s, size_t max, const struct json *keep);
void kube_stream_done(struct kube_stream *s);
int kube_stream_feed(struct kube_stream *s, const char *data, size_t len, kube_event_fn fn,
                     void *arg, struct raia_error *e);

#endif
