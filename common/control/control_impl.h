/*
 * Private to control/: the server's state.
 */
#ifndef CONTROL_CONTROL_IMPL_H
#define CONTROL_CONTROL_IMPL_H

#include "control/control.h"

struct control_command {
    char *name;                   /* as in {"cmd": name} */
    char *help;                   /* one line */
    control_fn fn;                /* handles it */
    void *arg;                    /* handed to fn */
    struct control_command *next; /* list, by name */
};

struct control_client {
    int fd;                      /* socket */
    char *in;                    /* max_line bytes: a request so far */
    size_t in_len;               /* bytes of it */
    char *out;                   /* replies not yet sent */
    size_t out_len;              /* bytes of them */
    size_t out_cap;              /* bytes allocated */
    bool eof;                    /* it sends no more, but may still read replies */
    bool dead;                   /* to be closed */
    struct control_client *next; /* list */
};

struct control_server {
    struct control_options opt;       /* with defaults filled in */
    char *path;                       /* of the socket; NULL: not bound */
    int listen_fd;                    /* the socket */
    int epoll_fd;                     /* what the owner watches */
    struct control_command *commands; /* by name */
    struct control_client *clients;   /* connected */
    unsigned n_clients;               /* how many */
    bool full;                        /* not accepting: max_clients are connected */
    const char *program;              /* for status */
    struct metrics *metrics;          /* for metrics; may be NULL */
    control_fn add_status;            /* may be NULL */
    void *status_arg;                 /* handed to add_status */
    int64_t started_ns;               /* for the uptime */
};

#endif
