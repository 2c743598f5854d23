/* Messages out of bytes, whichever allocation fails. */
#include "proto/message.h"

#include <string.h>

#include "base/test/each_alloc.h"
#include "gcs.pb-c.h"

#define TEXT(t)  ((char *)(uintptr_t)(t))
#define BYTES(t) ((ProtobufCBinaryData){sizeof(t) - 1, (uint8_t *)(uintptr_t)(t)})

/* A packed message, and as what it is to be read. */
struct packed {
    const ProtobufCMessageDescriptor *type;
    size_t size;         /* bytes of data */
    uint8_t data[20000]; /* packed */
};

static void pack(struct packed *p, const ProtobufCMessage *m)
{
    p->type = m->descriptor;
    p->size = protobuf_c_message_get_packed_size(m);
    cr_assert_leq(p->size, sizeof p->data);
    protobuf_c_message_pack(m, p->data);
}

/* An actor: texts, bytes, messages in messages, lists of messages; creation_size bytes in one field. */
static void pack_actor(struct packed *p, size_t creation_size)
{
    static uint8_t creation[10000];
    Raia__Resource cpu = RAIA__RESOURCE__INIT, gpu = RAIA__RESOURCE__INIT;
    Raia__Resource *list[] = {&cpu, &gpu};
    Raia__Address owner = RAIA__ADDRESS__INIT;
    Raia__Error death = RAIA__ERROR__INIT;
    Raia__Gcs__ActorSpec spec = RAIA__GCS__ACTOR_SPEC__INIT;
    Raia__Gcs__Actor actor = RAIA__GCS__ACTOR__INIT;

    cpu.name = TEXT("CPU");
    cpu.quantity = 10000;
    gpu.name = TEXT("GPU");
    owner.node_id = owner.worker_id = BYTES("0123456789abcdef");
    death.text = TEXT("it was killed");
    spec.actor_id = spec.job_id = BYTES("0123456789abcdef");
    spec.class_name = TEXT("Counter");
    spec.resources = spec.placement = list;
    spec.n_resources = spec.n_placement = 2;
    spec.creation = (ProtobufCBinaryData){creation_size, creation};
    spec.owner = &owner;
    actor.spec = &spec;
    actor.address = &owner;
    actor.death = &death;
    pack(p, &actor.base);
}

static struct packed p;

/* Reads p, and writes it again: the same bytes. */
static int step_unpack(void *arg)
{
    static uint8_t again[sizeof p.data];
    _cleanup_(proto_freep) ProtobufCMessage *m = NULL;
    int r = proto_unpack(p.type, p.data, p.size, &m);

    (void)arg;
    cr_assert_eq(r == 0, m != NULL);
    if (r < 0)
        return r;
    cr_assert_eq(protobuf_c_message_get_packed_size(m), p.size);
    protobuf_c_message_pack(m, again);
    cr_assert_arr_eq(again, p.data, p.size);
    return 0;
}

/* The same of a copy. */
static int step_copy(void *arg)
{
    static uint8_t again[sizeof p.data];
    _cleanup_(proto_freep) ProtobufCMessage *copy = proto_copy(arg);

    if (!copy)
        return -RAIA_ERR_NOMEM;
    cr_assert_eq(protobuf_c_message_get_packed_size(copy), p.size);
    protobuf_c_message_pack(copy, again);
    cr_assert_arr_eq(again, p.data, p.size);
    return 0;
}

/* A copy is equal, or there is none; it takes one allocation more than reading. */
Test(message, copied)
{
    ProtobufCMessage *m = NULL;

    pack_actor(&p, 100);
    cr_assert_eq(proto_unpack(p.type, p.data, p.size, &m), 0);
    cr_assert_eq(each_alloc(step_copy, m), each_alloc(step_unpack, NULL) + 1);
    proto_free(m);
}

/* Messages in messages and lists of them: NOMEM, and nothing is left. */
Test(message, nested)
{
    pack_actor(&p, 100);
    cr_assert_geq(each_alloc(step_unpack, NULL), 18);
}

/* Lists of bytes. */
Test(message, lists)
{
    ProtobufCBinaryData keys[] = {BYTES("a"), BYTES("bc"), BYTES("")};
    Raia__Gcs__KvKeysReply m = RAIA__GCS__KV_KEYS_REPLY__INIT;

    m.keys = keys;
    m.n_keys = 3;
    pack(&p, &m.base);
    cr_assert_geq(each_alloc(step_unpack, NULL), 4);
}

/* What a later version says, which is kept as it came; here an actor, read as something else. */
Test(message, unknown_fields)
{
    pack_actor(&p, 100);
    p.type = &raia__gcs__empty__descriptor;
    cr_assert_geq(each_alloc(step_unpack, NULL), 3);
}

/* One of several, said twice: the later one counts. */
Test(message, one_of)
{
    Raia__Gcs__SessionDown m = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__JobEnded ended = RAIA__GCS__JOB_ENDED__INIT;
    Raia__Gcs__StopEntrypoint stop = RAIA__GCS__STOP_ENTRYPOINT__INIT;
    _cleanup_(proto_freep) Raia__Gcs__SessionDown *got = NULL;
    struct packed first;

    m.body_case = RAIA__GCS__SESSION_DOWN__BODY_STOP_ENTRYPOINT;
    m.stop_entrypoint = &stop;
    stop.submission_id = TEXT("one");
    pack(&first, &m.base);
    m.body_case = RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED;
    m.job_ended = &ended;
    ended.job_id = BYTES("job1");
    pack(&p, &m.base);
    cr_assert_geq(each_alloc(step_unpack, NULL), 3);

    memcpy(first.data + first.size, p.data, p.size);
    for (uint64_t n = 1; !got; n++) {
        mem_fail_nth(n);
        int r = proto_unpack(p.type, first.data, first.size + p.size, &got);
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        cr_assert_eq(r, reached ? -RAIA_ERR_NOMEM : 0, "allocation %u: %d", (unsigned)n, r);
    }
    cr_assert_eq(got->body_case, RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED);
    cr_assert_eq(got->job_ended->job_id.len, 4);
}

/* A message that is cut short is told from one for which there is no memory. */
Test(message, malformed)
{
    ProtobufCMessage *m = NULL;

    pack_actor(&p, 100);
    for (size_t size = 1; size < p.size; size++) {
        int r = proto_unpack(p.type, p.data, size, &m);

        cr_assert(r == 0 || r == -RAIA_ERR_PROTOCOL);
        if (r == 0)
            proto_free(m); /* cut between two fields */
    }
    cr_assert_eq(proto_unpack(p.type, p.data, p.size - 1, &m), -RAIA_ERR_PROTOCOL);
    mem_fail_nth(1);
    cr_assert_eq(proto_unpack(p.type, p.data, p.size - 1, &m), -RAIA_ERR_NOMEM);
    mem_fail_nth(0);
}

/* Reads p in a room whichever allocation fails; how often it failed all the same. */
static unsigned in_room(void)
{
    struct proto_room room;
    unsigned failed = 0;
    bool reached = true;

    for (uint64_t n = 1; reached; n++) {
        Raia__Gcs__Actor *m = NULL;

        mem_fail_nth(n);
        int r = proto_unpack_in(&room, p.type, p.data, p.size, &m);
        reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        if (r < 0) {
            cr_assert_eq(r, -RAIA_ERR_NOMEM);
            failed++;
            continue;
        }
        cr_assert_eq(room.used > 0, reached);
        cr_assert_str_eq(m->spec->class_name, "Counter");
        cr_assert_str_eq(m->spec->placement[1]->name, "GPU");
        proto_free_in(&room, m);
    }
    return failed;
}

/* In a room it is read though there is no memory, but for a field that is larger than the room. */
Test(message, room)
{
    pack_actor(&p, 100);
    cr_assert_eq(in_room(), 0);
    pack_actor(&p, PROTO_ROOM + 1);
    cr_assert_eq(in_room(), 1);
}
