/*
 * Messages out of bytes, on our own memory (base/mem.h): the one place where protobuf-c is told of
 * an allocator.
 *
 *     Raia__Gcs__KvGetReply *m = NULL;
 *     int r = proto_unpack(&raia__gcs__kv_get_reply__descriptor, data, size, &m);
 *     ...
 *     proto_free(m);
 *
 * What comes once, and must be taken in though memory has run out, is unpacked into a room on the
 * caller's stack, which is used when mem_* fails:
 *
 *     struct proto_room room;
 *     r = proto_unpack_in(&room, &raia__agent__segment__descriptor, data, size, &m);
 *     ...
 *     proto_free_in(&room, m);
 *
 * Ownership: a message is freed as it was made; its fields are its own, on mem_*. Threads: any.
 * Failure: -NOMEM, or -PROTOCOL: the bytes are no such message. protobuf-c 1.4 itself survives the
 * failure of each of its allocations, and leaves nothing.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* ret_message: the address of a pointer to the message's struct. */
int proto_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                 void *ret_message);
/* Another one that is equal; for proto_free. NULL: out of memory. */
void *proto_copy(const ProtobufCMessage *message);
void proto_free(void *message);          /* accepts NULL */
void proto_freep(void *message_pointer); /* for _cleanup_ */

#define PROTO_ROOM 4096 /* bytes: enough for what fits a packet of some hundred */

struct proto_room {
    size_t used;                            /* bytes of it */
    _Alignas(16) uint8_t bytes[PROTO_ROOM]; /* what mem_* had no place for */
};

/* -NOMEM: neither memory nor the room was enough. */
int proto_unpack_in(struct proto_room *room, const ProtobufCMessageDescriptor *type,
                    const void *data, size_t size, void *ret_message);
void proto_free_in(struct proto_room *room, void *message); /* accepts NULL */

#endif
