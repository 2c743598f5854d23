/*
 * Writing JSON piece by piece, without a tree: for long lists and streamed replies.
 *
 *     struct json_writer w;
 *     json_writer_init(&w, JSON_COMPACT, 64 << 20);
 *     jw_array(&w);
 *     for (...) {
 *         jw_object(&w);
 *         jw_key(&w, "id");
 *         jw_str(&w, id);
 *         jw_end(&w);
 *     }
 *     jw_end(&w);
 *     text = json_writer_take(&w, &len);      // NULL if anything above failed
 *     json_writer_done(&w);
 *
 * Commas, colons, escaping and indentation are the writer's. Errors stick: calls after the first
 * failure do nothing, and json_writer_error() tells the code. With json_writer_stream() the text
 * goes to a function in pieces of about 16 KiB instead of growing.
 * Ownership: the writer owns its buffer until taken. Threads: one at a time.
 * Failure: -NOMEM; -LIMIT beyond max_bytes or 64 levels; -STATE for a value where none can be (a
 * member without a key, an end too many); what the sink returned. Bytes that are not UTF-8 are
 * written as U+FFFD, so that the output is always JSON.
 */
#ifndef JSON_JSON_WRITER_H
#define JSON_JSON_WRITER_H

#include "json/json.h"

/* Takes `len` bytes; 0, or a negative code that stops the writer. */
typedef int (*json_sink)(void *arg, const char *data, size_t len);

struct json_writer {
    char *buf;             /* text not yet taken or flushed */
    size_t len;            /* bytes of it */
    size_t cap;            /* bytes allocated */
    size_t max_bytes;      /* limit of len, or of the total when streaming */
    size_t total;          /* bytes given to the sink so far */
    int error;             /* 0, or the first failure, negative */
    unsigned depth;        /* open arrays and objects */
    uint64_t is_object;    /* bit per level: it is an object */
    uint64_t not_empty;    /* bit per level: it has a child */
    bool after_key;        /* a key was written, its value is due */
    bool complete;         /* the top value is finished */
    enum json_style style; /* compact or pretty */
    json_sink sink;        /* NULL: the text is kept */
    void *sink_arg;        /* handed to sink */
};

void json_writer_init(struct json_writer *w, enum json_style style, size_t max_bytes);
void json_writer_stream(struct json_writer *w, json_sink sink, void *arg);
void json_writer_done(void *w); /* usable with _cleanup_ */
int json_writer_error(const struct json_writer *w);

void jw_object(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_end(struct json_writer *w); /* closes the innermost */
void jw_key(struct json_writer *w, const char *key);
void jw_str(struct json_writer *w, const char *v); /* NULL writes null */
void jw_strn(struct json_writer *w, const char *v, size_t len);
void jw_int(struct json_writer *w, int64_t v);
void jw_uint(struct json_writer *w, uint64_t v);
void jw_double(struct json_writer *w, double v); /* shortest text that reads back the same */
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_tree(struct json_writer *w, const struct json *n); /* NULL writes null */
/* Key and value in one. */
void jw_kstr(struct json_writer *w, const char *key, const char *v);
void jw_kint(struct json_writer *w, const char *key, int64_t v);
void jw_kdouble(struct json_writer *w, const char *key, double v);
void jw_kbool(struct json_writer *w, const char *key, bool v);

/* Ends streaming: hands the rest to the sink. 0, or the first failure (-STATE if incomplete). */
int json_writer_flush(struct json_writer *w);
/* The finished text, NUL-terminated, to be freed with mem_free; NULL on failure or if values are
 * still open. ret_len may be NULL. */
char *json_writer_take(struct json_writer *w, size_t *ret_len);

#endif
