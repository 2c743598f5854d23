/*
 * CPUs and memory, by affinity and cgroup (version 2, all levels up to the root).
 */
#include "raylet/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define FILE_MAX 4096

/* Our cgroup's path, "/" when it cannot be told. mem_free. */
static char *own_cgroup(void)
{
    _cleanup_(mem_freep) char *text = NULL;
    char *line, *end;

    if (io_read_file("/proc/self/cgroup", FILE_MAX, &text, NULL, NULL) < 0)
        return mem_strdup("/");
    line = strstr(text, "0::");
    if (!line)
        return mem_strdup("/");
    end = strchr(line, '\n');
    return mem_strndup(line + 3, end ? (size_t)(end - line - 3) : strlen(line + 3));
}

/* Calls f with the text of a file of our cgroup and of each one above it. */
static void each_level(const char *file, void (*f)(void *arg, const char *text), void *arg)
{
    _cleanup_(mem_freep) char *group = own_cgroup();

    while (group) {
        _cleanup_(mem_freep) char *path = mem_printf("/sys/fs/cgroup%s/%s", group, file);
        _cleanup_(mem_freep) char *text = NULL;
        char *slash = strrchr(group, '/');
        if (path && io_read_file(path, FILE_MAX, &text, NULL, NULL) == 0)
            f(arg, text);
        if (!slash || !group[1])
            return;
        slash[slash == group] = '\0';
    }
}

static void cpu_max(void *arg, const char *text)
{
    int64_t *cpus = arg;
    long long quota, period;

    if (sscanf(text, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0 &&
        quota * 10000 / period < *cpus)
        *cpus = quota * 10000 / period;
}

int64_t machine_cpus(void)
{
    cpu_set_t set;
    int64_t cpus = sched_getaffinity(0, sizeof set, &set) == 0
                       ? CPU_COUNT(&set)
                       : (int64_t)sysconf(_SC_NPROCESSORS_ONLN);

    cpus *= 10000;
    each_level("cpu.max", cpu_max, &cpus);
    cpus -= cpus % 10000; /* whole ones, as Ray */
    return cpus < 10000 ? 10000 : cpus;
}

static void memory_max(void *arg, const char *text)
{
    uint64_t *memory = arg, limit = strtoull(text, NULL, 10);

    if (limit > 0 && limit < *memory)
        *memory = limit;
}

uint64_t machine_memory(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    each_level("memory.max", memory_max, &memory);
    return memory;
}
