/* Sealed memfds; see memory.h. */
#include "store/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"

struct store_memory_segment {
    HASH_HANDLE hh;
    uint32_t number; /* the store's */
    int fd;          /* the memfd */
    uint64_t size;   /* bytes */
    void *map;       /* read-only; NULL: not mapped */
};

static struct store_memory_segment *find(struct store_memory *m, uint32_t number)
{
    return HASH_GET(m->segments, number, &number);
}

static int failed(void)
{
    int code = err_from_errno(errno);

    return code == RAIA_ERR_NO_FILES ? -code : -RAIA_ERR_NOMEM;
}

static int open_sealed(uint64_t size)
{
    _cleanup_(fd_closep) int fd = memfd_create("raia-store", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return failed();
    return STEAL_FD(fd);
}

int store_memory_create(struct store_memory *m, uint32_t segment, uint64_t size)
{
    struct store_memory_segment *s = mem_new(struct store_memory_segment);
    int fd;

    if (!s)
        return -RAIA_ERR_NOMEM;
    fd = open_sealed(size);
    s->number = segment;
    s->fd = fd;
    s->size = size;
    if (fd >= 0 && HASH_PUT(m->segments, number, s) == 0)
        return 0;
    fd_closep(&fd);
    mem_free(s);
    return fd < 0 ? fd : -RAIA_ERR_NOMEM;
}

static void segment_free(struct store_memory *m, struct store_memory_segment *s)
{
    HASH_DEL(m->segments, s);
    if (s->map)
        munmap(s->map, s->size);
    close(s->fd);
    mem_free(s);
}

void store_memory_destroy(struct store_memory *m, uint32_t segment)
{
    struct store_memory_segment *s = find(m, segment);

    if (!s)
        return;
    store_memory_punch(m, segment, 0, s->size);
    segment_free(m, s);
}

void store_memory_punch(struct store_memory *m, uint32_t segment, uint64_t offset, uint64_t size)
{
    struct store_memory_segment *s = find(m, segment);

    if (s)
        (void)fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                        (off_t)size); /* fails only where holes are unknown; then it stays warm */
}

static int in_range(const struct store_memory_segment *s, uint64_t offset, size_t size)
{
    return s && offset <= s->size && size <= s->size - offset;
}

int store_memory_write(struct store_memory *m, uint32_t segment, uint64_t offset, const void *data,
                       size_t size)
{
    struct store_memory_segment *s = find(m, segment);
    const uint8_t *p = data;

    if (!in_range(s, offset, size))
        return -RAIA_ERR_INTERNAL;
    while (size) {
        ssize_t n = pwrite(s->fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -RAIA_ERR_NOMEM;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

const void *store_memory_read(struct store_memory *m, uint32_t segment, uint64_t offset,
                              size_t size)
{
    struct store_memory_segment *s = find(m, segment);

    if (!in_range(s, offset, size))
        return NULL;
    if (!s->map) {
        void *map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
        if (map == MAP_FAILED)
            return NULL;
        (void)madvise(map, s->size, MADV_HUGEPAGE); /* where shmem_enabled allows it */
        (void)madvise(map, s->size, MADV_DONTFORK);
        s->map = map;
    }
    return (const uint8_t *)s->map + offset;
}

int store_memory_fd(struct store_memory *m, uint32_t segment)
{
    struct store_memory_segment *s = find(m, segment);

    return s ? s->fd : -RAIA_ERR_NOT_FOUND;
}

int store_memory_read_only(struct store_memory *m, uint32_t segment, int *ret_fd)
{
    struct store_memory_segment *s = find(m, segment);
    char path[64];
    int fd;

    if (!s)
        return -RAIA_ERR_NOT_FOUND;
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed();
    *ret_fd = fd;
    return 0;
}

void store_memory_fini(struct store_memory *m)
{
    struct store_memory_segment *s, *next;

    HASH_FOREACH (m->segments, s, next)
        segment_free(m, s);
}
