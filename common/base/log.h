/*
 * Logging: one line of logfmt for each event.
 *
 *     #define LOG_MODULE "raylet.workers"          // before the first use in a .c; else "raia"
 *     log_info("worker exited", "pid=%d node=%s", pid, node);
 *     log_warn("cannot spill", "file=%s error=%s", LOG_Q(path), LOG_Q(e.text));
 *
 * gives
 *     ts=2024-05-01T10:00:00.123Z level=info module=raylet.workers msg="worker exited" pid=7
 * node=ab
 *
 * The message is a constant: what varies goes into the key=value tail, a literal printf format
 * (which may be left out). Text that may hold blanks or quotes is wrapped in LOG_Q. Control
 * characters are escaped everywhere, so that an event is always exactly one line; lines are cut at
 * LOG_LINE_MAX. The line is written with one write(2), so that lines of several processes do not
 * mix.
 *
 * Who logs: daemons. Libraries return errors and log at debug at most, so that a user's process,
 * whose level is info and whose sink is stderr unless it says otherwise, prints nothing.
 *
 * Threads: any, also while levels and the sink change. Cost of a line that is off: one relaxed
 * load. errno is preserved. Failure: none is reported; a line that cannot be written is lost.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raia/error.h"

#ifndef LOG_MODULE
#define LOG_MODULE "raia"
#endif

/* Longest line, its newline included. */
#define LOG_LINE_MAX 4096
/* Module overrides that can stand at one time, and the longest module name of one. */
#define LOG_OVERRIDES_MAX  32
#define LOG_MODULE_MAX     48
#define LOG_RL_INTERVAL_NS INT64_C(5000000000)

enum log_level { LOG_DEBUG = 0, LOG_INFO = 1, LOG_WARN = 2, LOG_ERROR = 3, LOG_OFF = 4 };

/* Where lines go. write gets a whole line with its newline; any thread; must not log. */
struct log_sink {
    void (*write)(struct log_sink *sink, const char *line, size_t size);
};

/* Sets the level of all modules that have no override. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * Sets the level of a module and of those below it ("raylet" covers "raylet.workers"; the longest
 * match wins). -INVALID: a name too long or empty; -LIMIT: LOG_OVERRIDES_MAX stand already.
 */
int log_set_module_level(const char *module, enum log_level level);
/* Removes all overrides. */
void log_clear_module_levels(void);

/*
 * Applies a text such as "info,raylet=debug,rpc=warn": a level for all, and overrides, which
 * replace those that stood. On failure nothing has changed.
 */
int log_configure(const char *text, struct raia_error *e);

/* "debug", "info", "warn" (or "warning"), "error", "off". -INVALID otherwise. */
int log_level_parse(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* Lines go to the descriptor, which stays the caller's (default: 2). Replaces a sink. */
void log_set_fd(int fd);
/* Lines go to the sink, which must live until another is set and no thread logs; NULL: the fd. */
void log_set_sink(struct log_sink *sink);

/* Whether a line of this module and level would be written. */
bool log_enabled(const char *module, enum log_level level);

/* A quoted, escaped, bounded copy for one log call; use through LOG_Q. */
struct log_quoted {
    char text[RAIA_ERROR_TEXT_MAX + 64]; /* with its quotes; "..." at the end if cut */
};
struct log_quoted log_quote(const char *s);
#define LOG_Q(s) (log_quote(s).text)

/* Behind the macros. The tail begins with a blank. */
void log_write(enum log_level level, const char *module, const char *msg, const char *tail, ...)
    __attribute__((format(printf, 4, 5)));

/* The state of one rate-limited place in the code. */
struct log_rl {
    _Atomic int64_t next_ns;     /* monotonic time from which the next line may be written */
    _Atomic uint64_t suppressed; /* lines not written since the last one */
};
/* True once in LOG_RL_INTERVAL_NS; *ret_suppressed: how many were not written before it. */
bool log_rl_pass(struct log_rl *rl, int64_t now_ns, uint64_t *ret_suppressed);
bool log_rl_pass_now(struct log_rl *rl, uint64_t *ret_suppressed);

extern _Atomic int log_lowest__; /* the lowest level on in any module; the cheap first test */

#define LOG(level, module, msg, ...)                                                               \
    do {                                                                                           \
        if ((int)(level) >= atomic_load_explicit(&log_lowest__, memory_order_relaxed) &&           \
            log_enabled((module), (level)))                                                        \
            log_write((level), (module), "" msg, " " __VA_ARGS__);                                 \
    } while (0)

#define LOG_RL__(level, module, msg, fmt, ...)                                                     \
    do {                                                                                           \
        static struct log_rl log_rl__;                                                             \
        uint64_t log_n__;                                                                          \
        if ((int)(level) >= atomic_load_explicit(&log_lowest__, memory_order_relaxed) &&           \
            log_enabled((module), (level)) && log_rl_pass_now(&log_rl__, &log_n__))                \
            log_write((level), (module), "" msg, " suppressed=%llu " fmt,                          \
                      (unsigned long long)log_n__, ##__VA_ARGS__);                                 \
    } while (0)

#define log_debug(msg, ...) LOG(LOG_DEBUG, LOG_MODULE, msg, __VA_ARGS__)
#define log_info(msg, ...)  LOG(LOG_INFO, LOG_MODULE, msg, __VA_ARGS__)
#define log_warn(msg, ...)  LOG(LOG_WARN, LOG_MODULE, msg, __VA_ARGS__)
#define log_error(msg, ...) LOG(LOG_ERROR, LOG_MODULE, msg, __VA_ARGS__)
/* At most one line in five seconds for each place in the code; says how many were left out. */
#define log_warn_rl(msg, ...)  LOG_RL__(LOG_WARN, LOG_MODULE, msg, "" __VA_ARGS__)
#define log_error_rl(msg, ...) LOG_RL__(LOG_ERROR, LOG_MODULE, msg, "" __VA_ARGS__)

#endif
