/*
 * Hex, randomness, and taking ids together and apart.
 */
#include "base/ids.h"

#include <endian.h>
#include <errno.h>
#include <sys/random.h>

_Static_assert(TASK_ID_SIZE == WORKER_ID_SIZE + 8, "layout of a task id");
_Static_assert(OBJECT_ID_SIZE == TASK_ID_SIZE + 4, "layout of an object id");

char *id_to_text__(const uint8_t *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    return text;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int id_from_text__(const char *text, uint8_t *ret_bytes, size_t size)
{
    uint8_t bytes[OBJECT_ID_SIZE];

    for (size_t i = 0; i < size; i++) {
        int high = digit_value(text[2 * i]), low = high < 0 ? -1 : digit_value(text[2 * i + 1]);
        if (low < 0)
            return -RAIA_ERR_INVALID;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (text[2 * size])
        return -RAIA_ERR_INVALID;
    memcpy(ret_bytes, bytes, size);
    return 0;
}

bool id_is_nil__(const uint8_t *bytes, size_t size)
{
    static const uint8_t nil[OBJECT_ID_SIZE];

    return memcmp(bytes, nil, size) == 0;
}

int random_fill(void *to, size_t size)
{
    uint8_t *at = to;

    while (size) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -RAIA_ERR_IO;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int id_random__(uint8_t *ret_bytes, size_t size, struct prng *prng)
{
    uint8_t bytes[OBJECT_ID_SIZE];

    do {
        int r = 0;
        if (prng)
            prng_fill(prng, bytes, size);
        else
            r = random_fill(bytes, size);
        if (r < 0)
            return r;
    } while (id_is_nil__(bytes, size));
    memcpy(ret_bytes, bytes, size);
    return 0;
}

struct job_id job_id_make(uint32_t number)
{
    struct job_id id;

    number = htobe32(number);
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

uint32_t job_id_number(const struct job_id *id)
{
    uint32_t number;

    memcpy(&number, id->bytes, sizeof number);
    return be32toh(number);
}

struct task_id task_id_make(const struct worker_id *worker, uint64_t counter)
{
    struct task_id id;

    counter = htobe64(counter);
    memcpy(id.bytes, worker->bytes, WORKER_ID_SIZE);
    memcpy(id.bytes + WORKER_ID_SIZE, &counter, sizeof counter);
    return id;
}

struct worker_id task_id_worker(const struct task_id *id)
{
    struct worker_id worker;

    memcpy(worker.bytes, id->bytes, WORKER_ID_SIZE);
    return worker;
}

uint64_t task_id_counter(const struct task_id *id)
{
    uint64_t counter;

    memcpy(&counter, id->bytes + WORKER_ID_SIZE, sizeof counter);
    return be64toh(counter);
}

struct object_id object_id_make(const struct task_id *task, uint32_t index)
{
    struct object_id id;

    index = htobe32(index);
    memcpy(id.bytes, task->bytes, TASK_ID_SIZE);
    memcpy(id.bytes + TASK_ID_SIZE, &index, sizeof index);
    return id;
}

struct task_id object_id_task(const struct object_id *id)
{
    struct task_id task;

    memcpy(task.bytes, id->bytes, TASK_ID_SIZE);
    return task;
}

struct worker_id object_id_worker(const struct object_id *id)
{
    struct worker_id worker;

    memcpy(worker.bytes, id->bytes, WORKER_ID_SIZE);
    return worker;
}

uint32_t object_id_index(const struct object_id *id)
{
    uint32_t index;

    memcpy(&index, id->bytes + TASK_ID_SIZE, sizeof index);
    return be32toh(index);
}
