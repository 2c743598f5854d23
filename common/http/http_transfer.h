/*
 * Private to http/: one transfer of libcurl, shared by the blocking and the event-driven client.
 */
#ifndef HTTP_HTTP_TRANSFER_H
#define HTTP_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "http/http_client.h"

struct http_transfer {
    CURL *easy;                 /* libcurl's */
    struct curl_slist *headers; /* of the request */
    struct http_reply reply;    /* so far */
    size_t cap;                 /* bytes allocated for reply.body */
    size_t max_reply;           /* most bytes of it */
    http_body_fn on_body;       /* may be NULL */
    void *on_body_arg;          /* handed to on_body */
    int body_fd;                /* upload from here */
    size_t body_left;           /* bytes still to be read from it */
    bool is_new;                /* not with libcurl yet */
    bool lost;                  /* nor any more: libcurl had no memory */
    int failure;                /* a code of ours that ended the transfer; 0: none */
    char text[CURL_ERROR_SIZE]; /* what libcurl says */
    char where[160];            /* method and URL, without query, for messages */
};

/* Before each first use of libcurl. 0 or -NOMEM. Threads: any. */
int http_curl_ready__(void);
/* Before libcurl works on transfers; then: an allocation of its own has failed since, in this thread. */
void http_curl_begin__(void);
bool http_curl_ran_out__(void);
int http_transfer_new__(const struct http_request *rq, struct http_transfer **ret_t,
                        struct raia_error *e);
void http_transfer_free__(struct http_transfer *t);
void http_transfer_freep__(struct http_transfer **t);
/* After it ended: 0 and the status is in the reply, or an error. */
int http_transfer_end__(struct http_transfer *t, CURLcode code, struct raia_error *e);

#endif
