/*
 * Loaded documents: ownership, and from a node or path to its place in the text.
 */
#include "yaml/yaml_docs.h"

#include "base/err.h"

/* The slot of a node, or the free one where it belongs. The table has free slots. */
static struct yaml_spot *slot(struct yaml_spot *spots, size_t cap, const struct json *node)
{
    uint64_t h = (uint64_t)(uintptr_t)node * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)(h >> 32);; i++) {
        struct yaml_spot *s = &spots[i & (cap - 1)];
        if (!s->node || s->node == node)
            return s;
    }
}

int yaml_docs_note__(struct yaml_docs *d, const struct json *node, struct yaml_place place)
{
    if (d->n_spots >= d->cap_spots / 2) {
        size_t cap = d->cap_spots ? d->cap_spots * 2 : 64;
        struct yaml_spot *p = mem_calloc(cap, sizeof *p);
        if (!p)
            return -RAIA_ERR_NOMEM;
        for (size_t i = 0; i < d->cap_spots; i++)
            if (d->spots[i].node)
                *slot(p, cap, d->spots[i].node) = d->spots[i];
        mem_free(d->spots);
        d->spots = p;
        d->cap_spots = cap;
    }
    struct yaml_spot *s = slot(d->spots, d->cap_spots, node);
    d->n_spots += !s->node;
    *s = (struct yaml_spot){node, place};
    return 0;
}

int yaml_docs_add__(struct yaml_docs *d, struct json *root)
{
    _cleanup_(json_freep) struct json *owned = root;
    struct json **roots = mem_realloc(d->roots, (d->n_roots + 1) * sizeof *roots);
    if (!roots)
        return -RAIA_ERR_NOMEM;
    d->roots = roots;
    const struct json **ids = mem_realloc(d->ids, (d->n_roots + 1) * sizeof *ids);
    if (!ids)
        return -RAIA_ERR_NOMEM;
    d->ids = ids;
    d->ids[d->n_roots] = root;
    d->roots[d->n_roots++] = STEAL(owned);
    return 0;
}

void yaml_free(struct yaml_docs *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_roots; i++)
        json_free(d->roots[i]);
    json_free(d->scrap);
    mem_free(d->roots);
    mem_free(d->ids);
    mem_free(d->spots);
    mem_free(d->name);
    mem_free(d);
}

void yaml_freep(void *p)
{
    yaml_free(*(struct yaml_docs **)p);
}

size_t yaml_count(const struct yaml_docs *d)
{
    return d ? d->n_roots : 0;
}

const char *yaml_name(const struct yaml_docs *d)
{
    return d->name;
}

struct json *yaml_doc(const struct yaml_docs *d, size_t i)
{
    return i < yaml_count(d) ? d->roots[i] : NULL;
}

struct json *yaml_take(struct yaml_docs *d, size_t i)
{
    return i < yaml_count(d) ? STEAL(d->roots[i]) : NULL;
}

int yaml_place_of(const struct yaml_docs *d, const struct json *node, struct yaml_place *ret)
{
    if (!d || !d->cap_spots || !node)
        return -RAIA_ERR_NOT_FOUND;
    const struct yaml_spot *s = slot(d->spots, d->cap_spots, node);
    if (!s->node)
        return -RAIA_ERR_NOT_FOUND;
    *ret = s->place;
    return 0;
}

int yaml_where(const struct yaml_docs *d, size_t i, const char *path, struct yaml_place *ret)
{
    if (i >= yaml_count(d))
        return -RAIA_ERR_NOT_FOUND;
    return yaml_place_of(d, json_at_nearest(d->ids[i], path), ret);
}

int yaml_blame(const struct yaml_docs *d, size_t i, const char *path, struct raia_error *e)
{
    struct yaml_place at;
    if (yaml_where(d, i, path, &at) < 0)
        return err_wrap(e, "%s", d ? d->name : "YAML");
    return err_wrap(e, "%s:%u:%u", d->name, at.line, at.column);
}
