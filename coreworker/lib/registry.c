/*
 * The functions of this program: by name, by address, by the number that links use.
 *
 * Registration happens before main, or at least before raia_init, from one thread; names that come
 * from other processes are interned under the token.
 */
#include <string.h>

#include "lib/runtime.h"

#define BUCKETS   256u
#define NAMES_MAX 65536u /* distinct names that this process will ever know */

static struct function *by_name[BUCKETS], *by_fn[BUCKETS];
static struct function **numbered;
static uint32_t count;

static unsigned name_bucket(const char *name, size_t size)
{
    return hash_bytes(name, size) % BUCKETS;
}

static unsigned fn_bucket(raia_fn *fn)
{
    return hash_u64((uint64_t)(uintptr_t)fn) % BUCKETS;
}

struct function *function_of(raia_fn *fn)
{
    struct function *f = by_fn[fn_bucket(fn)];

    while (f && f->fn != fn)
        f = f->next_fn;
    return f;
}

struct function *function_named(const char *name, size_t size)
{
    struct function *f = by_name[name_bucket(name, size)];

    while (f && (strncmp(f->name, name, size) != 0 || f->name[size]))
        f = f->next;
    return f;
}

struct function *function_by_number(uint32_t number)
{
    return number && number <= count ? numbered[number - 1] : NULL;
}

struct function *function_intern(const char *name, size_t size)
{
    struct function *f = function_named(name, size), **all;

    if (f || count >= NAMES_MAX || size == 0 || size > WIRE_NAME_MAX)
        return f;
    f = mem_new(struct function);
    if (!f)
        return NULL;
    f->name = mem_strndup(name, size);
    all = mem_realloc(numbered, (count + 1) * sizeof(*numbered));
    if (all)
        numbered = all;
    if (!f->name || !all) {
        mem_free(f->name);
        mem_free(f);
        return NULL;
    }
    f->number = count + 1;
    numbered[count++] = f;
    f->next = by_name[name_bucket(name, size)];
    by_name[name_bucket(name, size)] = f;
    return f;
}

int function_register(const char *name, raia_fn *fn, bool is_class, void (*destructor)(void *))
{
    struct function *f;

    if (!name || !fn || !*name || strlen(name) > WIRE_NAME_MAX)
        return last_set(RAIA_ERR_INVALID,
                        "register: a name of 1 to %u bytes and a function are needed",
                        WIRE_NAME_MAX);
    f = function_intern(name, strlen(name));
    if (!f)
        return last_set(RAIA_ERR_NOMEM, "register '%s': out of memory", name);
    if (f->fn == fn)
        return 0;
    if (f->fn)
        return last_set(RAIA_ERR_EXISTS, "register '%s': another function has that name", name);
    f->fn = fn;
    f->is_class = is_class;
    f->destructor = destructor;
    f->next_fn = by_fn[fn_bucket(fn)];
    by_fn[fn_bucket(fn)] = f;
    return 0;
}

uint64_t function_table_hash(void)
{
    uint64_t sum = 0;

    /* Order must not matter: it is that of constructors. */
    for (uint32_t i = 0; i < count; i++)
        if (numbered[i]->fn)
            sum += hash_u64(hash_bytes(numbered[i]->name, strlen(numbered[i]->name)) |
                            (uint64_t)numbered[i]->is_class);
    return sum ? sum : 1;
}

__attribute__((destructor)) static void registry_free(void)
{
    for (uint32_t i = 0; i < count; i++) {
        mem_free(numbered[i]->name);
        mem_free(numbered[i]);
    }
    mem_free(numbered);
    numbered = NULL;
    count = 0;
    memset(by_name, 0, sizeof(by_name));
    memset(by_fn, 0, sizeof(by_fn));
}
