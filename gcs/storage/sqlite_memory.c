/*
 * SQLite's allocator over mem_*.
 *
 * It is asked for the size of a block at each free and each growth: malloc's own answer, as in
 * SQLite's allocator on Linux, so nothing is put before a block. Its statistics, a lock around each
 * allocation, are left out: nobody reads them.
 */
#include "storage/sqlite_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

#include "base/mem.h"

static void *allocate(int size)
{
    return mem_alloc((size_t)size);
}

static void *grow(void *p, int size)
{
    return mem_realloc(p, (size_t)size);
}

static int size_of(void *p)
{
    return (int)malloc_usable_size(p);
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int begin(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void end(void *arg)
{
    (void)arg;
}

static void configure(void)
{
    static const sqlite3_mem_methods ours = {.xMalloc = allocate,
                                             .xFree = mem_free,
                                             .xRealloc = grow,
                                             .xSize = size_of,
                                             .xRoundup = round_up,
                                             .xInit = begin,
                                             .xShutdown = end};

    /* Neither can fail before SQLite is used. */
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

void sqlite_memory_use(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, configure);
}
