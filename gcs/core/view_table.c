/* The resource views. */
#include "core/view_table.h"

#include <string.h>

#include "base/mem.h"
#include "core/pb.h"

static void view_free(struct view_table *t, struct view *view)
{
    HASH_DEL(t->views, view);
    pb_free(&view->last->base);
    mem_free(view);
}

void view_table_fini(struct view_table *t)
{
    struct view *view, *next;

    HASH_FOREACH (t->views, view, next)
        view_free(t, view);
}

struct view *view_table_find(struct view_table *t, const struct node_id *id)
{
    return HASH_GET(t->views, id, id);
}

int view_table_update(struct view_table *t, const struct node_id *id,
                      const Raia__Gcs__ResourceReport *report, bool *ret_changed)
{
    struct view *view = view_table_find(t, id);
    Raia__Gcs__ResourceReport *copy;

    *ret_changed = false;
    if (view && report->version <= view->last->version)
        return 0;
    copy = pb_copy(&report->base);
    if (!copy)
        return -RAIA_ERR_NOMEM;
    if (!view) {
        view = mem_new(struct view);
        if (view)
            view->id = *id;
        if (!view || HASH_PUT(t->views, id, view) < 0) {
            mem_free(view);
            pb_free(&copy->base);
            return -RAIA_ERR_NOMEM;
        }
    } else {
        pb_free(&view->last->base);
    }
    view->last = copy;
    view->dirty = t->dirty = true;
    *ret_changed = true;
    return 0;
}

void view_table_remove(struct view_table *t, const struct node_id *id)
{
    struct view *view = view_table_find(t, id);

    if (view)
        view_free(t, view);
}

void view_table_flush(struct view_table *t, struct pubsub *pubsub)
{
    struct view *view, *next;

    if (!t->dirty)
        return;
    t->dirty = false;
    HASH_FOREACH (t->views, view, next) {
        struct pub_item *item;

        if (!view->dirty)
            continue;
        item = pub_item_new(RAIA__GCS__CHANNEL__CHANNEL_RESOURCES, view->id.bytes, NODE_ID_SIZE,
                            pb_copy(&view->last->base));
        if (!item) {
            t->dirty = true; /* again at the next tick */
            return;
        }
        view->dirty = false;
        pubsub_publish(pubsub, item);
        pub_item_unref(item);
    }
}

int64_t resources_get(Raia__Resource *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i]->name, name) == 0)
            return list[i]->quantity;
    }
    return 0;
}

bool resources_fit(Raia__Resource *const *want, size_t n_want, Raia__Resource *const *have,
                   size_t n_have)
{
    for (size_t i = 0; i < n_want; i++) {
        if (want[i]->quantity > resources_get(have, n_have, want[i]->name))
            return false;
    }
    return true;
}

void resources_take(Raia__Resource *const *want, size_t n_want, Raia__Resource **have,
                    size_t n_have)
{
    for (size_t i = 0; i < n_want; i++) {
        for (size_t k = 0; k < n_have; k++) {
            if (strcmp(have[k]->name, want[i]->name) != 0)
                continue;
            have[k]->quantity -= want[i]->quantity;
            if (have[k]->quantity < 0)
                have[k]->quantity = 0;
        }
    }
}
