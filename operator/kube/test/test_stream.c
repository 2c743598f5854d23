/*
 * The lines of a watch.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kube/watch_stream.h"

static char seen[256];
static int stop_at;

static int on_event(void *arg, enum kube_event type, const struct json *object,
                    struct raia_error *e)
{
    (void)arg, (void)e;
    const char *name = json_str(json_at(object, "metadata.name"));
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%d%s ", (int)type, name ? name : "-");
    return stop_at && --stop_at == 0 ? -RAIA_ERR_STATE : 0;
}

static int feed(const char *text, size_t piece, size_t max, struct raia_error *e)
{
    struct kube_stream s;
    int r = 0;
    size_t left = strlen(text);
    seen[0] = '\0';
    kube_stream_init(&s, max, NULL);
    while (left && r == 0) {
        size_t n = piece < left ? piece : left;
        r = kube_stream_feed(&s, text, n, on_event, NULL, e);
        text += n;
        left -= n;
    }
    kube_stream_done(&s);
    return r;
}

#define EVENT(type, name)                                                                          \
    "{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name "\"}}}"

/* Events come out the same however the bytes are cut. */
Test(stream, cut_anywhere)
{
    static const char text[] = EVENT("ADDED", "a") "\n" EVENT("MODIFIED", "b") "\r\n\n" EVENT(
        "DELETED", "c") "\n" EVENT("BOOKMARK", "d") "\n" EVENT("ERROR", "e") "\n{\"type\":\"AD";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        cr_assert_eq(feed(text, piece, 100, NULL), 0);
        cr_assert_str_eq(seen, "0a 1b 2c 3d 4e ", "in pieces of %zu", piece);
    }
}

/* A line over the limit, whole or in pieces, and one that is no event, end the stream. */
Test(stream, refused)
{
    static const char *const bad[] = {"{\n",
                                      "[]\n",
                                      "{}\n",
                                      "{\"type\":\"ADDED\"}\n",
                                      "null\n",
                                      "{\"type\":\"ADDED\",\"object\":[]}\n",
                                      "{\"type\":\"OTHER\",\"object\":{}}\n"};
    struct raia_error e = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(feed(bad[i], 3, 1000, &e), -RAIA_ERR_PROTOCOL, "%s", bad[i]);
    cr_assert_eq(feed(EVENT("ADDED", "a") "\n", 1000, 20, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(feed(EVENT("ADDED", "a"), 7, 20, &e), -RAIA_ERR_LIMIT);
    cr_assert_not_null(strstr(e.text, "20 bytes"), "%s", e.text);
    stop_at = 2;
    cr_assert_eq(feed(EVENT("ADDED", "a") "\n" EVENT("ADDED", "b") "\n" EVENT("ADDED", "c") "\n",
                      1000, 200, &e),
                 -RAIA_ERR_STATE);
    cr_assert_str_eq(seen, "0a 0b ");
}

/* An object that is nested as deeply as the server takes it does not stop the others. */
Test(stream, nested_deeply)
{
    enum { DEPTH = 5000, ROOM = DEPTH * 6 + 500 };
    static char text[ROOM];
    size_t n =
        (size_t)snprintf(text, sizeof text, "%s",
                         EVENT("ADDED", "a") "\n{\"type\":\"ADDED\",\"object\":{\"metadata\":"
                                             "{\"name\":\"deep\\u0000\"},\"spec\":");
    for (int i = 0; i < DEPTH; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "{\"x\":");
    text[n++] = '1';
    memset(text + n, '}', DEPTH + 2);
    n += DEPTH + 2;
    snprintf(text + n, sizeof text - n, "\n" EVENT("ADDED", "c") "\n");
    cr_assert_eq(feed(text, 1000, ROOM, NULL), 0);
    cr_assert_str_eq(seen, "0a 0deep\xef\xbf\xbd 0c ");
}
