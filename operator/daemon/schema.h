/*
 * Are the resource definitions there that this operator needs (crds/), and new enough.
 *
 *     schema_start(&s, client, on_ready, op);       // asks now, and each 5 s until it is so
 *     schema_stop(&s);
 *
 * Until then one line in the log each minute says what is missing and what to apply. If we may not
 * read definitions, they are taken for right, with a warning. Ownership: the struct is the caller's,
 * zeroed first; after schema_stop it must stay until schema_idle. Threads: the client's.
 */
#ifndef DAEMON_SCHEMA_H
#define DAEMON_SCHEMA_H

#include "kube/client.h"

struct schema {
    struct kube_client *client;  /* asks */
    struct kube_call call;       /* one at a time */
    struct kube_timer timer;     /* the next look */
    unsigned at;                 /* which definition */
    int64_t told;                /* when a line was written last; 0: never */
    bool ready;                  /* all are there */
    bool stopped;                /* nothing is asked any more */
    void (*on_ready)(void *arg); /* once */
    void *arg;                   /* handed to it */
};

int schema_start(struct schema *s, struct kube_client *c, void (*on_ready)(void *arg), void *arg,
                 struct raia_error *e);
void schema_stop(struct schema *s);
bool schema_idle(const struct schema *s);

/* What is wrong with a definition, as a text for people; NULL: nothing. For tests. */
const char *schema_check(const struct json *definition);

#endif
