/*
 * Private to kube/: the informer's state, shared by its list and its watch.
 */
#ifndef KUBE_INFORMER_IMPL_H
#define KUBE_INFORMER_IMPL_H

#include "base/prng.h"
#include "kube/informer.h"
#include "kube/plants.h"
#include "kube/watch_stream.h"

enum kube_phase {
    KUBE_PHASE_STOPPED,   /* nothing is wanted */
    KUBE_PHASE_LISTING,   /* a page is in flight */
    KUBE_PHASE_STREAMING, /* a watch is open that begins with a full list, not yet through */
    KUBE_PHASE_WATCHING,  /* a watch is open, or about to be */
    KUBE_PHASE_WAITING    /* the timer is set: then list or watch */
};

struct kube_informer {
    struct kube_client *client;       /* whose transport and timers are used */
    struct kube_informer_options o;   /* with the defaults in */
    struct kube_store *store;         /* what is known */
    struct prng prng;                 /* jitter */
    struct kube_timer timer;          /* end of WAITING */
    struct kube_exchange x;           /* the page or the watch */
    bool in_flight;                   /* x is with the transport */
    enum kube_phase phase;            /* what it does */
    struct json *keep;                /* what is read of an event; NULL: all */
    struct kube_stream stream;        /* the watch's lines */
    char *version;                    /* where the watch goes on; NULL: a list is due */
    char *next_page;                  /* the list's continue; NULL: its first page */
    unsigned page;                    /* objects of a page */
    bool streaming;                   /* sendInitialEvents has not been refused */
    bool synced;                      /* a list was complete once */
    unsigned failures;                /* in a row */
    int64_t began;                    /* when the list began */
    int64_t opened;                   /* when the watch was asked for */
    bool progress;                    /* something came on this watch */
    struct kube_error event_error;    /* of an ERROR event, which ended the watch */
    struct kube_informer_stats stats; /* counters */
};

void kube_informer_list__(struct kube_informer *i);  /* from the beginning, or the next page */
void kube_informer_watch__(struct kube_informer *i); /* from version; NULL: with a full list */
/* A failure: told, then waited out; relist: the version is of no use any more. */
void kube_informer_fail__(struct kube_informer *i, const struct kube_error *error, bool relist);
/* A full list is in, at this resourceVersion. */
int kube_informer_full__(struct kube_informer *i, const char *version);
int kube_informer_version__(struct kube_informer *i, const char *version);
char *kube_informer_path__(const struct kube_informer *i, const struct kube_param *more, size_t n);

#endif
