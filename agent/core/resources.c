/*
 * Sets of resources and the ledger of a node.
 */
#include "core/resources.h"

#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

struct res_names {
    uint16_t n;                              /* names in use */
    char name[RES_NAMES_MAX][RES_NAME_SIZE]; /* by number */
};

struct res_names *res_names_new(void)
{
    struct res_names *n = mem_new(struct res_names);

    if (!n)
        return NULL;
    memcpy(n->name[RES_CPU], "CPU", sizeof "CPU");
    memcpy(n->name[RES_MEMORY], "memory", sizeof "memory");
    n->n = 2;
    return n;
}

void res_names_free(struct res_names *n)
{
    mem_free(n);
}

int res_name_id(struct res_names *n, const char *name, size_t len, uint16_t *ret_id)
{
    if (len == 0 || len >= RES_NAME_SIZE || memchr(name, '\0', len))
        return -RAIA_ERR_INVALID;
    for (uint16_t i = 0; i < n->n; i++)
        if (!memcmp(n->name[i], name, len) && n->name[i][len] == '\0') {
            *ret_id = i;
            return 0;
        }
    if (n->n == RES_NAMES_MAX)
        return -RAIA_ERR_LIMIT;
    memcpy(n->name[n->n], name, len);
    n->name[n->n][len] = '\0';
    *ret_id = n->n++;
    return 0;
}

const char *res_name(const struct res_names *n, uint16_t id)
{
    return id < n->n ? n->name[id] : "?";
}

/* The place of a name, or where it would stand. */
static uint32_t set_find(const struct res_set *s, uint16_t name)
{
    uint32_t i = 0;

    while (i < s->n && s->item[i].name < name)
        i++;
    return i;
}

static void set_remove(struct res_set *s, uint32_t i)
{
    s->n--;
    memmove(&s->item[i], &s->item[i + 1], (s->n - i) * sizeof s->item[0]);
}

int res_set_add(struct res_set *s, uint16_t name, int64_t quantity)
{
    uint32_t i = set_find(s, name);

    if (quantity < 0 || quantity > RES_MAX)
        return -RAIA_ERR_INVALID;
    if (quantity == 0)
        return 0;
    if (i < s->n && s->item[i].name == name) {
        if (s->item[i].quantity > RES_MAX - quantity)
            return -RAIA_ERR_INVALID;
        s->item[i].quantity += quantity;
        return 0;
    }
    if (s->n == RES_SET_MAX)
        return -RAIA_ERR_LIMIT;
    memmove(&s->item[i + 1], &s->item[i], (s->n - i) * sizeof s->item[0]);
    s->item[i] = (struct res_item){.name = name, .quantity = quantity};
    s->n++;
    return 0;
}

int64_t res_set_get(const struct res_set *s, uint16_t name)
{
    uint32_t i = set_find(s, name);

    return i < s->n && s->item[i].name == name ? s->item[i].quantity : 0;
}

bool res_set_equal(const struct res_set *a, const struct res_set *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->item[i].name != b->item[i].name || a->item[i].quantity != b->item[i].quantity)
            return false;
    return true;
}

bool res_set_fits(const struct res_set *have, const struct res_set *need)
{
    for (uint32_t i = 0; i < need->n; i++)
        if (res_set_get(have, need->item[i].name) < need->item[i].quantity)
            return false;
    return true;
}

int res_set_plus(struct res_set *a, const struct res_set *b)
{
    struct res_set sum = *a;

    for (uint32_t i = 0; i < b->n; i++) {
        int r = res_set_add(&sum, b->item[i].name, b->item[i].quantity);
        if (r < 0)
            return r;
    }
    *a = sum;
    return 0;
}

void res_set_minus(struct res_set *a, const struct res_set *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t at = set_find(a, b->item[i].name);
        if (at == a->n || a->item[at].name != b->item[i].name)
            continue;
        a->item[at].quantity -= b->item[i].quantity;
        if (a->item[at].quantity <= 0)
            set_remove(a, at);
    }
}

int64_t res_utilisation(const struct res_set *total, const struct res_set *available)
{
    int64_t worst = 0;

    for (uint32_t i = 0; i < total->n; i++) {
        int64_t all = total->item[i].quantity;
        int64_t used = all - res_set_get(available, total->item[i].name);
        int64_t share = used <= 0 ? 0 : (int64_t)((__int128)used * RES_UNIT / all);
        if (share > worst)
            worst = share;
    }
    return worst > RES_UNIT ? RES_UNIT : worst;
}

void ledger_init(struct ledger *l, const struct res_set *total)
{
    *l = (struct ledger){.total = *total, .version = 1};
    for (uint32_t i = 0; i < total->n; i++)
        l->available[i] = total->item[i].quantity;
}

bool ledger_fits(const struct ledger *l, const struct res_set *need)
{
    for (uint32_t i = 0; i < need->n; i++) {
        uint32_t at = set_find(&l->total, need->item[i].name);
        if (at == l->total.n || l->total.item[at].name != need->item[i].name ||
            l->available[at] < need->item[i].quantity)
            return false;
    }
    return true;
}

bool ledger_feasible(const struct ledger *l, const struct res_set *need)
{
    return res_set_fits(&l->total, need);
}

/* Moves `need` from available to in use (sign 1) or back (-1). */
static void ledger_move(struct ledger *l, const struct res_set *need, int sign)
{
    for (uint32_t i = 0; i < need->n; i++) {
        uint32_t at = set_find(&l->total, need->item[i].name);
        if (at == l->total.n || l->total.item[at].name != need->item[i].name)
            continue;
        l->available[at] -= sign * need->item[i].quantity;
        l->in_use[at] += sign * need->item[i].quantity;
    }
    if (need->n)
        l->version++;
}

bool ledger_take(struct ledger *l, const struct res_set *need)
{
    if (!ledger_fits(l, need))
        return false;
    ledger_move(l, need, 1);
    return true;
}

void ledger_force(struct ledger *l, const struct res_set *need)
{
    ledger_move(l, need, 1);
}

void ledger_give(struct ledger *l, const struct res_set *held)
{
    ledger_move(l, held, -1);
}

void ledger_available(const struct ledger *l, struct res_set *ret_set)
{
    struct res_set s = {0};

    for (uint32_t i = 0; i < l->total.n; i++)
        if (l->available[i] > 0)
            s.item[s.n++] =
                (struct res_item){.name = l->total.item[i].name, .quantity = l->available[i]};
    *ret_set = s;
}

bool ledger_check(const struct ledger *l, const struct res_set *held)
{
    for (uint32_t i = 0; i < l->total.n; i++) {
        const struct res_item *t = &l->total.item[i];
        if (l->available[i] + l->in_use[i] != t->quantity || l->in_use[i] < 0 ||
            l->in_use[i] != res_set_get(held, t->name))
            return false;
    }
    for (uint32_t i = 0; i < held->n; i++)
        if (res_set_get(&l->total, held->item[i].name) == 0)
            return false;
    return true;
}
