/*
 * Memory: allocation that can be made to fail, and owners that clean up after themselves.
 *
 * All of Raia's own allocation goes through mem_*, and that of cJSON, libcurl, SQLite and protobuf-c;
 * out of memory is returned, never fatal. A test arms mem_fail_nth(n) to make the n-th allocation
 * from now fail, in this thread only, or mem_fail_nth_anywhere(n), in any.
 *
 *     _cleanup_(mem_freep) char *name = mem_strdup(s);
 *     if (!name)
 *         return -RAIA_ERR_NOMEM;
 *     obj->name = STEAL(name);
 *
 * Threads: any. Failure: NULL.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands a pointer over: yields its value and leaves NULL behind. */
#define STEAL(p)                                                                                   \
    ({                                                                                             \
        __typeof__(p) steal__ = (p);                                                               \
        (p) = NULL;                                                                                \
        steal__;                                                                                   \
    })
/* The same for a file descriptor, leaving -1. */
#define STEAL_FD(fd)                                                                               \
    ({                                                                                             \
        int steal__ = (fd);                                                                        \
        (fd) = -1;                                                                                 \
        steal__;                                                                                   \
    })

void *mem_alloc(size_t size);                 /* not zeroed */
void *mem_zalloc(size_t size);                /* zeroed */
void *mem_calloc(size_t n, size_t size);      /* zeroed; overflow of n*size gives NULL */
void *mem_realloc(void *p, size_t size);      /* on failure p stays valid */
void *mem_dup(const void *p, size_t size);    /* a copy of size bytes */
char *mem_strdup(const char *s);              /* NULL in, NULL out */
char *mem_strndup(const char *s, size_t max); /* at most max bytes */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p); /* accepts NULL */

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

/* For _cleanup_: take the address of the owner. */
void mem_freep(void *p);
void fd_closep(int *fd);
void file_closep(void *f); /* FILE ** */

/* Test support: the n-th allocation of this thread from now (1 = next) fails, once. 0 disarms. */
void mem_fail_nth(uint64_t n);
/* Allocations of this thread since mem_fail_nth was last called. */
uint64_t mem_fail_count(void);
/* The same for the allocations of all threads together, for what works on threads of its own. */
void mem_fail_nth_anywhere(uint64_t n);
uint64_t mem_fail_count_anywhere(void); /* while n is not 0 */

#endif
