/*
 * The streaming writer.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "json/json_writer.h"

/* Commas, colons and escapes come by themselves, compact and pretty. */
Test(json_writer, styles)
{
    static const char *const want[] = {
        "{\"a\":[1,\"x\\n\\u0001\"],\"b\":{},\"c\":[],\"d\":0.1,\"e\":true,\"f\":null}",
        "{\n  \"a\": [\n    1,\n    \"x\\n\\u0001\"\n  ],\n  \"b\": {},\n  \"c\": [],\n"
        "  \"d\": 0.1,\n  \"e\": true,\n  \"f\": null\n}"};
    for (int style = 0; style < 2; style++) {
        struct json_writer w;
        json_writer_init(&w, (enum json_style)style, 1000);
        jw_object(&w);
        jw_key(&w, "a");
        jw_array(&w);
        jw_int(&w, 1);
        jw_str(&w, "x\n\x01");
        jw_end(&w);
        jw_key(&w, "b");
        jw_object(&w);
        jw_end(&w);
        jw_key(&w, "c");
        jw_array(&w);
        jw_end(&w);
        jw_kdouble(&w, "d", 0.1);
        jw_kbool(&w, "e", true);
        jw_kstr(&w, "f", NULL);
        jw_end(&w);
        size_t len = 0;
        char *text = json_writer_take(&w, &len);
        cr_assert_not_null(text);
        cr_assert_str_eq(text, want[style]);
        cr_assert_eq(len, strlen(text));
        mem_free(text);
        json_writer_done(&w);
    }
}

/* A call in the wrong place fails, and nothing after it is written. */
Test(json_writer, order)
{
    for (int i = 0; i < 6; i++) {
        struct json_writer w;
        json_writer_init(&w, JSON_COMPACT, 1000);
        if (i < 4)
            jw_object(&w);
        if (i == 0)
            jw_int(&w, 1); /* no key */
        if (i == 1) {
            jw_key(&w, "a");
            jw_end(&w); /* no value */
        }
        if (i == 2) {
            jw_key(&w, "a");
            jw_key(&w, "b"); /* two keys */
        }
        if (i == 4)
            jw_end(&w); /* nothing open */
        if (i == 5) {
            jw_int(&w, 1);
            jw_int(&w, 2); /* two top values */
        }
        cr_assert_null(json_writer_take(&w, NULL), "%d", i); /* 3: still open */
        cr_assert_eq(json_writer_error(&w), -RAIA_ERR_STATE, "%d", i);
        json_writer_done(&w);
    }
}

/* Bytes and depth are limited. */
Test(json_writer, limits)
{
    struct json_writer w;
    json_writer_init(&w, JSON_COMPACT, 6);
    jw_str(&w, "1234");
    cr_assert_eq(json_writer_error(&w), 0);
    json_writer_done(&w);
    json_writer_init(&w, JSON_COMPACT, 5);
    jw_str(&w, "1234");
    cr_assert_eq(json_writer_error(&w), -RAIA_ERR_LIMIT);
    json_writer_done(&w);
    json_writer_init(&w, JSON_COMPACT, 1000);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        jw_array(&w);
    cr_assert_eq(json_writer_error(&w), -RAIA_ERR_LIMIT);
    json_writer_done(&w);
}

struct sink {
    size_t calls, bytes, fail_after;
    uint64_t hash;
};

static int take(void *arg, const char *data, size_t len)
{
    struct sink *s = arg;
    if (s->fail_after && s->calls == s->fail_after)
        return -RAIA_ERR_CANCELED;
    s->calls++;
    s->bytes += len;
    for (size_t i = 0; i < len; i++)
        s->hash = s->hash * 31 + (unsigned char)data[i];
    return 0;
}

static void numbers(struct json_writer *w)
{
    jw_array(w);
    for (int i = 0; i < 20000; i++)
        jw_int(w, i);
    jw_end(w);
}

/* Streaming hands over the same bytes in several pieces and keeps little; a sink can stop it. */
Test(json_writer, stream)
{
    struct json_writer w;
    json_writer_init(&w, JSON_COMPACT, 1 << 20);
    numbers(&w);
    size_t len = 0;
    char *text = json_writer_take(&w, &len);
    struct sink whole = {0}, parts = {0}, stop = {.fail_after = 2};
    take(&whole, text, len);
    mem_free(text);
    json_writer_done(&w);

    json_writer_init(&w, JSON_COMPACT, 1 << 20);
    json_writer_stream(&w, take, &parts);
    numbers(&w);
    cr_assert_eq(json_writer_flush(&w), 0);
    cr_assert_lt(w.cap, 64 << 10);
    cr_assert_gt(parts.calls, 3);
    cr_assert_eq(parts.bytes, whole.bytes);
    cr_assert_eq(parts.hash, whole.hash);
    json_writer_done(&w);

    json_writer_init(&w, JSON_COMPACT, 1 << 20);
    json_writer_stream(&w, take, &stop);
    numbers(&w);
    cr_assert_eq(json_writer_flush(&w), -RAIA_ERR_CANCELED);
    cr_assert_eq(stop.calls, 2);
    json_writer_done(&w);
}
