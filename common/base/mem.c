/*
 * Allocation over malloc, with a per-thread countdown to an injected failure.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __thread uint64_t fail_nth;   /* which allocation fails, counted from the last arming */
static __thread uint64_t fail_count; /* allocations since then */

static atomic_uint_fast64_t all_nth;   /* the same for all threads together; 0: not armed */
static atomic_uint_fast64_t all_count; /* while it is armed */

static bool is_nth_of_all(void)
{
    uint64_t nth = atomic_load_explicit(&all_nth, memory_order_relaxed);

    return nth && atomic_fetch_add(&all_count, 1) + 1 == nth;
}

static bool allocation_allowed(void)
{
    if (++fail_count != fail_nth && !is_nth_of_all())
        return true;
    errno = ENOMEM;
    return false;
}

void *mem_alloc(size_t size)
{
    return allocation_allowed() ? malloc(size ? size : 1) : NULL;
}

void *mem_zalloc(size_t size)
{
    return allocation_allowed() ? calloc(1, size ? size : 1) : NULL;
}

void *mem_calloc(size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return mem_zalloc(total);
}

void *mem_realloc(void *p, size_t size)
{
    return allocation_allowed() ? realloc(p, size ? size : 1) : NULL;
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);

    if (copy && size)
        memcpy(copy, p, size);
    return copy;
}

char *mem_strdup(const char *s)
{
    return s ? mem_dup(s, strlen(s) + 1) : NULL;
}

char *mem_strndup(const char *s, size_t max)
{
    size_t n;
    char *copy;

    if (!s)
        return NULL;
    n = strnlen(s, max);
    copy = mem_alloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap, again;
    char *text = NULL;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0)
        text = mem_alloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return text;
}

void mem_free(void *p)
{
    free(p);
}

void mem_freep(void *p)
{
    void *owned;

    memcpy(&owned, p, sizeof owned);
    mem_free(owned);
}

void fd_closep(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

void file_closep(void *f)
{
    int saved = errno;
    FILE *file;

    memcpy(&file, f, sizeof file);
    if (file)
        fclose(file);
    errno = saved;
}

void mem_fail_nth(uint64_t n)
{
    fail_nth = n;
    fail_count = 0;
}

uint64_t mem_fail_count(void)
{
    return fail_count;
}

void mem_fail_nth_anywhere(uint64_t n)
{
    atomic_store(&all_count, 0);
    atomic_store(&all_nth, n);
}

uint64_t mem_fail_count_anywhere(void)
{
    return atomic_load(&all_count);
}
