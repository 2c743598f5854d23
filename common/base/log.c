/*
 * Levels (a global one and a small table of overrides), and composing a line on the stack.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

struct override {
    char module[LOG_MODULE_MAX]; /* covers this module and those below it */
    size_t size;                 /* length of the name */
    enum log_level level;
};

_Atomic int log_lowest__ = LOG_INFO;
static _Atomic int level_all = LOG_INFO;
static _Atomic int sink_fd = STDERR_FILENO;
static _Atomic(struct log_sink *) sink_set;

static pthread_mutex_t overrides_lock = PTHREAD_MUTEX_INITIALIZER;
static struct override overrides[LOG_OVERRIDES_MAX]; /* under overrides_lock */
static atomic_uint overrides_count;                  /* written under overrides_lock */

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

/* With overrides_lock held. */
static void update_lowest(void)
{
    int lowest = atomic_load(&level_all);

    for (unsigned i = 0; i < atomic_load(&overrides_count); i++)
        if ((int)overrides[i].level < lowest)
            lowest = (int)overrides[i].level;
    atomic_store(&log_lowest__, lowest);
}

void log_set_level(enum log_level level)
{
    pthread_mutex_lock(&overrides_lock);
    atomic_store(&level_all, (int)level);
    update_lowest();
    pthread_mutex_unlock(&overrides_lock);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load(&level_all);
}

/* Puts an override into a table of n; returns the new n, or an error. */
static int override_put(struct override *table, unsigned n, const char *module, size_t size,
                        enum log_level level)
{
    unsigned i;

    if (size == 0 || size >= LOG_MODULE_MAX)
        return -RAIA_ERR_INVALID;
    for (i = 0; i < n; i++)
        if (table[i].size == size && !memcmp(table[i].module, module, size))
            break;
    if (i == LOG_OVERRIDES_MAX)
        return -RAIA_ERR_LIMIT;
    memcpy(table[i].module, module, size);
    table[i].module[size] = '\0';
    table[i].size = size;
    table[i].level = level;
    return (int)(i == n ? n + 1 : n);
}

int log_set_module_level(const char *module, enum log_level level)
{
    int n;

    pthread_mutex_lock(&overrides_lock);
    n = override_put(overrides, atomic_load(&overrides_count), module, strlen(module), level);
    if (n >= 0) {
        atomic_store(&overrides_count, (unsigned)n);
        update_lowest();
    }
    pthread_mutex_unlock(&overrides_lock);
    return n < 0 ? n : 0;
}

void log_clear_module_levels(void)
{
    pthread_mutex_lock(&overrides_lock);
    atomic_store(&overrides_count, 0);
    update_lowest();
    pthread_mutex_unlock(&overrides_lock);
}

static int level_parse_n(const char *text, size_t size, enum log_level *ret_level)
{
    if (size == 7 && !memcmp(text, "warning", 7))
        size = 4;
    for (int i = 0; i <= LOG_OFF; i++)
        if (strlen(level_names[i]) == size && !memcmp(level_names[i], text, size)) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    return -RAIA_ERR_INVALID;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    return level_parse_n(text, strlen(text), ret_level);
}

const char *log_level_name(enum log_level level)
{
    return level <= LOG_OFF ? level_names[level] : "unknown";
}

int log_configure(const char *text, struct raia_error *e)
{
    struct override table[LOG_OVERRIDES_MAX];
    enum log_level all = log_get_level(), level;
    int n = 0;

    for (const char *p = text;;) {
        size_t size = strcspn(p, ",");
        const char *eq = memchr(p, '=', size), *name = eq ? eq + 1 : p;

        if (level_parse_n(name, size - (size_t)(name - p), &level) < 0)
            return err_set(e, RAIA_ERR_INVALID,
                           "log level '%.*s' in '%s': want debug, info, warn, error or off",
                           (int)(size - (size_t)(name - p)), name, text);
        if (eq)
            n = override_put(table, (unsigned)n, p, (size_t)(eq - p), level);
        else
            all = level;
        if (n < 0)
            return err_set(e, -n, "log levels '%s': module '%.*s': %s", text, (int)(eq - p), p,
                           n == -RAIA_ERR_LIMIT ? "too many modules" : "name is empty or too long");
        if (!p[size])
            break;
        p += size + 1;
    }
    pthread_mutex_lock(&overrides_lock);
    memcpy(overrides, table, (size_t)n * sizeof table[0]);
    atomic_store(&overrides_count, (unsigned)n);
    atomic_store(&level_all, (int)all);
    update_lowest();
    pthread_mutex_unlock(&overrides_lock);
    return 0;
}

void log_set_fd(int fd)
{
    atomic_store(&sink_fd, fd);
    atomic_store(&sink_set, NULL);
}

void log_set_sink(struct log_sink *sink)
{
    atomic_store(&sink_set, sink);
}

bool log_enabled(const char *module, enum log_level level)
{
    int limit = atomic_load_explicit(&level_all, memory_order_relaxed);

    if (atomic_load_explicit(&overrides_count, memory_order_relaxed)) {
        size_t best = 0;

        pthread_mutex_lock(&overrides_lock);
        for (unsigned i = 0; i < atomic_load(&overrides_count); i++) {
            const struct override *o = &overrides[i];
            if (o->size > best && !strncmp(module, o->module, o->size) &&
                (module[o->size] == '\0' || module[o->size] == '.')) {
                best = o->size;
                limit = (int)o->level;
            }
        }
        pthread_mutex_unlock(&overrides_lock);
    }
    return level < LOG_OFF && (int)level >= limit;
}

/*
 * Appends one byte, escaped if it would end the line or hide on a terminal. Returns the bytes
 * added, 0 if there is no room.
 */
static size_t put_escaped(char *to, size_t room, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char short_form = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\0';

    if (c >= 0x20 && c != 0x7f) {
        if (room < 1)
            return 0;
        to[0] = (char)c;
        return 1;
    }
    if (short_form) {
        if (room < 2)
            return 0;
        to[0] = '\\';
        to[1] = short_form;
        return 2;
    }
    if (room < 4)
        return 0;
    to[0] = '\\';
    to[1] = 'x';
    to[2] = hex[c >> 4];
    to[3] = hex[c & 15];
    return 4;
}

struct log_quoted log_quote(const char *s)
{
    struct log_quoted q;
    size_t n = 0, limit = sizeof q.text - 5; /* room for ..."\0 */

    q.text[n++] = '"';
    for (s = s ? s : "(null)"; *s; s++) {
        size_t added;
        if (*s == '"' || *s == '\\') {
            added = limit - n >= 2 ? 2 : 0;
            if (added) {
                q.text[n] = '\\';
                q.text[n + 1] = *s;
            }
        } else {
            added = put_escaped(q.text + n, limit - n, (unsigned char)*s);
        }
        if (!added) {
            memcpy(q.text + n, "...", 3);
            n += 3;
            break;
        }
        n += added;
    }
    q.text[n++] = '"';
    q.text[n] = '\0';
    return q;
}

static void line_out(const char *line, size_t size)
{
    struct log_sink *sink = atomic_load(&sink_set);
    int fd = atomic_load(&sink_fd);

    if (sink) {
        sink->write(sink, line, size);
        return;
    }
    while (size) {
        ssize_t n = write(fd, line, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        size -= (size_t)n;
    }
}

void log_write(enum log_level level, const char *module, const char *msg, const char *tail, ...)
{
    int saved = errno, n, m;
    char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
    size_t size = 0, raw_size;
    struct timespec t;
    struct tm tm;
    va_list ap;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    n = snprintf(raw, sizeof raw,
                 "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s module=%s msg=\"%s\"",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 t.tv_nsec / 1000000, log_level_name(level), module, msg);
    if (n < 0 || (size_t)n >= sizeof raw)
        n = n < 0 ? 0 : (int)sizeof raw - 1;
    va_start(ap, tail);
    errno = saved; /* for %m */
    m = vsnprintf(raw + n, sizeof raw - (size_t)n, tail, ap);
    va_end(ap);
    raw_size = strlen(raw);
    for (size_t i = 0; m >= 0 && i < raw_size; i++) {
        size_t added = put_escaped(line + size, sizeof line - 1 - size, (unsigned char)raw[i]);
        if (!added)
            break;
        size += added;
    }
    while (size && line[size - 1] == ' ')
        size--;
    line[size++] = '\n';
    line_out(line, size);
    errno = saved;
}

bool log_rl_pass(struct log_rl *rl, int64_t now_ns, uint64_t *ret_suppressed)
{
    int64_t next = atomic_load(&rl->next_ns);

    if (now_ns < next ||
        !atomic_compare_exchange_strong(&rl->next_ns, &next, now_ns + LOG_RL_INTERVAL_NS)) {
        atomic_fetch_add(&rl->suppressed, 1);
        return false;
    }
    *ret_suppressed = atomic_exchange(&rl->suppressed, 0);
    return true;
}

bool log_rl_pass_now(struct log_rl *rl, uint64_t *ret_suppressed)
{
    return log_rl_pass(rl, clock_now_ns(), ret_suppressed);
}
