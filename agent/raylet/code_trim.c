/*
 * The bound of code/: executables, packages and unpacked folders that nobody uses go, those not used
 * for longest first, until all together fit (code-cache-size).
 *
 * Use is the modification time of the entry itself, set by code_touch. In use are those of jobs that
 * have not ended, those that a process of an entrypoint runs in, and what was touched within the
 * last minute (it may be on its way to a job). The pool's threads measure and remove; the loop's
 * thread decides, and renames what goes, so that nobody takes it up meanwhile.
 */
#define LOG_MODULE "raylet.code"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "raylet/raylet.h"

#define DELAY_MS    3000 /* from an event to the look: many at once cost one */
#define YOUNG_S     60
#define HASH_CHARS  64
#define ENTRIES_MAX 10000 /* looked at in one turn */
#define OLD         ".old-"

struct entry {
    char name[HASH_CHARS + 8];
    uint64_t bytes;
    int64_t used_s; /* unix time */
};

struct code_trim {
    struct raylet *r;
    struct loop_timer timer;
    struct loop_work work;
    bool armed;   /* the timer runs, or the pool is at it */
    bool working; /* the pool is */
    char *dir;    /* code/, absolute */
    struct entry *list;
    size_t n;
    uint64_t total; /* bytes, of all of list */
};

void code_touch(const struct raylet *r, const char *name)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/code/%s", r->config.session_dir, name);

    if (path)
        (void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

/* ---- on the pool */

static _Thread_local uint64_t tree_bytes;

static int add_bytes(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)at;
    if (type == FTW_F)
        tree_bytes += (uint64_t)st->st_blocks * 512;
    return 0;
}

static bool is_entry(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");

    return hex == HASH_CHARS && (!name[hex] || !strcmp(name + hex, ".dir"));
}

static void measure(struct code_trim *t, const char *name)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", t->dir, name);
    struct entry *e;
    struct stat st;

    if (!path || t->n == ENTRIES_MAX || lstat(path, &st) < 0)
        return;
    tree_bytes = 0;
    (void)nftw(path, add_bytes, 16, FTW_PHYS);
    e = &t->list[t->n++];
    *e = (struct entry){.bytes = tree_bytes, .used_s = st.st_mtime};
    snprintf(e->name, sizeof e->name, "%s", name);
    t->total += tree_bytes;
}

static void scan(struct loop_work *work)
{
    struct code_trim *t = LOOP_OF(work, struct code_trim, work);
    DIR *d = opendir(t->dir);

    t->n = 0;
    t->total = 0;
    t->list = d ? mem_calloc(ENTRIES_MAX, sizeof *t->list) : NULL;
    for (struct dirent *it; t->list && (it = readdir(d));)
        if (is_entry(it->d_name))
            measure(t, it->d_name);
    if (d)
        closedir(d);
}

static void remove_old(struct loop_work *work)
{
    struct code_trim *t = LOOP_OF(work, struct code_trim, work);
    DIR *d = opendir(t->dir);

    for (struct dirent *it; d && (it = readdir(d));) {
        _cleanup_(mem_freep) char *path =
            str_starts_with(it->d_name, OLD) ? mem_printf("%s/%s", t->dir, it->d_name) : NULL;

        if (path)
            (void)io_remove_tree(path, NULL);
    }
    if (d)
        closedir(d);
}

/* ---- on the loop */

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

/* A path of this node that lies in the folder code/NAME. */
static bool lies_in(const struct code_trim *t, const char *path, const char *name)
{
    size_t dir = strlen(t->dir), n = strlen(name);

    return path && !strncmp(path, t->dir, dir) && path[dir] == '/' &&
           !strncmp(path + dir + 1, name, n) && (!path[dir + 1 + n] || path[dir + 1 + n] == '/');
}

static bool in_use(const struct code_trim *t, const char *name)
{
    const struct raylet *r = t->r;
    char link[64], cwd[4096];

    for (const struct job *j = r->jobs; j; j = j->hh.next)
        if ((!j->ended || j->keep) &&
            (!strcmp(j->sha256, name) || lies_in(t, j->working_dir, name)))
            return true;
    for (const struct entrypoint *p = r->entrypoints; p; p = p->hh.next) {
        ssize_t n;

        if (p->exited || p->failed)
            continue;
        if (lies_in(t, p->dir, name))
            return true;
        snprintf(link, sizeof link, "/proc/%d/cwd", p->pid);
        n = p->pid ? readlink(link, cwd, sizeof cwd - 1) : 0;
        cwd[n > 0 ? n : 0] = 0;
        if (lies_in(t, cwd, name))
            return true;
    }
    return false;
}

static void removed(struct loop_work *work, int status)
{
    (void)status;
    LOOP_OF(work, struct code_trim, work)->armed = false;
    LOOP_OF(work, struct code_trim, work)->working = false;
}

static bool retire(const struct code_trim *t, const struct entry *e)
{
    static unsigned counter;
    _cleanup_(mem_freep) char *from = mem_printf("%s/%s", t->dir, e->name);
    _cleanup_(mem_freep) char *to = mem_printf("%s/" OLD "%d-%u", t->dir, (int)getpid(), counter++);
    struct stat st;

    /* It may have been used since it was measured. */
    return from && to && lstat(from, &st) == 0 && st.st_mtime == e->used_s && rename(from, to) == 0;
}

static void scanned(struct loop_work *work, int status)
{
    struct code_trim *t = LOOP_OF(work, struct code_trim, work);
    uint64_t most = t->r->config.code_cache_bytes, gone = 0;
    int64_t young = (int64_t)time(NULL) - YOUNG_S;

    if (status == 0 && t->list && t->total > most) {
        qsort(t->list, t->n, sizeof *t->list, by_use);
        for (size_t i = 0; i < t->n && t->total - gone > most; i++)
            if (t->list[i].used_s < young && !in_use(t, t->list[i].name) && retire(t, &t->list[i]))
                gone += t->list[i].bytes;
    }
    mem_free(STEAL(t->list));
    if (!gone) {
        t->armed = t->working = false;
        return;
    }
    log_info("code and packages that nobody uses were removed", "bytes=%llu left=%llu",
             (unsigned long long)gone, (unsigned long long)(t->total - gone));
    loop_work(t->r->loop, &t->work, remove_old, removed);
}

static void begin(struct loop_timer *timer)
{
    struct code_trim *t = LOOP_OF(timer, struct code_trim, timer);

    t->working = true;
    loop_work(t->r->loop, &t->work, scan, scanned);
}

void code_trim_later(struct raylet *r)
{
    struct code_trim *t = r->code_trim;

    if (r->stopping || r->config.code_cache_bytes == 0)
        return;
    if (!t) {
        t = r->code_trim = mem_new(struct code_trim);
        if (!t)
            return;
        t->r = r;
        t->dir = mem_printf("%s/code", r->config.session_dir);
    }
    if (t->armed || !t->dir)
        return;
    t->armed = true;
    loop_timer_start(r->loop, &t->timer, DELAY_MS, 0, begin);
}

void code_trim_free(struct raylet *r)
{
    struct code_trim *t = r->code_trim;

    if (!t)
        return;
    loop_timer_stop(&t->timer);
    while (t->working)
        loop_run_once(r->loop, 100);
    mem_free(t->list);
    mem_free(t->dir);
    mem_free(t);
    r->code_trim = NULL;
}
