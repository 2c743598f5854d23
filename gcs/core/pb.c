/* protobuf-c messages on our own memory. */
#include "core/pb.h"

#include <string.h>

#include "base/mem.h"

uint8_t *pb_pack(const ProtobufCMessage *message, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = mem_alloc(size + 1);

    if (data)
        *ret_size = protobuf_c_message_pack(message, data);
    return data;
}

void *pb_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size)
{
    void *message = NULL;

    (void)proto_unpack(type, data, size, &message);
    return message;
}

void *pb_copy(const ProtobufCMessage *message)
{
    size_t size = 0;
    uint8_t *data = pb_pack(message, &size);
    void *copy = data ? pb_unpack(message->descriptor, data, size) : NULL;

    mem_free(data);
    return copy;
}

void pb_free(ProtobufCMessage *message)
{
    proto_free(message);
}

void pb_freep(void *message)
{
    pb_free(*(ProtobufCMessage **)message);
}

int pb_set_str(char **field, const char *text)
{
    char *copy = mem_strdup(text ? text : "");

    if (!copy)
        return -RAIA_ERR_NOMEM;
    if (*field != (char *)(uintptr_t)protobuf_c_empty_string)
        mem_free(*field);
    *field = copy;
    return 0;
}

int pb_set_bytes(ProtobufCBinaryData *field, const void *data, size_t size)
{
    uint8_t *copy = size ? mem_dup(data, size) : NULL;

    if (size && !copy)
        return -RAIA_ERR_NOMEM;
    mem_free(field->data);
    field->data = copy;
    field->len = size;
    return 0;
}

bool pb_bytes_equal(ProtobufCBinaryData a, const void *data, size_t size)
{
    return a.len == size && (size == 0 || memcmp(a.data, data, size) == 0);
}
