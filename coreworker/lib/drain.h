/* What the raylet says of links, by record: called by route.c and session.c. Token held. */
#ifndef LIB_DRAIN_H
#define LIB_DRAIN_H

#include "lib/runtime.h"

void drain_channel_data(struct runtime *rt, uint64_t number, const uint8_t *data, size_t size);
void drain_channel_credit(struct runtime *rt, uint64_t number, uint64_t bytes);
/* The link that a new pair or channel is for. NULL: out of memory. */
struct link *drain_link_for(struct runtime *rt, uint64_t tag, const struct record_address *peer);
/* It can be used: sends what waited. */
void drain_link_opened(struct runtime *rt, struct link *l);
void drain_peer_closed(struct runtime *rt, uint64_t tag, const struct rec_peer_closed *m);
/* Takes what a process had sent before it died. */
void drain_before_loss(struct runtime *rt, const uint8_t worker[16]);

#endif
