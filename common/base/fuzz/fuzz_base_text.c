/*
 * Feeds texts to everything in base that reads texts, and checks that what was read writes back to
 * the same value. The first byte chooses the reader.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void numbers(const char *text)
{
    char again[STR_NUMBER_MAX];
    uint64_t u, u2;
    int64_t i, i2;
    double d, d2;
    bool b;

    if (str_to_size(text, &u) == 0)
        must(str_to_size(str_from_size(u, again), &u2) == 0 && u == u2, "size");
    if (str_to_duration(text, &i) == 0)
        must(str_to_duration(str_from_duration(i, again), &i2) == 0 && i == i2, "duration");
    if (str_to_double(text, &d) == 0)
        must(str_to_double(str_from_double(d, again), &d2) == 0 && d == d2, "double");
    (void)str_to_i64(text, &i);
    (void)str_to_bool(text, &b);
}

static void ids(const char *text)
{
    struct object_id id;
    char again[OBJECT_ID_TEXT_MAX];

    if (object_id_from_text(text, &id) == 0)
        must(strcasecmp(object_id_to_text(&id, again), text) == 0, "object id");
}

static void records(const uint8_t *data, size_t size)
{
    struct reader r;
    const uint8_t *blob;
    const char *text;
    size_t n, used = 0;
    uint16_t v;

    reader_init(&r, data, size);
    while (!r.err) {
        n = 0;
        if (reader_blob(&r, 1000, &blob, &n) == 0)
            used += 4 + n;
        if (reader_str(&r, 10, &text, &n) == 0)
            used += 4 + n;
        if (reader_u16(&r, &v) == 0)
            used += 2;
        must(used <= size, "the reader gave more than there is");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct raia_error e = {0};
    char *text;

    if (size == 0)
        return 0;
    text = mem_strndup((const char *)data + 1, size - 1);
    if (!text)
        return 0;
    switch (data[0]) {
    case 'n':
        numbers(text);
        break;
    case 'i':
        ids(text);
        break;
    case 'l':
        (void)log_configure(text, &e);
        break;
    case 'f':
        (void)FAULT("fuzz.point");
        (void)fault_configure(text, &e);
        fault_disarm_all();
        break;
    case 'q': {
        struct log_quoted q = log_quote(text);
        must(!strchr(q.text, '\n') && strlen(q.text) >= 2, "quoted");
        break;
    }
    default:
        records(data + 1, size - 1);
    }
    mem_free(text);
    return 0;
}
