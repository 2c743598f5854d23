/*
 * protobuf-c's allocator: over mem_*, and, in a room, over its bytes when mem_* fails.
 */
#include "proto/message.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

/* What the allocator of one call knows. */
struct unpacking {
    struct proto_room *room; /* may be NULL */
    bool failed;             /* an allocation did: so the bytes may be good */
};

static void *from_room(struct proto_room *room, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    void *p;

    if (rounded < size || rounded > sizeof room->bytes - room->used)
        return NULL;
    p = room->bytes + room->used;
    room->used += rounded;
    return p;
}

static void *allocate(void *arg, size_t size)
{
    struct unpacking *u = arg;
    void *p = mem_alloc(size);

    if (!p && u->room)
        p = from_room(u->room, size);
    u->failed = u->failed || !p;
    return p;
}

static void release(void *arg, void *p)
{
    struct unpacking *u = arg;
    uintptr_t at = (uintptr_t)p, from = u->room ? (uintptr_t)u->room->bytes : 0;

    if (!u->room || at < from || at >= from + sizeof u->room->bytes)
        mem_free(p);
}

static int unpack(struct proto_room *room, const ProtobufCMessageDescriptor *type, const void *data,
                  size_t size, void *ret_message)
{
    struct unpacking u = {.room = room};
    ProtobufCAllocator allocator = {allocate, release, &u};
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, size, data);

    if (!m)
        return u.failed ? -RAIA_ERR_NOMEM : -RAIA_ERR_PROTOCOL;
    memcpy(ret_message, &m, sizeof m);
    return 0;
}

int proto_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                 void *ret_message)
{
    return unpack(NULL, type, data, size, ret_message);
}

int proto_unpack_in(struct proto_room *room, const ProtobufCMessageDescriptor *type,
                    const void *data, size_t size, void *ret_message)
{
    room->used = 0;
    return unpack(room, type, data, size, ret_message);
}

void *proto_copy(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    _cleanup_(mem_freep) uint8_t *data = mem_alloc(size + 1);
    ProtobufCMessage *copy = NULL;

    if (!data)
        return NULL;
    protobuf_c_message_pack(message, data);
    (void)proto_unpack(message->descriptor, data, size, &copy);
    return copy;
}

void proto_free_in(struct proto_room *room, void *message)
{
    struct unpacking u = {.room = room};
    ProtobufCAllocator allocator = {allocate, release, &u};

    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

void proto_free(void *message)
{
    proto_free_in(NULL, message);
}

void proto_freep(void *message_pointer)
{
    void *message;

    memcpy(&message, message_pointer, sizeof message);
    proto_free(message);
}
