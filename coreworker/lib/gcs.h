/*
 * Requests to the GCS, and other questions to the raylet: gcs.c.
 *
 * Ownership: a question is the caller's, whose `answer` is called exactly once. Threads: who holds
 * the token (lib/runtime.h).
 */
#ifndef LIB_GCS_H
#define LIB_GCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "proto/message.h"

struct runtime;

struct question {
    struct list link; /* rt.questions */
    uint64_t tag;
    void (*answer)(struct runtime *rt, struct question *q, uint16_t type, int status,
                   const uint8_t *data, size_t size);
    void *arg;
    bool done;     /* for those who wait */
    int status;    /* what came of it */
    char *text;    /* owned; of a failed status; or NULL */
    uint8_t *data; /* owned copy of the answer; or NULL */
    size_t size;   /* bytes of data */
};

/* Sends a packed request; q->answer is called once. */
int gcs_ask(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n);
/* The same, and waits. On 0 q->data is the packed reply: question_fini. */
int gcs_call(struct runtime *rt, struct question *q, uint16_t method, const void *packed, size_t n);
/* After a gcs_call that gave 0: its reply as a message (proto_free), and question_fini, in any case;
 * a failure is the last error. */
int question_reply(struct question *q, const ProtobufCMessageDescriptor *type, void *ret_reply);
void question_fini(struct question *q);
void gcs_replied(struct runtime *rt, uint16_t type, uint64_t tag, const uint8_t *data, size_t size);
void questions_fail(struct runtime *rt);

#endif
