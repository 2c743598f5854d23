/*
 * Private to core/sim/: the world, and an operator in it, which can die.
 */
#ifndef OPERATOR_SIM_OPSIM_IMPL_H
#define OPERATOR_SIM_OPSIM_IMPL_H

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/sim/opsim.h"

/* A transport that dies: then nothing is started or answered any more, but what is on its way is
 * done. It drives its client. */
struct mortal {
    struct kube_transport base;   /* first */
    struct opsim *w;              /* whose world */
    struct kube_transport *inner; /* to the server */
    struct list relays;           /* struct relay, of this life */
    struct kube_client *client;   /* driven; NULL: none */
    struct sim_event *step;       /* when it is due */
    unsigned writes;              /* begun so far */
    unsigned die_at;              /* after so many; 0: it does not */
    bool dead;                    /* nothing goes through */
};
void mortal_init__(struct mortal *m, struct opsim *w);
void mortal_drive__(struct mortal *m, struct kube_client *c);
void mortal_rearm__(struct mortal *m);
void mortal_die__(struct mortal *m);
/* Dead: ends what was cancelled. */
void mortal_flush__(struct mortal *m);
/* Dead, and its client freed. */
void mortal_done__(struct mortal *m);
/* Those whose operator has died and whose requests were on their way. */
void mortal_bury_orphans__(struct opsim *w);

/* One life of an operator. */
struct life {
    struct controller_calls calls; /* first: to heads */
    struct opsim *w;               /* whose world */
    struct mortal t;               /* to the server */
    struct kube_client *client;    /* over it */
    struct controller *ctl;        /* over that */
    struct list sim_calls;         /* struct sim_call, under way */
    bool leads;                    /* it may write */
};
struct life *life_new__(struct opsim *w, bool leads, unsigned die_at);
void life_lead__(struct life *l, bool leads);
/* Dies, if it has not, and is freed. */
void life_end__(struct life *l);

struct opsim {
    struct sim *s;                 /* time and chance */
    const struct opsim_options *o; /* the test's */
    struct kube_model *m;          /* the server */
    struct kube_faults faults;     /* as they are now */
    struct kube_transport *wire;   /* to the server, with the faults */
    struct list orphans;           /* struct relay, of the dead */
    struct life *lives[2];         /* [0] leads, if there is one; [1] has led, and must not write */
    unsigned die_at;               /* of the next life; 0: none is planned */
    unsigned written;              /* of the first life */
    bool deaths, handovers;        /* happen */
    bool quiet;                    /* the outside has stopped */
    bool ending;                   /* nothing new begins */
    bool checking;                 /* in `always` */
    uint64_t conflicts;            /* of lives that have ended */
    uint64_t looked;               /* writes, when the kubelet found nothing to do; 0: it did */
    uint64_t collected;            /* writes, when the garbage collector ran last */
};

/* From the transport: the operator is to die now, or as soon as this event is through. */
void opsim_dies__(struct opsim *w);

/* kubelet.c: goes on until the end. */
void kubelet_start__(struct opsim *w);

#endif
