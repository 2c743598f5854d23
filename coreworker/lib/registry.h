/*
 * The functions and classes that this program has registered or heard of: registry.c. They are the
 * process's, not a session's: there before raia_init, and for ever.
 *
 * Threads: one at a time; what is registered before raia_init needs no token, all else does.
 */
#ifndef LIB_REGISTRY_H
#define LIB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/raia.h"

struct function {
    char *name;                     /* owned */
    raia_fn *fn;                    /* NULL: known by name only */
    void (*destructor)(void *self); /* of a class */
    uint32_t number;                /* from 1: what links call it; in order of first use */
    bool is_class;                  /* fn is a constructor */
    struct function *next;          /* chain by name */
    struct function *next_fn;       /* chain by address */
};

struct function *function_of(raia_fn *fn);
struct function *function_named(const char *name, size_t size);
/* As function_named, but made (without a body) if it is not registered. */
struct function *function_intern(const char *name, size_t size);
int function_register(const char *name, raia_fn *fn, bool is_class, void (*destructor)(void *));
struct function *function_by_number(uint32_t number);
/* Of the registered names, in order. */
uint64_t function_table_hash(void);

#endif
