/*
 * A process for tests: speaks proto/record.h to a raylet, blocking, with deadlines.
 *
 *     struct client *c = client_connect(path, NULL, exe_fd, text, sizeof text);
 *     client_send(c, REC_DEMAND, 0, &d, sizeof d);
 *     r = client_wait(c, REC_LEASE, 5000, &head, buf, sizeof buf, &size);   // keeps what else came
 *
 * Threads: one. Failure: NULL or negative; `text` says what hello was refused with.
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <stdbool.h>

#include "base/list.h"
#include "base/ring.h"
#include "proto/record.h"

#define CLIENT_PEERS 64

struct client_peer {
    bool used;
    struct record_address who;
    void *mem;  /* the pair */
    void *page; /* the peer's */
    int bell;
    struct ring_pair ring;
};

struct client {
    int sock;
    void *page, *mem, *raylet_page;
    int bell, raylet_bell;
    struct doorbell door;
    struct ring_pair ring;
    uint8_t node[16], worker[16], job[4];
    struct list got; /* struct client_record: not asked for yet */
    struct client_peer peer[CLIENT_PEERS];
    bool broken; /* the ring or socket ended */
};

/* token NULL: a driver. */
struct client *client_connect(const char *path, const char *token, int exe_fd, char *const *argv,
                              uint64_t table_hash, char *text, size_t room);
void client_free(struct client *c); /* accepts NULL */
int client_send(struct client *c, uint16_t type, uint64_t tag, const void *data, size_t size);
int client_send_socket(struct client *c, uint16_t type, uint64_t tag, const void *data,
                       size_t size);
/* The next record of this type. 0, -TIMEOUT, -UNAVAILABLE. */
int client_wait(struct client *c, uint16_t type, int ms, struct record_head *ret_head, void *to,
                size_t room, size_t *ret_size);
/* The next record from a peer. */
int client_peer_wait(struct client *c, uint32_t number, int ms, struct record_head *ret_head,
                     void *to, size_t room, size_t *ret_size);
int client_peer_send(struct client *c, uint32_t number, uint16_t type, uint64_t tag,
                     const void *data, size_t size);
/* The pair to this worker; opens it if there is none. 0 on failure. */
uint32_t client_peer_open(struct client *c, const struct record_address *who, int ms);

/* Shorthands for leases. */
int client_class(struct client *c, uint32_t number, const char *const *names,
                 const int64_t *quantities, unsigned n, uint16_t strategy);
int client_demand(struct client *c, uint32_t number, uint32_t want, uint64_t seen);
int client_return(struct client *c, const struct rec_lease *l, bool broken);

#endif
