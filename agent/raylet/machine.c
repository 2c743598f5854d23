/*
 * CPUs and memory, by affinity and cgroup: version 2, and the controllers of version 1; all levels up
 * to the root. In a container the path that /proc tells may be the host's: what is not there is
 * passed over, and the root of what is mounted is the container's own.
 */
#include "raylet/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define FILE_MAX 16384

/* Is `name` one of the words of a list "cpu,cpuacct" that ends at `end`? */
static bool lists(const char *list, const char *end, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = list; p < end; p += strcspn(p, ",:") + 1)
        if (strcspn(p, ",:") == n && !strncmp(p, name, n))
            return true;
    return false;
}

char *machine_cgroup(const char *text, const char *controller)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *list = strchr(line, ':');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            break;
        if (controller ? lists(list + 1, path, controller) : path == list + 1)
            return mem_strndup(path + 1, strcspn(path + 1, "\n"));
    }
    return mem_strdup("/");
}

/* Calls f with the text of a file of our cgroup and of each one above it. */
static void each_level(const char *controller, const char *file,
                       void (*f)(void *arg, const char *text), void *arg)
{
    _cleanup_(mem_freep) char *text = NULL;
    _cleanup_(mem_freep) char *group = NULL;

    if (io_read_file("/proc/self/cgroup", FILE_MAX, &text, NULL, NULL) < 0)
        group = mem_strdup("/");
    else
        group = machine_cgroup(text, controller);
    while (group) {
        _cleanup_(mem_freep) char *path =
            mem_printf("/sys/fs/cgroup/%s%s/%s", controller ? controller : "", group, file);
        _cleanup_(mem_freep) char *value = NULL;
        char *slash = strrchr(group, '/');
        if (path && io_read_file(path, FILE_MAX, &value, NULL, NULL) == 0)
            f(arg, value);
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

/* The least of the numbers above zero. */
static void least(void *arg, const char *text)
{
    int64_t *v = arg, n = strtoll(text, NULL, 10);

    if (n > 0 && n < *v)
        *v = n;
}

int64_t machine_cpus(void)
{
    cpu_set_t set;
    int64_t cpus = sched_getaffinity(0, sizeof set, &set) == 0
                       ? CPU_COUNT(&set)
                       : (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
    int64_t quota = INT64_MAX, period = INT64_MAX;

    cpus *= 10000;
    each_level(NULL, "cpu.max", cpu_max, &cpus);
    /* Version 1 has two files; the period is the same at all levels but for those who insist. */
    each_level("cpu", "cpu.cfs_quota_us", least, &quota);
    each_level("cpu", "cpu.cfs_period_us", least, &period);
    if (quota < INT64_MAX / 10000 && period < INT64_MAX && quota * 10000 / period < cpus)
        cpus = quota * 10000 / period;
    cpus -= cpus % 10000; /* whole ones, as Ray */
    return cpus < 10000 ? 10000 : cpus;
}

uint64_t machine_memory(void)
{
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);

    each_level(NULL, "memory.max", least, &memory);
    each_level("memory", "memory.limit_in_bytes", least, &memory);
    return (uint64_t)memory;
}
