/*
 * The recorder: a bounded table of events told lately, and a list of those to be sent.
 */
#include "kube/recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "kube/wall_time.h"

#define NOTES_MAX     512                    /* events remembered */
#define IN_FLIGHT_MAX 4                      /* requests at one time */
#define FORGET_NS     (600 * CLOCK_NS_PER_S) /* the same text after that is a new event */
#define REPEAT_NS     (10 * CLOCK_NS_PER_S)  /* between two writes of one event */
#define RETRY_NS      (2 * CLOCK_NS_PER_S)   /* after a failure; times the attempts */
#define ATTEMPTS_MAX  4                      /* of one write */
#define MESSAGE_MAX   1024                   /* bytes of an event's text, as the API has it */
#define BURST         25                     /* events of one object at once */
#define REFILL_NS     (300 * CLOCK_NS_PER_S) /* one more of them each */
#define BUCKETS       256                    /* objects share them by hash */

struct note {
    HASH_HANDLE hh;          /* by key */
    struct list link;        /* in the recorder's due list */
    struct kube_recorder *r; /* whose */
    struct kube_call call;   /* its write */
    char *key;               /* all that makes it this event */
    char *ns, *name;         /* of the Event object */
    char *text;              /* the Event object, without count and lastTimestamp: JSON */
    size_t text_len;         /* bytes of it */
    int64_t count;           /* how often */
    int64_t sent_count;      /* of them that the server knows */
    int64_t last_unix_ms;    /* when it was told last */
    int64_t last;            /* the same by the monotonic clock */
    int64_t due;             /* not to be written before */
    unsigned attempts;       /* of this write */
    bool created;            /* the server has it */
};

struct bucket {
    double tokens; /* left */
    int64_t at;    /* when that was right; 0: never used */
};

struct kube_recorder {
    struct kube_client *client;       /* asks, and gives the time */
    char *component, *host;           /* who says so */
    struct note *notes;               /* by key */
    struct list due;                  /* to be written */
    struct kube_timer timer;          /* the next one that is due */
    unsigned in_flight;               /* writes */
    uint64_t serial;                  /* for names */
    bool stopped;                     /* nothing is taken or sent */
    struct bucket buckets[BUCKETS];   /* of objects */
    struct kube_recorder_stats stats; /* counters */
};

static void on_timer(struct kube_timer *t);
static void pump(struct kube_recorder *r);

int kube_recorder_new(struct kube_client *c, const char *component, const char *host,
                      struct kube_recorder **ret_r, struct raia_error *e)
{
    struct kube_recorder *r = mem_new(struct kube_recorder);
    if (r) {
        r->client = c;
        list_init(&r->due);
        r->component = mem_strdup(component);
        r->host = mem_strdup(host);
    }
    if (!r || !r->component || !r->host || kube_timer_attach(c, &r->timer, on_timer) < 0) {
        kube_recorder_free(r);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for a recorder of events");
    }
    *ret_r = r;
    return 0;
}

static void free_note(struct note *n)
{
    if (!n)
        return;
    list_del(&n->link);
    mem_free(n->key);
    mem_free(n->ns);
    mem_free(n->name);
    mem_free(n->text);
    mem_free(n);
}

static void drop_note(struct kube_recorder *r, struct note *n)
{
    HASH_DEL(r->notes, n);
    free_note(n);
}

void kube_recorder_stop(struct kube_recorder *r)
{
    struct note *n, *next;
    r->stopped = true;
    kube_timer_stop(r->client, &r->timer);
    HASH_FOREACH (r->notes, n, next)
        if (kube_call_active(&n->call))
            kube_cancel(&n->call);
        else
            drop_note(r, n);
}

bool kube_recorder_idle(const struct kube_recorder *r)
{
    return r->in_flight == 0;
}

void kube_recorder_free(struct kube_recorder *r)
{
    if (!r)
        return;
    struct note *n, *next;
    HASH_FOREACH (r->notes, n, next)
        drop_note(r, n);
    kube_timer_detach(r->client, &r->timer);
    mem_free(r->component);
    mem_free(r->host);
    mem_free(r);
}

void kube_recorder_get_stats(const struct kube_recorder *r, struct kube_recorder_stats *ret)
{
    *ret = r->stats;
}

/* -- what an event is ------------------------------------------------------------------------ */

static int set_all(struct json *o, const char *const pairs[][2], size_t n)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (pairs[i][1])
            r = json_set_str(o, pairs[i][0], pairs[i][1]);
    return r;
}

static struct json *event_object(const struct kube_recorder *r, const struct note *n,
                                 const struct kube_about *about, const char *type,
                                 const char *reason, const char *message)
{
    char time[KUBE_WALL_TIME_SIZE];
    _cleanup_(mem_freep) char *version = kube_api_version(about->resource);
    _cleanup_(json_freep) struct json *root = json_new_object();
    struct json *meta = json_new_object(), *object = json_new_object(), *source = json_new_object();
    kube_wall_time(n->last_unix_ms, time);
    const char *const metas[][2] = {{"name", n->name}, {"namespace", n->ns}};
    const char *const objects[][2] = {
        {"apiVersion", version},  {"kind", about->resource->kind},
        {"namespace", about->ns}, {"name", about->name},
        {"uid", about->uid},      {"resourceVersion", about->resource_version}};
    const char *const sources[][2] = {{"component", r->component}};
    const char *const roots[][2] = {{"apiVersion", "v1"},
                                    {"kind", "Event"},
                                    {"type", type},
                                    {"reason", reason},
                                    {"message", message},
                                    {"firstTimestamp", time},
                                    {"reportingComponent", r->component},
                                    {"reportingInstance", r->host}};
    int bad = set_all(meta, metas, 2) | set_all(object, objects, 6) | set_all(source, sources, 1) |
              set_all(root, roots, 8);
    bad |= json_set(root, "metadata", meta);
    bad |= json_set(root, "involvedObject", object);
    bad |= json_set(root, "source", source);
    return bad || !version ? NULL : STEAL(root);
}

/* One more event of this object, or too many. */
static bool allowed(struct kube_recorder *r, const struct kube_about *about, int64_t now)
{
    struct bucket *b = &r->buckets[hash_bytes(about->uid, strlen(about->uid)) % BUCKETS];
    if (!b->at)
        b->tokens = BURST;
    else
        b->tokens += (double)(now - b->at) / (double)REFILL_NS;
    if (b->tokens > BURST)
        b->tokens = BURST;
    b->at = now ? now : 1;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}

/* Room for one more: those that are old and written go. */
static bool make_room(struct kube_recorder *r, int64_t now)
{
    struct note *n, *next;
    if (HASH_SIZE(r->notes) < NOTES_MAX)
        return true;
    HASH_FOREACH (r->notes, n, next)
        if (!list_linked(&n->link) && !kube_call_active(&n->call) && now - n->last > FORGET_NS)
            drop_note(r, n);
    HASH_FOREACH (r->notes, n, next) {
        if (HASH_SIZE(r->notes) < NOTES_MAX)
            break;
        if (!list_linked(&n->link) && !kube_call_active(&n->call))
            drop_note(r, n); /* oldest first */
    }
    return HASH_SIZE(r->notes) < NOTES_MAX;
}

static struct note *new_note(struct kube_recorder *r, const struct kube_about *about,
                             const char *type, const char *reason, const char *message, char *key)
{
    struct note *n = mem_new(struct note);
    struct kube_transport *t = kube_client_transport(r->client);
    if (!n) {
        mem_free(key);
        return NULL;
    }
    list_init(&n->link);
    n->r = r;
    n->key = key;
    n->last_unix_ms = t->ops->unix_ms(t);
    n->ns = mem_strdup(about->ns ? about->ns : "default");
    n->name = mem_printf("%.200s.%llx%04x", about->name, (unsigned long long)n->last_unix_ms,
                         (unsigned)(r->serial++ & 0xffff));
    _cleanup_(json_freep) struct json *object = NULL;
    if (n->ns && n->name)
        object = event_object(r, n, about, type, reason, message);
    if (object) /* a fraction of the tree; many are remembered */
        n->text = json_print(object, JSON_COMPACT, &n->text_len);
    if (!n->text || HASH_PUT_STR(r->notes, key, n) < 0) {
        free_note(n);
        return NULL;
    }
    return n;
}

void kube_recorder_event(struct kube_recorder *r, const struct kube_about *about,
                         enum kube_severity severity, const char *reason, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    const char *type = severity == KUBE_WARNING ? "Warning" : "Normal";
    struct kube_transport *t = kube_client_transport(r->client);
    int64_t now = kube_client_now(r->client);
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    char *key = r->stopped ? NULL
                           : mem_printf("%s/%s/%s/%s/%s", about->resource->plural, about->uid, type,
                                        reason, message);
    struct note *n = key ? HASH_GET_STR(r->notes, key) : NULL;
    if (n && now - n->last > FORGET_NS && !list_linked(&n->link) && !kube_call_active(&n->call)) {
        drop_note(r, n);
        n = NULL;
    }
    if (n) {
        mem_free(key);
        r->stats.merged++;
    } else if (!key || !allowed(r, about, now) || !make_room(r, now)) {
        mem_free(key);
        r->stats.dropped++;
        return;
    } else if (!(n = new_note(r, about, type, reason, message, key))) {
        r->stats.dropped++;
        return;
    } else {
        n->due = now;
    }
    n->count++;
    n->last = now;
    n->last_unix_ms = t->ops->unix_ms(t);
    if (!list_linked(&n->link) && !kube_call_active(&n->call))
        list_add_tail(&r->due, &n->link);
    pump(r);
}

/* -- sending --------------------------------------------------------------------------------- */

static void on_written(struct kube_call *call, struct json *object, const struct kube_error *error,
                       void *arg)
{
    struct note *n = arg;
    struct kube_recorder *r = n->r;
    int64_t now = kube_client_now(r->client);
    (void)call;
    (void)object;
    r->in_flight--;
    if (r->stopped) {
        drop_note(r, n);
        return;
    }
    if (!error->base.code || error->reason == KUBE_ALREADY_EXISTS) {
        n->created = true;
        n->attempts = 0;
        n->due = now + REPEAT_NS;
    } else if (n->created && error->reason == KUBE_NOT_FOUND && n->attempts < ATTEMPTS_MAX) {
        n->created = false; /* the server forgets events after an hour */
        n->due = now;
        n->sent_count = -1;
    } else if (error->base.retryable && n->attempts < ATTEMPTS_MAX) {
        n->due = now + n->attempts * RETRY_NS;
        n->sent_count = -1;
    } else {
        r->stats.dropped++;
        drop_note(r, n);
        pump(r);
        return;
    }
    if (n->sent_count != n->count)
        list_add_tail(&r->due, &n->link);
    pump(r);
}

static int send_note(struct kube_recorder *r, struct note *n)
{
    char time[KUBE_WALL_TIME_SIZE];
    _cleanup_(json_freep) struct json *o = n->created ? json_new_object() : NULL;
    int bad = n->created ? 0 : json_parse(n->text, n->text_len, NULL, &o, NULL);
    bad |= json_set_int(o, "count", n->count);
    bad |= json_set_str(o, "lastTimestamp", kube_wall_time(n->last_unix_ms, time));
    struct kube_ask q = {
        .verb = n->created ? KUBE_PATCH : KUBE_CREATE,
        .target = {.resource = &kube_events, .ns = n->ns, .name = n->created ? n->name : NULL},
        .object = o,
        .no_reply = true};
    if (bad)
        return -RAIA_ERR_NOMEM;
    n->sent_count = n->count;
    n->attempts++;
    return kube_ask(r->client, &n->call, &q, on_written, n, NULL);
}

static void pump(struct kube_recorder *r)
{
    int64_t now = kube_client_now(r->client), next = CLOCK_NEVER;
    struct note *n, *after;
    LIST_FOREACH_SAFE (n, after, &r->due, link) {
        if (r->in_flight >= IN_FLIGHT_MAX)
            break; /* when one ends */
        if (n->due > now) {
            next = n->due < next ? n->due : next;
            continue;
        }
        list_del(&n->link);
        if (send_note(r, n) < 0) {
            r->stats.dropped++;
            drop_note(r, n);
            continue;
        }
        r->stats.sent++;
        r->in_flight++;
    }
    if (next != CLOCK_NEVER)
        kube_timer_set(r->client, &r->timer, next);
}

static void on_timer(struct kube_timer *t)
{
    pump(container_of(t, struct kube_recorder, timer));
}
