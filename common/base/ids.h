/*
 * Identifiers: fixed arrays of bytes, compared and hashed as bytes, lower-case hex for people.
 *
 *     job      4 bytes: the number that the GCS gave, big-endian (so that text sorts as numbers do)
 *     node, worker, actor, pg (placement group)   16 random bytes
 *     task     24 bytes: id of the worker that submitted it + its 8-byte counter, big-endian
 *     object   28 bytes: task id + 4-byte index of the result, big-endian; the same in each attempt
 *     lease    a plain uint64_t, counted by the raylet that grants it
 *
 * All zero is nil: no id. For each KIND there are struct KIND_id and the inline functions
 *     KIND_id_equal, KIND_id_compare (as memcmp), KIND_id_hash, KIND_id_is_nil,
 *     KIND_id_from_bytes(data, size, ret_id)   -INVALID unless the size fits
 *     KIND_id_to_text(id, text)                text has KIND_ID_TEXT_MAX bytes; returns it
 *     KIND_id_from_text(text, ret_id)          -INVALID unless exactly its hex digits (any case)
 *     KIND_id_random(ret_id, prng)             node, worker, actor, pg; prng NULL: the kernel's
 *
 * Threads: any. Failure: as said; random from the kernel -IO (early boot only).
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/hash64.h"
#include "base/prng.h"
#include "raia/error.h"

#define JOB_ID_SIZE    4
#define NODE_ID_SIZE   16
#define WORKER_ID_SIZE 16
#define ACTOR_ID_SIZE  16
#define PG_ID_SIZE     16
#define TASK_ID_SIZE   24
#define OBJECT_ID_SIZE 28

/* Sizes of the texts, with the end mark. */
#define JOB_ID_TEXT_MAX    9
#define NODE_ID_TEXT_MAX   33
#define WORKER_ID_TEXT_MAX 33
#define ACTOR_ID_TEXT_MAX  33
#define PG_ID_TEXT_MAX     33
#define TASK_ID_TEXT_MAX   49
#define OBJECT_ID_TEXT_MAX 57

/* Behind the typed functions. */
char *id_to_text__(const uint8_t *bytes, size_t size, char *text);
int id_from_text__(const char *text, uint8_t *ret_bytes, size_t size);
int id_random__(uint8_t *ret_bytes, size_t size, struct prng *prng);
bool id_is_nil__(const uint8_t *bytes, size_t size);

#define ID_DEFINE__(kind, SIZE)                                                                    \
    struct kind {                                                                                  \
        uint8_t bytes[SIZE];                                                                       \
    };                                                                                             \
    static inline bool kind##_equal(const struct kind *a, const struct kind *b)                    \
    {                                                                                              \
        return memcmp(a->bytes, b->bytes, SIZE) == 0;                                              \
    }                                                                                              \
    static inline int kind##_compare(const struct kind *a, const struct kind *b)                   \
    {                                                                                              \
        return memcmp(a->bytes, b->bytes, SIZE);                                                   \
    }                                                                                              \
    static inline uint64_t kind##_hash(const struct kind *id)                                      \
    {                                                                                              \
        return hash_bytes(id->bytes, SIZE);                                                        \
    }                                                                                              \
    static inline bool kind##_is_nil(const struct kind *id)                                        \
    {                                                                                              \
        return id_is_nil__(id->bytes, SIZE);                                                       \
    }                                                                                              \
    static inline int kind##_from_bytes(const void *data, size_t size, struct kind *ret_id)        \
    {                                                                                              \
        if (size != SIZE)                                                                          \
            return -RAIA_ERR_INVALID;                                                              \
        memcpy(ret_id->bytes, data, SIZE);                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    static inline char *kind##_to_text(const struct kind *id, char *text)                          \
    {                                                                                              \
        return id_to_text__(id->bytes, SIZE, text);                                                \
    }                                                                                              \
    static inline int kind##_from_text(const char *text, struct kind *ret_id)                      \
    {                                                                                              \
        return id_from_text__(text, ret_id->bytes, SIZE);                                          \
    }                                                                                              \
    struct kind

#define ID_DEFINE_RANDOM__(kind, SIZE)                                                             \
    static inline int kind##_random(struct kind *ret_id, struct prng *prng)                        \
    {                                                                                              \
        return id_random__(ret_id->bytes, SIZE, prng);                                             \
    }                                                                                              \
    struct kind

ID_DEFINE__(job_id, JOB_ID_SIZE);
ID_DEFINE__(node_id, NODE_ID_SIZE);
ID_DEFINE__(worker_id, WORKER_ID_SIZE);
ID_DEFINE__(actor_id, ACTOR_ID_SIZE);
ID_DEFINE__(pg_id, PG_ID_SIZE);
ID_DEFINE__(task_id, TASK_ID_SIZE);
ID_DEFINE__(object_id, OBJECT_ID_SIZE);
ID_DEFINE_RANDOM__(node_id, NODE_ID_SIZE);
ID_DEFINE_RANDOM__(worker_id, WORKER_ID_SIZE);
ID_DEFINE_RANDOM__(actor_id, ACTOR_ID_SIZE);
ID_DEFINE_RANDOM__(pg_id, PG_ID_SIZE);

struct job_id job_id_make(uint32_t number);
uint32_t job_id_number(const struct job_id *id);

struct task_id task_id_make(const struct worker_id *worker, uint64_t counter);
struct worker_id task_id_worker(const struct task_id *id);
uint64_t task_id_counter(const struct task_id *id);

struct object_id object_id_make(const struct task_id *task, uint32_t index);
struct task_id object_id_task(const struct object_id *id);
struct worker_id object_id_worker(const struct object_id *id);
uint32_t object_id_index(const struct object_id *id);

/* `size` bytes from the kernel's generator. 0 or -IO. */
int random_fill(void *to, size_t size);

#endif
