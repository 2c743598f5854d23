/*
 * libcurl for this process: set up at its first use, with our allocator.
 *
 * What it keeps for good (OpenSSL's tables are OpenSSL's) is made in curl_global_init and freed by
 * nobody: other threads may be inside libcurl when the process ends. Its resolver's threads allocate
 * with these functions too. What nghttp2 allocates for HTTP/2 is malloc's: libcurl gives it no
 * allocator.
 *
 * libcurl 7.88 survives the failure of each of its allocations, but does not always say so: its
 * resolver calls it a name that cannot be resolved. So the allocator remembers.
 */
#include <pthread.h>

#include "base/mem.h"
#include "http/http_transfer.h"

static __thread bool ran_out; /* since http_curl_begin__ */

static void *checked(void *p)
{
    ran_out = ran_out || !p;
    return p;
}

static void *allocate(size_t size)
{
    return checked(mem_alloc(size));
}

static void *allocate_zeroed(size_t n, size_t size)
{
    return checked(mem_calloc(n, size));
}

static void *grow(void *p, size_t size)
{
    return checked(mem_realloc(p, size));
}

static char *copy(const char *text)
{
    return checked(mem_strdup(text));
}

void http_curl_begin__(void)
{
    ran_out = false;
}

bool http_curl_ran_out__(void)
{
    return ran_out;
}

int http_curl_ready__(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool ready;
    bool now;

    pthread_mutex_lock(&lock);
    /* Without memory it fails, and is tried again by the next one. */
    if (!ready)
        ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, allocate, mem_free, grow, copy,
                                     allocate_zeroed) == CURLE_OK;
    now = ready;
    pthread_mutex_unlock(&lock);
    return now ? 0 : -RAIA_ERR_NOMEM;
}
