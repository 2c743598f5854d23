/* Rows that several processes tell of become one. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "core/pb.h"
#include "rest/merge.h"

static uint8_t task_ids[4][24] = {{1}, {2}, {3}, {4}};
static uint8_t object_ids[4][28] = {{1}, {2}, {3}, {4}};
static uint8_t workers[2][16] = {{0xa1}, {0xa2}};
static const struct node_id nodes[2] = {{{0xb1}}, {{0xb2}}};

static ProtobufCBinaryData bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

static void take(struct merge *m, int node, const ProtobufCMessage *reply, struct merge_told *told)
{
    size_t size;
    _cleanup_(mem_freep) uint8_t *packed = pb_pack(reply, &size);
    int r;

    if (reply->descriptor == &raia__raylet__list_tasks_reply__descriptor)
        r = merge_tasks(m, &nodes[node], packed, size, told);
    else
        r = merge_objects(m, &nodes[node], packed, size, told);
    cr_assert_eq(r, 0);
}

static void tell_task(struct merge *m, int node, int id, bool by_worker, uint32_t attempt,
                      Raia__Raylet__TaskState state)
{
    Raia__Raylet__ListTasksReply reply = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__Task t = RAIA__RAYLET__TASK__INIT, *list = &t;
    Raia__Address at = RAIA__ADDRESS__INIT;
    struct merge_told told;

    t.task_id = bytes(task_ids[id], 24);
    t.by_worker = by_worker;
    t.attempt = attempt;
    t.state = state;
    t.name = (char *)(uintptr_t)(by_worker ? "f" : "given name");
    t.function = (char *)(uintptr_t) "f";
    if (by_worker || state == RAIA__RAYLET__TASK_STATE__TASK_SUBMITTED) {
        at.node_id = bytes(nodes[1].bytes, 16);
        at.worker_id = bytes(workers[1], 16);
        t.worker = &at;
    }
    if (by_worker)
        t.worker_pid = 77;
    reply.tasks = &list;
    reply.n_tasks = 1;
    reply.total = 1;
    take(m, node, &reply.base, &told);
}

static void collect(void *arg, struct json *row)
{
    cr_assert_eq(json_append(arg, row), 0);
}

static struct json *rows(struct merge *m, void (*each)(struct merge *, merge_row_fn, void *))
{
    struct json *all = json_new_array();

    each(m, collect, all);
    return all;
}

static const char *text(const struct json *row, const char *key)
{
    const char *s = json_str(json_get(row, key));

    return s ? s : "(none)";
}

/* The owner's name and the worker's state, pid and node make one row, in either order. */
Test(merge, task_of_owner_and_worker)
{
    for (int first = 0; first < 2; first++) {
        struct merge *m = merge_new();

        tell_task(m, first, 0, first, 0,
                  first ? RAIA__RAYLET__TASK_STATE__TASK_RUNNING
                        : RAIA__RAYLET__TASK_STATE__TASK_SUBMITTED);
        tell_task(m, !first, 0, !first, 0,
                  !first ? RAIA__RAYLET__TASK_STATE__TASK_RUNNING
                         : RAIA__RAYLET__TASK_STATE__TASK_SUBMITTED);
        _cleanup_(json_freep) struct json *all = rows(m, merge_each_task);
        const struct json *row = json_first(all);
        int64_t pid = 0;
        cr_assert_eq(json_size(all), 1);
        cr_expect_str_eq(text(row, "state"), "RUNNING");
        cr_expect_str_eq(text(row, "name"), "given name");
        cr_expect_str_eq(text(row, "node_id"), "b2000000000000000000000000000000");
        cr_expect_eq(json_int(json_get(row, "worker_pid"), &pid), 0);
        cr_expect_eq(pid, 77);
        merge_free(m);
    }
}

/* A retry that the owner queues is not said to run because of the attempt before. */
Test(merge, task_begun_anew)
{
    struct merge *m = merge_new();

    tell_task(m, 0, 0, true, 0, RAIA__RAYLET__TASK_STATE__TASK_RUNNING);
    tell_task(m, 0, 0, false, 1, RAIA__RAYLET__TASK_STATE__TASK_PENDING_NODE);
    tell_task(m, 0, 1, false, 0, RAIA__RAYLET__TASK_STATE__TASK_PENDING_ARGS);
    _cleanup_(json_freep) struct json *all = rows(m, merge_each_task);
    cr_assert_eq(json_size(all), 2);
    JSON_FOREACH(row, all)
    {
        bool first = text(row, "task_id")[1] == '1';

        cr_expect_str_eq(text(row, "state"),
                         first ? "PENDING_NODE_ASSIGNMENT" : "PENDING_ARGS_AVAIL");
        cr_expect(json_is(json_get(row, "worker_pid"), JSON_NULL));
    }
    merge_free(m);
}

static void tell_object(struct merge *m, int node, Raia__Raylet__Object *o)
{
    Raia__Raylet__ListObjectsReply reply = RAIA__RAYLET__LIST_OBJECTS_REPLY__INIT;
    struct merge_told told;

    reply.objects = &o;
    reply.n_objects = 1;
    reply.total = 3;
    take(m, node, &reply.base, &told);
    cr_assert_eq(told.cut, 2);
}

/* An object that its owner calls one thing and the stores another is one row with its copies. */
Test(merge, object_and_its_copies)
{
    Raia__Raylet__Object owner = RAIA__RAYLET__OBJECT__INIT, copy = RAIA__RAYLET__OBJECT__INIT;
    struct merge *m = merge_new();
    int64_t size = 0;

    owner.object_id = bytes(object_ids[0], 28);
    owner.store_id = bytes(object_ids[1], 28);
    owner.state = RAIA__RAYLET__OBJECT_STATE__OBJECT_READY;
    owner.handles = 1;
    owner.size = 100;
    copy.object_id = bytes(object_ids[1], 28);
    copy.in_store = copy.sealed = true;
    copy.size = 164;
    tell_object(m, 0, &copy);
    tell_object(m, 0, &owner);
    copy.primary = true;
    tell_object(m, 1, &copy);
    _cleanup_(json_freep) struct json *all = rows(m, merge_each_object);
    const struct json *row = json_first(all);
    cr_assert_eq(json_size(all), 1);
    cr_expect_eq(text(row, "object_id")[1], '1');
    cr_expect_eq(json_size(json_get(row, "copies")), 2);
    cr_expect_str_eq(text(row, "node_id"), "b2000000000000000000000000000000");
    cr_expect_str_eq(text(row, "reference_type"), "LOCAL_REFERENCE");
    cr_expect_str_eq(text(row, "task_status"), "FINISHED");
    cr_expect_eq(json_int(json_get(row, "object_size"), &size), 0);
    cr_expect_eq(size, 164);
    merge_free(m);
}

/* Ids of a wrong length are left out; bytes that are no reply are an error, and change nothing. */
Test(merge, nonsense)
{
    Raia__Raylet__ListTasksReply reply = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__Task t = RAIA__RAYLET__TASK__INIT, *list = &t;
    struct merge *m = merge_new();
    struct merge_told told;

    t.task_id = bytes(task_ids[0], 7);
    reply.tasks = &list;
    reply.n_tasks = 1;
    take(m, 0, &reply.base, &told);
    cr_expect_eq(merge_tasks(m, &nodes[0], "\xff\xff\xff", 3, &told), -RAIA_ERR_PROTOCOL);
    cr_expect_eq(merge_objects(m, &nodes[0], "\x0a\x7f", 2, &told), -RAIA_ERR_PROTOCOL);
    _cleanup_(json_freep) struct json *all = rows(m, merge_each_task);
    cr_expect_eq(json_size(all), 0);
    merge_free(m);
}

/* Packed replies one behind the other are one reply: what raylets rely on. */
Test(merge, concatenation)
{
    Raia__Raylet__ListTasksReply one = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__ListTasksReply end = RAIA__RAYLET__LIST_TASKS_REPLY__INIT;
    Raia__Raylet__Task t = RAIA__RAYLET__TASK__INIT, *list = &t;
    Raia__Raylet__Silent s = RAIA__RAYLET__SILENT__INIT, *silent = &s;
    struct merge *m = merge_new();
    struct merge_told told;
    uint8_t all[1024];
    size_t n = 0;

    one.tasks = &list;
    one.n_tasks = 1;
    one.total = 1;
    for (int i = 0; i < 3; i++) {
        t.task_id = bytes(task_ids[i], 24);
        n += raia__raylet__list_tasks_reply__pack(&one, all + n);
    }
    s.pid = 5;
    end.silent = &silent;
    end.n_silent = 1;
    end.total = 10;
    n += raia__raylet__list_tasks_reply__pack(&end, all + n);
    cr_assert_eq(merge_tasks(m, &nodes[0], all, n, &told), 0);
    cr_expect_eq(told.cut, 7);
    cr_assert_eq(told.n_silent, 1);
    cr_expect_eq(told.silent[0]->pid, 5);
    _cleanup_(json_freep) struct json *found = rows(m, merge_each_task);
    cr_expect_eq(json_size(found), 3);
    merge_free(m);
}
