/*
 * The bounded list of findings.
 */
#include "api/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room that is kept for "; and 4294967295 more". */
#define TAIL 24

/* len, or less if a UTF-8 sequence would be left half at the end. */
static size_t cut_utf8(const char *text, size_t len)
{
    size_t lead = len;
    unsigned char c;

    while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return len;
    c = (unsigned char)text[lead - 1];
    return len - lead + 1 < (c >= 0xf0   ? 4u
                             : c >= 0xe0 ? 3u
                             : c >= 0xc0 ? 2u
                                         : 1u)
               ? lead - 1
               : len;
}

__attribute__((format(printf, 3, 0))) static void add(struct api_report *r, const char *path,
                                                      const char *fmt, va_list ap)
{
    char what[512];
    int n, room = (int)sizeof r->text - TAIL - (int)r->len;

    if (vsnprintf(what, sizeof what, fmt, ap) >= (int)sizeof what)
        what[cut_utf8(what, sizeof what - 1)] = 0;
    if (r->n++ == 0)
        snprintf(r->path, sizeof r->path, "%s", path);
    if (r->shown + 1 == r->n) { /* nothing was left out so far */
        n = snprintf(r->text + r->len, (size_t)room, "%s%s%s%s", r->len > 0 ? "; " : "", path,
                     what[0] && path[0] ? ": " : "", what);
        if (n < room) {
            r->len += (size_t)n;
            r->shown++;
        }
        if (r->shown == 0) { /* the first one is shown as far as it goes */
            r->len = cut_utf8(r->text, (size_t)room - 1);
            r->shown = 1;
        }
        r->text[r->len] = 0;
    }
    if (r->shown < r->n)
        snprintf(r->text + r->len, sizeof r->text - r->len, "; and %u more", r->n - r->shown);
}

void api_report_add(struct api_report *r, const char *path, const char *what_fmt, ...)
{
    va_list ap;

    va_start(ap, what_fmt);
    add(r, path, what_fmt, ap);
    va_end(ap);
}

void api_report_at(struct api_report *r, const char *base, const char *key, const char *what_fmt,
                   ...)
{
    char path[API_PATH_MAX];
    va_list ap;

    snprintf(path, sizeof path, "%s%s%s", base, key && key[0] && key[0] != '[' ? "." : "",
             key ? key : "");
    va_start(ap, what_fmt);
    add(r, path, what_fmt, ap);
    va_end(ap);
}
