/* Tests of store/store.h with real memory: two stores joined by hand. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/link_records.h"
#include "store/store.h"

#define MIB (UINT64_C(1) << 20)

/* The last of everything that a store said. */
struct seen {
    uint16_t type;          /* of the last record */
    uint64_t tag;           /* its */
    struct rec_store_at at; /* CREATED, GOT */
    char text[RAIA_ERROR_TEXT_MAX];
    int fd;               /* of the last segment */
    uint32_t segment;     /* its number */
    uint64_t size;        /* its */
    int nsegments, ngone; /* counts */
    struct seen *peer;    /* the other store's, for the link */
    struct store *store;  /* whose */
    uint8_t node[16];     /* its id */
    int records;          /* of the link, in the queue */
    struct {
        uint16_t type;
        uint8_t head[STORE_LINK_HEAD_MAX];
        size_t head_size, data_size;
        const void *data;
        store_release_fn release;
        void *release_arg;
    } queue[256];
};

static void on_send(void *arg, uint32_t client, uint16_t type, uint64_t tag, const void *payload,
                    size_t size)
{
    struct seen *s = arg;

    (void)client;
    s->ngone += type == REC_SEGMENT_GONE;
    s->type = type;
    s->tag = tag;
    if (type != REC_STORE_CREATED && type != REC_STORE_GOT)
        return;
    memcpy(&s->at, payload, sizeof s->at);
    memset(s->text, 0, sizeof s->text);
    memcpy(s->text, (const char *)payload + sizeof s->at, size - sizeof s->at);
}

static void on_segment(void *arg, uint32_t client, uint32_t segment, uint64_t size, bool writable,
                       int fd)
{
    struct seen *s = arg;

    (void)client;
    (void)writable;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = dup(fd);
    s->segment = segment;
    s->size = size;
    s->nsegments++;
}

static int on_link(void *arg, const uint8_t node[16], uint16_t type, const void *head,
                   size_t head_size, const void *data, size_t data_size, store_release_fn release,
                   void *release_arg)
{
    struct seen *s = arg;

    if (!s->peer || memcmp(node, s->peer->node, 16) != 0)
        return -RAIA_ERR_UNAVAILABLE;
    if (s->records == 4)
        return -RAIA_ERR_LIMIT;
    s->queue[s->records].type = type;
    memcpy(s->queue[s->records].head, head, head_size);
    s->queue[s->records].head_size = head_size;
    s->queue[s->records].data = data;
    s->queue[s->records].data_size = data_size;
    s->queue[s->records].release = release;
    s->queue[s->records++].release_arg = release_arg;
    return 0;
}

/* Everything that is in the queues, to the other side. */
static void exchange(struct seen *a, struct seen *b)
{
    while (a->records || b->records)
        for (int side = 0; side < 2; side++) {
            struct seen *from = side ? a : b, *to = side ? b : a, batch = *from;
            from->records = 0;
            for (int i = 0; i < batch.records; i++) {
                cr_assert_eq(store_handle_link_record(to->store, clock_now_ns(), from->node,
                                                      batch.queue[i].type, batch.queue[i].head,
                                                      batch.queue[i].head_size, batch.queue[i].data,
                                                      batch.queue[i].data_size),
                             0);
                if (batch.queue[i].release)
                    batch.queue[i].release(batch.queue[i].release_arg);
            }
            store_link_writable(from->store, clock_now_ns(), to->node);
        }
}

static void setup(struct seen *s, uint8_t id, uint64_t capacity)
{
    struct store_host host = {
        .arg = s, .send = on_send, .send_segment = on_segment, .link_send = on_link};
    struct record_address address = {{id}, {id, 9}};
    struct store_config c;
    struct raia_error e;

    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->node[0] = id;
    store_config_default(&c, s->node, capacity);
    cr_assert_eq(store_new(&c, &host, &s->store, &e), 0, "%s", e.text);
    cr_assert_eq(store_client_add(s->store, 1, &address, (const uint8_t[4]){0, 0, 0, 1}), 0);
}

static void teardown(struct seen *s)
{
    if (s->fd >= 0)
        close(s->fd);
    store_free(s->store);
}

static int say(struct seen *s, uint16_t type, uint64_t tag, const void *payload, size_t size)
{
    struct record_head h = {.size = (uint32_t)(sizeof h + size), .type = type, .tag = tag};

    return store_handle_record(s->store, clock_now_ns(), 1, &h, payload);
}

static int create(struct seen *s, uint8_t id, uint64_t size)
{
    struct rec_store_create r = {.object = {id}, .size = size};

    return say(s, REC_STORE_CREATE, id, &r, sizeof r);
}

static int about(struct seen *s, uint16_t type, uint8_t id, uint32_t flags)
{
    struct rec_object r = {.object = {id}, .flags = flags};

    return say(s, type, 0, &r, sizeof r);
}

static int get(struct seen *s, uint8_t id, const uint8_t node[16])
{
    struct {
        struct rec_store_get r;
        uint8_t node[16];
    } g = {.r = {.object = {id}, .nnodes = node ? 1 : 0, .deadline_ms = 1000}};

    if (node)
        memcpy(g.node, node, 16);
    return say(s, REC_STORE_GET, id, &g, sizeof g.r + (node ? 16 : 0));
}

static int free_object(struct seen *s, uint8_t id)
{
    struct rec_store_free r = {.object = {id}};

    return say(s, REC_STORE_FREE, 0, &r, sizeof r);
}

/* Put, get, release, free: the bytes are those written, the descriptor of the writer writes, and
 * the next put gets the same memory. */
Test(store, put_get_free)
{
    struct seen s;
    struct store_stats st;
    uint64_t at;
    char *map;

    setup(&s, 1, 64 * MIB);
    cr_assert_eq(create(&s, 1, MIB), 0);
    cr_assert_eq(s.type, REC_STORE_CREATED);
    cr_assert_eq(s.at.status, 0);
    cr_assert_eq(s.segment, s.at.segment);
    map = mmap(NULL, s.size, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    cr_assert_eq(ftruncate(s.fd, 1), -1, "the segment can be cut");
    memset(map + s.at.offset, 'x', MIB);
    at = s.at.offset;
    cr_assert_eq(about(&s, REC_STORE_SEAL, 1, REC_OBJECT_RELEASE), 0);
    cr_assert_eq(get(&s, 1, NULL), 0);
    cr_assert_eq(s.type, REC_STORE_GOT);
    cr_assert_eq(s.at.size, MIB);
    cr_assert_eq(s.nsegments, 1);
    cr_assert_eq(free_object(&s, 1), 0);
    store_stats(s.store, &st);
    cr_assert_eq(st.used, MIB, "freed while it is read");
    cr_assert_eq(about(&s, REC_STORE_RELEASE, 1, 0), 0);
    store_stats(s.store, &st);
    cr_assert_eq(st.used, 0);
    cr_assert_eq(create(&s, 2, MIB), 0);
    cr_assert_eq(s.at.offset, at);
    cr_assert_eq(map[at], 'x', "the memory is not the warm one");
    munmap(map, s.size);
    teardown(&s);
}

/* Another process reads through a descriptor that cannot be made writable; its death releases what
 * it read. */
Test(store, reader)
{
    struct seen s;
    struct record_address address = {{1}, {7}};
    struct store_stats st;
    struct record_head h = {.size = sizeof h + sizeof(struct rec_store_get), .type = REC_STORE_GET};
    struct rec_store_get g = {.object = {1}};

    setup(&s, 1, 64 * MIB);
    create(&s, 1, 1000);
    about(&s, REC_STORE_SEAL, 1, REC_OBJECT_RELEASE);
    cr_assert_eq(store_client_add(s.store, 2, &address, (const uint8_t[4]){0, 0, 0, 1}), 0);
    cr_assert_eq(store_handle_record(s.store, 0, 2, &h, &g), 0);
    cr_assert_eq(s.at.status, 0);
    cr_assert_eq(s.nsegments, 2);
    cr_assert_eq(fcntl(s.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    cr_assert_eq(mmap(NULL, s.size, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0), MAP_FAILED);
    free_object(&s, 1);
    store_client_closed(s.store, 0, 2);
    store_stats(s.store, &st);
    cr_assert_eq(st.used, 1024);
    store_client_gone(s.store, 0, 2);
    store_stats(s.store, &st);
    cr_assert_eq(st.used, 0);
    teardown(&s);
}

/* Store full: an answer at once or at the deadline, that says capacity, use and what to do; memory
 * that comes back goes to who waits. */
Test(store, full)
{
    struct seen s;
    struct rec_store_create r = {.object = {3}, .size = 8 * MIB, .deadline_ms = 60000};

    setup(&s, 1, 10 * MIB);
    create(&s, 1, 100 * MIB);
    cr_assert_eq(s.at.status, -RAIA_ERR_STORE_FULL);
    cr_assert_not_null(strstr(s.text, "capacity 10.0 MiB"), "%s", s.text);
    cr_assert_not_null(strstr(s.text, "--object-store-memory"));
    create(&s, 1, 6 * MIB);
    cr_assert_eq(s.at.status, 0);
    create(&s, 2, 8 * MIB);
    cr_assert_eq(s.at.status, -RAIA_ERR_STORE_FULL);
    cr_assert_not_null(strstr(s.text, "in use 6.0 MiB"), "%s", s.text);
    s.type = 0;
    say(&s, REC_STORE_CREATE, 3, &r, sizeof r);
    cr_assert_eq(s.type, 0, "it does not wait");
    about(&s, REC_STORE_ABORT, 1, 0);
    cr_assert_eq(s.type, REC_STORE_CREATED);
    cr_assert_eq(s.at.status, 0);
    r.object[0] = 4;
    say(&s, REC_STORE_CREATE, 4, &r, sizeof r);
    store_tick(s.store, store_next_deadline(s.store));
    cr_assert_eq(s.at.status, -RAIA_ERR_STORE_FULL);
    cr_assert_eq(s.tag, 4);
    teardown(&s);
}

/* 5 MiB cross a narrow link in chunks, byte for byte; FREE at the source frees the copy too. */
Test(store, crosses_nodes)
{
    static struct seen a, b;
    struct store_stats st;
    char *map;

    setup(&a, 1, 64 * MIB);
    setup(&b, 2, 64 * MIB);
    a.peer = &b;
    b.peer = &a;
    create(&a, 1, 5 * MIB + 7);
    map = mmap(NULL, a.size, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
    for (uint64_t i = 0; i < 5 * MIB + 7; i++)
        map[a.at.offset + i] = (char)(i * 7 + (i >> 12));
    munmap(map, a.size);
    about(&a, REC_STORE_SEAL, 1, REC_OBJECT_RELEASE);
    get(&b, 1, a.node);
    exchange(&a, &b);
    cr_assert_eq(b.type, REC_STORE_GOT);
    cr_assert_eq(b.at.status, 0, "%d %s", b.at.status, b.text);
    map = mmap(NULL, b.size, PROT_READ, MAP_SHARED, b.fd, 0);
    for (uint64_t i = 0; i < 5 * MIB + 7; i++)
        cr_assert_eq(map[b.at.offset + i], (char)(i * 7 + (i >> 12)));
    munmap(map, b.size);
    about(&b, REC_STORE_RELEASE, 1, 0);
    store_stats(b.store, &st);
    cr_assert_eq(st.objects, 1);
    cr_assert_eq(st.bytes_in, 5 * MIB + 7);
    free_object(&a, 1);
    exchange(&a, &b);
    store_stats(b.store, &st);
    cr_assert_eq(st.used, 0);
    store_stats(a.store, &st);
    cr_assert_eq(st.used, 0);
    teardown(&a);
    teardown(&b);
}

/* GETs that cannot succeed say why: unreachable node, freed object, dead owner, canceled. */
Test(store, reasons)
{
    struct seen s;
    struct record_address owner = {{1}, {5}};
    struct rec_store_get g = {.object = {4}, .deadline_ms = UINT32_MAX, .owner = owner};

    setup(&s, 1, 64 * MIB);
    get(&s, 1, (const uint8_t[16]){77});
    cr_assert_eq(s.at.status, -RAIA_ERR_NODE_DIED);
    free_object(&s, 2);
    get(&s, 2, NULL);
    cr_assert_eq(s.at.status, -RAIA_ERR_OBJECT_LOST);
    get(&s, 3, NULL);
    store_tick(s.store, store_next_deadline(s.store));
    cr_assert_eq(s.at.status, -RAIA_ERR_TIMEOUT);
    say(&s, REC_STORE_GET, 44, &g, sizeof g);
    store_owner_gone(s.store, 0, &owner);
    cr_assert_eq(s.at.status, -RAIA_ERR_OWNER_DIED);
    s.at.status = 0;
    say(&s, REC_STORE_GET, 45, &g, sizeof g);
    cr_assert_eq(s.at.status, -RAIA_ERR_OWNER_DIED);
    get(&s, 6, NULL);
    say(&s, REC_STORE_GET_CANCEL, 6, NULL, 0);
    cr_assert_eq(s.at.status, -RAIA_ERR_CANCELED);
    teardown(&s);
}

/* The end of a job frees what has no owner that lives, and leaves what its processes made for an owner
 * of another job: that goes with its owner. */
Test(store, job_gone_but_not_the_owner)
{
    const struct record_address other = {{3}, {99}};
    struct rec_store_create c = {.object = {9}, .size = 1000, .owner = other};
    struct store_stats st;
    struct seen s;

    setup(&s, 1, 64 * MIB);
    create(&s, 7, 1000);
    about(&s, REC_STORE_SEAL, 7, REC_OBJECT_RELEASE);
    say(&s, REC_STORE_CREATE, 9, &c, sizeof c);
    cr_assert_eq(s.at.status, 0);
    about(&s, REC_STORE_SEAL, 9, REC_OBJECT_RELEASE);
    store_job_gone(s.store, 0, (const uint8_t[4]){0, 0, 0, 1});
    store_stats(s.store, &st);
    cr_assert_eq(st.objects, 1, "what nobody owns goes, the other one stays: %u", st.objects);
    get(&s, 9, NULL);
    cr_assert_eq(s.at.status, 0, "%s", s.text);
    about(&s, REC_STORE_RELEASE, 9, 0);
    store_owner_gone(s.store, 0, &other);
    store_stats(s.store, &st);
    cr_assert_eq(st.objects, 0);
    cr_assert_eq(st.used, 0);
    teardown(&s);
}

/* Every allocation may fail, in turn: the put and get then say so, or work; nothing leaks. */
Test(store, out_of_memory)
{
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct seen s;
        struct store_stats st;

        setup(&s, 1, 64 * MIB);
        mem_fail_nth(nth);
        create(&s, 1, 1000);
        if (s.at.status == 0)
            about(&s, REC_STORE_SEAL, 1, REC_OBJECT_RELEASE);
        get(&s, 1, NULL);
        get(&s, 2, (const uint8_t[16]){77});
        mem_fail_nth(0);
        store_client_gone(s.store, 0, 1);
        free_object(&s, 1);
        store_job_gone(s.store, 0, (const uint8_t[4]){0, 0, 0, 1});
        store_stats(s.store, &st);
        cr_assert_eq(st.used, 0, "allocation %lu", (unsigned long)nth);
        teardown(&s);
    }
}
