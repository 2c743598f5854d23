/*
 * Tables (table.h).
 */
#include "cli/table.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define COLUMNS_MAX 16
#define AMOUNTS_MAX 65536 /* bytes of a cell before it is cut */
#define CELL_MAX    96    /* bytes of a cell; longer ones end in "..." */

/* {"CPU": 2, "memory": 1073741824} as "CPU 2, memory 1 GiB". */
static char *amounts(const struct json *object)
{
    struct buf b;
    buf_init(&b, AMOUNTS_MAX);
    JSON_FOREACH(it, object)
    {
        double v = 0;
        buf_put_text(&b, b.size ? ", " : "");
        buf_put_text(&b, json_key(it));
        if (json_double(it, &v) < 0)
            buf_printf(&b, " %s", json_str(it) ? json_str(it) : "?");
        else if (strstr(json_key(it), "memory"))
            buf_printf(&b, " %.4g GiB", v / 1073741824.0);
        else
            buf_printf(&b, " %g", v);
    }
    char *text = buf_steal(&b, NULL);
    buf_fini(&b);
    return text;
}

/* Milliseconds since 1970 as local time. */
static char *local_time(int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    return localtime_r(&s, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm)
               ? mem_strdup(text)
               : mem_printf("%lld", (long long)ms);
}

/* A value as a cell shows it: texts plain, times and amounts for people, the rest as JSON; nothing
 * as "-". */
static char *cell(const struct json *row, const char *path)
{
    const struct json *v = json_at(row, path);
    int64_t ms = 0;
    char *text;
    if (!v || json_is(v, JSON_NULL) || (json_str(v) && !*json_str(v)))
        return mem_strdup("-");
    if (json_str(v))
        text = mem_strdup(json_str(v));
    else if (json_is(v, JSON_OBJECT))
        text = json_size(v) ? amounts(v) : mem_strdup("-");
    else if ((str_ends_with(path, "_time") || str_ends_with(path, "_time_ms")) &&
             json_int(v, &ms) == 0)
        text = ms ? local_time(ms) : mem_strdup("-");
    else
        text = json_print(v, JSON_COMPACT, NULL);
    for (char *p = text; p && *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    if (text && strlen(text) > CELL_MAX)
        memcpy(text + CELL_MAX - 3, "...", 4);
    return text;
}

static int print_json(FILE *to, const struct json *v)
{
    _cleanup_(mem_freep) char *text = v ? json_print(v, JSON_PRETTY, NULL) : mem_strdup("[]");
    if (!text)
        return -RAIA_ERR_NOMEM;
    return fprintf(to, "%s\n", text) < 0 || fflush(to) ? -RAIA_ERR_IO : 0;
}

int table_print(FILE *to, const struct json *rows, const struct table_column *columns, bool json)
{
    if (json)
        return print_json(to, rows);
    size_t width[COLUMNS_MAX], n = 0;
    for (; columns[n].title && n < COLUMNS_MAX; n++)
        width[n] = strlen(columns[n].title);
    JSON_FOREACH(row, rows)
    {
        for (size_t i = 0; i < n; i++) {
            _cleanup_(mem_freep) char *text = cell(row, columns[i].path);
            if (!text)
                return -RAIA_ERR_NOMEM;
            if (strlen(text) > width[i])
                width[i] = strlen(text);
        }
    }
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%-*s%s", i + 1 < n ? (int)width[i] : 0, columns[i].title,
                i + 1 < n ? "  " : "\n");
    JSON_FOREACH(row, rows)
    {
        for (size_t i = 0; i < n; i++) {
            _cleanup_(mem_freep) char *text = cell(row, columns[i].path);
            fprintf(to, "%-*s%s", i + 1 < n ? (int)width[i] : 0, text ? text : "?",
                    i + 1 < n ? "  " : "\n");
        }
    }
    return fflush(to) ? -RAIA_ERR_IO : 0;
}

int table_print_one(FILE *to, const struct json *row, bool json)
{
    if (json)
        return print_json(to, row);
    size_t width = 0;
    JSON_FOREACH(it, row)
    if (strlen(json_key(it)) > width)
        width = strlen(json_key(it));
    JSON_FOREACH(it, row)
    {
        _cleanup_(mem_freep) char *text =
            json_str(it) ? mem_strdup(json_str(it)) : json_print(it, JSON_COMPACT, NULL);
        fprintf(to, "%-*s  %s\n", (int)width + 1, json_key(it), text ? text : "?");
    }
    return fflush(to) ? -RAIA_ERR_IO : 0;
}
