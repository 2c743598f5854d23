/*
 * Helpers for protobuf-c messages that are kept as state: copies, owned fields, packing.
 *
 *     Raia__Gcs__Node *node = pb_copy(&request->node->base);
 *     r = pb_set_str(&node->state_message, "it left");
 *     pb_free(&node->base);
 *
 * Ownership: messages made here (and their fields, set with pb_set_*) are on mem_*; pb_free frees
 * all of it. Messages built on the stack with borrowed fields are packed only, never freed.
 * Threads: any. Failure: NULL or -NOMEM; pb_unpack NULL also for malformed bytes
 * (proto_unpack tells them apart).
 */
#ifndef CORE_PB_H
#define CORE_PB_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "proto/message.h"
#include "raia/error.h"

void *pb_copy(const ProtobufCMessage *message);
void *pb_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size);
uint8_t *pb_pack(const ProtobufCMessage *message, size_t *ret_size); /* mem_free */
void pb_free(ProtobufCMessage *message);                             /* accepts NULL */
void pb_freep(void *message);                                        /* for _cleanup_ */

/* Replaces an owned field by a copy. */
int pb_set_str(char **field, const char *text);
int pb_set_bytes(ProtobufCBinaryData *field, const void *data, size_t size);
bool pb_bytes_equal(ProtobufCBinaryData a, const void *data, size_t size);

#define PB_BYTES(array) ((ProtobufCBinaryData){sizeof(array), (uint8_t *)(uintptr_t)(array)})

#endif
