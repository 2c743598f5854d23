/*
 * The table of armed points. A point is looked up only while some are armed.
 */
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/prng.h"
#include "base/str.h"

struct armed {
    const char *name; /* in the section of names */
    struct fault_spec spec;
    struct prng prng;
    uint64_t hits;  /* since armed */
    uint64_t fired; /* of them */
};

/* Made by the linker if any file of the program has a FAULT. */
extern const char *const __start_raia_faults[] __attribute__((weak, visibility("hidden")));
extern const char *const __stop_raia_faults[] __attribute__((weak, visibility("hidden")));

atomic_uint fault_armed__;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct armed table[FAULT_ARMED_MAX]; /* under lock; the first fault_armed__ of them */

/* With the lock held. */
static struct armed *find_armed(const char *name)
{
    for (unsigned i = 0; i < atomic_load(&fault_armed__); i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

/* The first place of that name in the section; NULL if there is none. */
static const char *const *find_name(const char *name)
{
    for (const char *const *p = __start_raia_faults; p < __stop_raia_faults; p++)
        if (!strcmp(*p, name))
            return p;
    return NULL;
}

int fault_arm(const char *name, const struct fault_spec *spec, struct raia_error *e)
{
    const char *const *known = find_name(name);
    struct armed *a;
    int r = 0;

    if (!known)
        return err_set(e, RAIA_ERR_NOT_FOUND, "fault '%s': this program has no such point", name);
    if ((spec->action == FAULT_ERROR && (spec->code <= 0 || spec->code > RAIA_ERR_MAX)) ||
        (spec->action == FAULT_DELAY && spec->delay_ns <= 0) || spec->action > FAULT_DELAY ||
        !(spec->probability >= 0 && spec->probability <= 1))
        return err_set(e, RAIA_ERR_INVALID, "fault '%s': bad action, code, delay or probability",
                       name);
    pthread_mutex_lock(&lock);
    a = find_armed(name);
    if (!a && atomic_load(&fault_armed__) == FAULT_ARMED_MAX) {
        r = err_set(e, RAIA_ERR_LIMIT, "fault '%s': %d points are armed already", name,
                    FAULT_ARMED_MAX);
    } else {
        bool new = !a;
        if (new)
            a = &table[atomic_load(&fault_armed__)];
        *a = (struct armed){.name = *known, .spec = *spec};
        prng_seed(&a->prng, spec->seed);
        if (new)
            atomic_fetch_add(&fault_armed__, 1);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

void fault_disarm(const char *name)
{
    struct armed *a;

    pthread_mutex_lock(&lock);
    a = find_armed(name);
    if (a) {
        unsigned last = atomic_fetch_sub(&fault_armed__, 1) - 1;
        *a = table[last];
    }
    pthread_mutex_unlock(&lock);
}

void fault_disarm_all(void)
{
    pthread_mutex_lock(&lock);
    atomic_store(&fault_armed__, 0);
    pthread_mutex_unlock(&lock);
}

int fault_hit__(const char *name)
{
    struct fault_spec spec;
    struct armed *a;
    bool fire = false;
    int saved = errno;

    pthread_mutex_lock(&lock);
    a = find_armed(name);
    if (a) {
        spec = a->spec;
        fire = a->hits++ >= spec.after && (!spec.times || a->fired < spec.times) &&
               (spec.probability <= 0 || prng_chance(&a->prng, spec.probability));
        a->fired += fire;
    }
    pthread_mutex_unlock(&lock);
    if (!fire)
        return 0;
    if (spec.action == FAULT_CRASH)
        _exit(FAULT_EXIT_STATUS);
    if (spec.action == FAULT_ERROR)
        return -spec.code;
    struct timespec until = clock_timespec(clock_add_ns(clock_now_ns(), spec.delay_ns));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    errno = saved;
    return 0;
}

static int parse_action(const char *text, struct fault_spec *spec)
{
#define CODE(name, number, retryable, t) {#name, number},
    static const struct {
        const char *name;
        int code;
    } codes[] = {RAIA_ERRORS(CODE)};
#undef CODE

    if (!strcmp(text, "crash")) {
        spec->action = FAULT_CRASH;
        return 0;
    }
    if (str_starts_with(text, "delay:")) {
        spec->action = FAULT_DELAY;
        return str_to_duration(text + 6, &spec->delay_ns);
    }
    spec->action = FAULT_ERROR;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (str_starts_with(text, "error:") && !strcmp(text + 6, codes[i].name))
            spec->code = codes[i].code;
    return spec->code ? 0 : -RAIA_ERR_INVALID;
}

static int parse_condition(const char *text, struct fault_spec *spec)
{
    if (str_starts_with(text, "after="))
        return str_to_u64(text + 6, &spec->after);
    if (str_starts_with(text, "times="))
        return str_to_u64(text + 6, &spec->times);
    if (str_starts_with(text, "p="))
        return str_to_double(text + 2, &spec->probability);
    if (str_starts_with(text, "seed="))
        return str_to_u64(text + 5, &spec->seed);
    return -RAIA_ERR_INVALID;
}

/* One "NAME=ACTION,..."; changes the text. */
static int configure_one(char *text, struct raia_error *e)
{
    struct fault_spec spec = {.action = FAULT_CRASH};
    char *value = strchr(text, '='), *rest, *part;

    if (!value)
        return err_set(e, RAIA_ERR_INVALID, "fault '%s': want NAME=ACTION", text);
    *value++ = '\0';
    if (!strcmp(value, "off")) {
        fault_disarm(text);
        return 0;
    }
    part = strtok_r(value, ",", &rest);
    if (!part || parse_action(part, &spec) < 0)
        return err_set(e, RAIA_ERR_INVALID,
                       "fault '%s': '%s': want off, crash, error:CODE or delay:DURATION", text,
                       part ? part : "");
    while ((part = strtok_r(NULL, ",", &rest)))
        if (parse_condition(part, &spec) < 0)
            return err_set(e, RAIA_ERR_INVALID,
                           "fault '%s': '%s': want after=N, times=N, p=PROBABILITY or seed=N", text,
                           part);
    return fault_arm(text, &spec, e);
}

int fault_configure(const char *text, struct raia_error *e)
{
    while (*text) {
        char one[256];
        size_t n = strcspn(text, ";");
        int r;

        if (n >= sizeof one)
            return err_set(e, RAIA_ERR_LIMIT, "fault: a text of %zu bytes is too long", n);
        memcpy(one, text, n);
        one[n] = '\0';
        r = n ? configure_one(one, e) : 0;
        if (r < 0)
            return r;
        text += n + (text[n] == ';');
    }
    return 0;
}

void fault_list(fault_list_fn fn, void *ctx)
{
    for (const char *const *p = __start_raia_faults; p < __stop_raia_faults; p++) {
        struct armed *a, copy = {.hits = 0};
        bool armed;

        if (find_name(*p) != p) /* the same name at two places is one point */
            continue;
        pthread_mutex_lock(&lock);
        a = find_armed(*p);
        armed = a != NULL;
        if (a)
            copy = *a;
        pthread_mutex_unlock(&lock);
        fn(ctx, *p, armed, copy.hits, copy.fired);
    }
}
