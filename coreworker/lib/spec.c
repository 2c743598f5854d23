/*
 * The arguments of tasks and calls: laid out as entries when they are made, and written as they go
 * when they are sent.
 */
#include <string.h>

#include "lib/runtime.h"

#define FLATS 8u /* arguments that are laid out on the stack */

static size_t flat_spec_size(const struct flat *f)
{
    return f->held ? wire_entry_size(0, 0) : wire_entry_size(f->head_size + f->body_size, f->nrefs);
}

static void hold(struct task *t, raia_ref *o)
{
    object_hold(o);
    t->held[t->nheld++] = o;
}

static size_t write_flat(struct runtime *rt, struct task *t, const struct flat *f, uint8_t *to)
{
    struct wire_ref *refs;
    uint8_t *data;

    if (f->held) {
        wire_entry_begin(to, WIRE_HELD, 0, 0, 0, &data, &refs);
        ((struct wire_entry *)(void *)to)->size = t->nheld;
        hold(t, f->held);
        return wire_entry_size(0, 0);
    }
    wire_entry_begin(to, WIRE_INLINE, f->format, f->head_size + f->body_size, f->nrefs, &data,
                     &refs);
    flat_write(f, data);
    for (size_t i = 0; i < f->nrefs; i++) {
        object_name(&rt->objects, f->refs[i], &refs[i]);
        hold(t, f->refs[i]);
    }
    return flat_spec_size(f);
}

/* Large values become objects; returns how many were made, to be released after the task has them.
 */
static int store_large(struct runtime *rt, struct flat *f, raia_ref **ret_made)
{
    size_t size = f->head_size + f->body_size + f->nrefs * sizeof(struct wire_ref);
    int r;

    *ret_made = NULL;
    if (f->held || size <= RT_ARG_MAX)
        return 0;
    r = flat_put_stored(rt, f, ret_made);
    /* Without room in the store it still travels in pieces. */
    if (r == -RAIA_ERR_STORE_FULL && size <= RT_INLINE_MAX) {
        last_clear();
        return 0;
    }
    if (r == 0)
        *f = (struct flat){.held = *ret_made};
    return r;
}

static int encode_flats(struct runtime *rt, struct task *t, struct flat *flats, size_t count)
{
    size_t size = 0, nheld = 0, at = 0;

    for (size_t i = 0; i < count; i++) {
        size += flat_spec_size(&flats[i]);
        nheld += flats[i].held ? 1 : flats[i].nrefs;
    }
    if (size > WIRE_MESSAGE_MAX / 2)
        return last_set(RAIA_ERR_LIMIT,
                        "the arguments take %zu bytes: put the large ones into "
                        "objects (raia_put) first",
                        size);
    if (nheld) {
        t->held = mem_calloc(nheld, sizeof(raia_ref *));
        if (!t->held)
            return last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    if (size) {
        t->spec = pool_alloc(&rt->pool, size);
        if (!t->spec)
            return last_set(RAIA_ERR_NOMEM, "out of memory");
        t->spec_size = (uint32_t)size;
    }
    t->spec_held = nheld > 0;
    t->nargs = (uint16_t)count;
    for (size_t i = 0; i < count; i++)
        at += write_flat(rt, t, &flats[i], t->spec + at);
    return 0;
}

int task_encode(struct runtime *rt, struct task *t, const struct raia_value *args, size_t count)
{
    struct flat few[FLATS], *flats = few;
    raia_ref *made_few[FLATS], **made = made_few;
    size_t n = 0;
    int r = 0;

    if (count > WIRE_ENTRIES_MAX || (count && !args))
        return last_set(RAIA_ERR_INVALID, "%zu arguments, at NULL or too many: at most %u", count,
                        WIRE_ENTRIES_MAX);
    if (count > FLATS) {
        flats = mem_calloc(count, sizeof(*flats));
        made = mem_calloc(count, sizeof(raia_ref *));
        if (!flats || !made)
            r = last_set(RAIA_ERR_NOMEM, "out of memory");
    }
    for (; n < count && r == 0; n++) {
        made[n] = NULL;
        r = value_flatten(rt, &args[n], &flats[n]);
        /* The list that one points to its own storage. */
        if (r == 0 && flats[n].one)
            flats[n].refs = &flats[n].one;
        if (r == 0)
            r = store_large(rt, &flats[n], &made[n]);
    }
    if (r == 0)
        r = encode_flats(rt, t, flats, count);
    for (size_t i = 0; i < n && made; i++)
        if (made[i])
            object_release(&rt->objects, made[i]);
    if (flats != few)
        mem_free(flats);
    if (made != made_few)
        mem_free(made);
    return r;
}

/* One entry as it goes out; *held is the index of its first object. */
static int write_entry(struct runtime *rt, struct task *t, const struct wire_entry *e,
                       struct process *to, uint32_t *held, uint8_t *at, size_t *ret_size)
{
    const uint8_t *data = (const uint8_t *)(e + 1);
    struct wire_ref *refs;
    raia_ref **inner = &t->held[*held];
    uint32_t size = e->size, nrefs = e->nrefs;
    uint8_t kind = WIRE_INLINE, format = e->format, *out;
    struct wire_stored stored;
    int r = 0;

    *held += e->kind == WIRE_HELD ? 1 : nrefs;
    if (e->kind == WIRE_HELD) {
        raia_ref *o = inner[0];

        if (o->state == OBJECT_HERE) {
            data = o->value->data;
            size = o->value->size;
            format = o->value->format;
            nrefs = o->value->nrefs;
            inner = o->value->inner;
        } else {
            kind = WIRE_STORED;
            stored = (struct wire_stored){.size = o->more->size};
            memcpy(stored.node, o->more->node, 16);
            store_id(rt, o, stored.store_id);
            if (at)
                r = object_export(&rt->objects, o, to, false, &stored.object);
            data = (const uint8_t *)&stored;
            size = sizeof(stored);
            nrefs = 0;
            format = RAIA_RAW;
        }
    }
    *ret_size = wire_entry_size(size, nrefs);
    if (!at)
        return 0;
    wire_entry_begin(at, kind, format, size, nrefs, &out, &refs);
    memcpy(out, data, size);
    for (uint32_t i = 0; i < nrefs && r == 0; i++)
        r = object_export(&rt->objects, inner[i], to, false, &refs[i]);
    return r;
}

int task_write_spec(struct runtime *rt, struct task *t, struct process *to, uint8_t *at,
                    size_t *ret_size)
{
    size_t from = 0, size = 0, n;
    uint32_t held = 0;
    int r;

    if (!t->spec_held) {
        if (at && t->spec)
            memcpy(at, t->spec, t->spec_size);
        *ret_size = t->spec_size;
        return 0;
    }
    while (from < t->spec_size) {
        const struct wire_entry *e = (const struct wire_entry *)(const void *)(t->spec + from);

        r = write_entry(rt, t, e, to, &held, at ? at + size : NULL, &n);
        if (r < 0)
            return r;
        size += n;
        from += e->kind == WIRE_HELD ? wire_entry_size(0, 0) : wire_entry_size(e->size, e->nrefs);
    }
    *ret_size = size;
    return 0;
}
