/*
 * What a put costs: CREATE, writing, SEAL and FREE of one object in warm memory, against a memcpy
 * to memory that was touched, interleaved. Without the way to the raylet and back: see `raia
 * bench`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "store/store.h"

struct bench {
    struct store *store;
    struct rec_store_at at; /* the last CREATED */
    char *map;              /* of the segment */
    uint32_t segment;       /* which */
};

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct bench *b = arg;

    (void)client;
    (void)tag;
    if (type == REC_STORE_CREATED)
        memcpy(&b->at, payload, size < sizeof b->at ? size : sizeof b->at);
}

static void on_segment(void *arg, uint32_t client, uint32_t segment, uint64_t size, bool writable,
                       int fd)
{
    struct bench *b = arg;

    (void)client;
    b->segment = segment;
    b->map = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
}

static void say(struct bench *b, uint16_t type, const void *payload, size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type};

    if (store_handle_record(b->store, clock_now_ns(), 1, &h, payload) < 0)
        abort();
}

static int64_t put(struct bench *b, const char *data, uint64_t size)
{
    struct rec_store_create create = {.object = {1}, .size = size};
    struct rec_object seal = {.object = {1}, .flags = REC_OBJECT_RELEASE};
    struct rec_store_free free_it = {.object = {1}};
    int64_t start = clock_now_ns();

    say(b, REC_STORE_CREATE, &create, sizeof create);
    if (b->at.status < 0 || b->at.segment != b->segment || b->map == MAP_FAILED)
        abort();
    if (data)
        memcpy(b->map + b->at.offset, data, size);
    say(b, REC_STORE_SEAL, &seal, sizeof seal);
    say(b, REC_STORE_FREE, &free_it, sizeof free_it);
    return clock_now_ns() - start;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double median_us(int64_t *ns, int n)
{
    qsort(ns, (size_t)n, sizeof *ns, compare);
    return (double)ns[n / 2] / 1e3;
}

static void run(uint64_t size, int rounds)
{
    static const uint8_t node[16] = {1}, job[4] = {0, 0, 0, 1};
    struct bench b = {.map = MAP_FAILED};
    struct store_host host = {.arg = &b, .send = on_send, .send_segment = on_segment};
    struct record_address address = {{1}, {1}};
    int64_t puts[1000], copies[1000], books[1000], first;
    char *data = malloc(size), *copy = malloc(size);
    struct store_config c;
    struct raia_error e;

    store_config_default(&c, node, 512u << 20);
    if (!data || !copy || store_new(&c, &host, &b.store, &e) < 0 ||
        store_client_add(b.store, 1, &address, job) < 0)
        abort();
    memset(data, 1, size);
    memset(copy, 1, size);
    first = put(&b, data, size);
    for (int i = 0; i < rounds; i++) {
        int64_t start = clock_now_ns();
        memcpy(copy, data, size);
        __asm__ volatile("" : : "r"(copy) : "memory");
        copies[i] = clock_now_ns() - start;
        puts[i] = put(&b, data, size);
        books[i] = put(&b, NULL, size);
    }
    printf(
        "{\"case\": \"put %.1f MiB\", \"first_us\": %.1f, \"warm_us\": %.1f, \"memcpy_us\": %.1f, "
        "\"without_copy_us\": %.2f}\n",
        (double)size / (1 << 20), (double)first / 1e3, median_us(puts, rounds),
        median_us(copies, rounds), median_us(books, rounds));
    store_free(b.store);
    free(data);
    free(copy);
}

int main(void)
{
    run(100 << 10, 1000);
    run(1 << 20, 500);
    run(100 << 20, 11);
    return 0;
}
