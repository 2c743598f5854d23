/*
 * What processes say, record by record, and who looks after it.
 */
#include <string.h>

#include "raylet/raylet.h"
#include "raylet/records.h"

static int on_running(struct session *s, const void *data, size_t size)
{
    struct rec_running rec;
    char name[sizeof s->worker->running];

    if (!s->worker || records_running(data, size, &rec, name, sizeof name) < 0)
        return -RAIA_ERR_PROTOCOL;
    memcpy(s->worker->task, rec.task, sizeof rec.task);
    memcpy(s->worker->running, name, sizeof name);
    return 0;
}

static int on_peer(struct session *s, const struct record_head *h, const void *data, size_t size)
{
    struct record_address to;
    struct rec_peer_close close;

    switch (h->type) {
    case REC_PEER_OPEN:
        if (records_fixed(data, size, &to, sizeof to) < 0)
            return -RAIA_ERR_PROTOCOL;
        return peers_open(s, h->tag, &to);
    case REC_PEER_CLOSE:
        if (records_fixed(data, size, &close, sizeof close) < 0)
            return -RAIA_ERR_PROTOCOL;
        return peers_close(s, &close);
    default:
        return h->tag > UINT32_MAX ? -RAIA_ERR_PROTOCOL
                                   : peers_data(s, (uint32_t)h->tag, data, size);
    }
}

int dispatch_record(struct session *s, const struct record_head *h, const void *payload,
                    size_t size)
{
    switch (h->type) {
    case REC_PEER_OPEN:
    case REC_PEER_CLOSE:
    case REC_CHANNEL_DATA:
        return on_peer(s, h, payload, size);
    case REC_CLASS:
        return leases_class(s, payload, size);
    case REC_DEMAND:
        return leases_demand(s, payload, size);
    case REC_LEASE_RETURN:
        return leases_return(s, payload, size);
    case REC_BLOCKED:
    case REC_UNBLOCKED:
        if (size != 0)
            return -RAIA_ERR_PROTOCOL;
        if (s->worker) {
            sched_worker_blocked(s->r->sched, raylet_now(s->r), s->worker->number,
                                 h->type == REC_BLOCKED);
            raylet_touch(s->r);
        }
        return 0;
    case REC_RUNNING:
        return on_running(s, payload, size);
    case REC_LISTED:
        return listing_answered(s, h->tag, payload, size);
    case REC_ACTOR_EVENT:
        return actors_event(s, payload, size);
    case REC_GCS_REQUEST:
        return gcs_pass_request(s, h->tag, h->flags, payload, size);
    case REC_SUBSCRIBE:
        return gcs_pass_subscribe(s, payload, size);
    default:
        return objects_record(s, h, payload);
    }
}
