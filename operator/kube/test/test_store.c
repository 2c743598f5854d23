/*
 * The store: what is kept, what is told, what is found.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kube/store.h"

static char log_text[1024];

static void on_change(void *arg, enum kube_change c, const struct kube_object *old,
                      const struct kube_object *now)
{
    (void)arg;
    size_t n = strlen(log_text);
    snprintf(log_text + n, sizeof log_text - n, "%c%s/%s ", "ACR"[c], (now ? now : old) -> key,
             (now ? now : old) -> uid);
}

static void assert_text(const struct kube_object *o, const char *want)
{
    char *text = kube_object_text(o);
    cr_assert_str_eq(text, want);
    mem_free(text);
}

static struct json *parse(const char *text)
{
    struct json *j = NULL;
    struct raia_error e = {0};
    cr_assert_eq(json_parse(text, strlen(text), NULL, &j, &e), 0, "%s", e.text);
    return j;
}

static int put(struct kube_store *s, const char *text)
{
    struct json *j = parse(text);
    int r = kube_store_put(s, j, NULL);
    json_free(j);
    return r;
}

static int del(struct kube_store *s, const char *text)
{
    struct json *j = parse(text);
    int r = kube_store_remove(s, j, NULL);
    json_free(j);
    return r;
}

static const char *const keep[] = {"metadata.labels", "status.phase",
                                   "status.containerStatuses.ready", "spec"};
static const struct kube_index indexes[] = {{.kind = KUBE_BY_OWNER},
                                            {.kind = KUBE_BY_LABEL, .label = "app"}};

static struct kube_store *fresh(size_t n_keep)
{
    struct kube_store *s = NULL;
    struct kube_store_options o = {keep, n_keep, indexes, 2};
    log_text[0] = '\0';
    cr_assert_eq(kube_store_new(&o, on_change, NULL, &s, NULL), 0);
    return s;
}

#define POD(name, uid, rv, more)                                                                   \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name                       \
    "\",\"namespace\":\"n\",\"uid\":\"" uid "\",\"resourceVersion\":\"" rv                         \
    "\",\"managedFields\":[{}]" more "}"

/* Only what was asked for stays, through arrays too, and it is little. */
Test(store, trims)
{
    struct kube_store *s = fresh(4);
    cr_assert_eq(
        put(s,
            POD("a", "u1", "9",
                ",\"labels\":{\"app\":\"x\"},\"annotations\":{\"b\":\"c\"}") ",\"spec\":{\"x\":[1,{"
                                                                             "\"y\":2}]},"
                                                                             "\"status\":{"
                                                                             "\"phase\":"
                                                                             "\"Running\","
                                                                             "\"podIP\":\"1.2.3."
                                                                             "4\","
                                                                             "\"containerStatuses\""
                                                                             ":[{\"ready\":true,"
                                                                             "\"name\":\"c\"},"
                                                                             "{\"name\":\"d\"}]}}"),
        0);
    const struct kube_object *o = kube_store_get(s, "n", "a");
    assert_text(o, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u1\","
                   "\"labels\":{\"app\":\"x\"}},\"spec\":{\"x\":[1,{\"y\":2}]},"
                   "\"status\":{\"phase\":\"Running\",\"containerStatuses\":["
                   "{\"ready\":true},{}]}}");
    cr_assert_str_eq(o->resource_version, "9");
    cr_assert_null(kube_store_get(s, NULL, "a"));
    cr_assert_null(kube_store_get(s, "m", "a"));
    struct json *tree = NULL;
    cr_assert_eq(kube_object_tree(o, &tree, NULL), 0);
    cr_assert_str_eq(json_str(json_at(tree, "status.phase")), "Running");
    json_free(tree);
    kube_store_free(s);
    s = fresh(0);
    put(s, POD("a", "u1", "9", "") ",\"data\":{\"k\":\"v\"}}");
    assert_text(kube_store_get(s, "n", "a"),
                "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u1\"},"
                "\"data\":{\"k\":\"v\"}}");
    cr_assert_lt(put(s, "{\"metadata\":{}}"), 0);
    cr_assert_lt(del(s, "{}"), 0);
    kube_store_free(s);
}

/* Each change of what is kept is told once; a new version of the same is none; another uid is a
 * removal and an addition; an old incarnation's end does not remove the new one. */
Test(store, tells)
{
    struct kube_store *s = fresh(4);
    put(s, POD("a", "u1", "1", "") ",\"status\":{\"phase\":\"Pending\"}}");
    put(s, POD("a", "u1", "1", "") ",\"status\":{\"phase\":\"Pending\"}}");
    put(s, POD("a", "u1", "2", "") ",\"status\":{\"phase\":\"Pending\",\"podIP\":\"1\"}}");
    cr_assert_str_eq(kube_store_get(s, "n", "a")->resource_version, "2");
    put(s, POD("a", "u1", "3", "") ",\"status\":{\"phase\":\"Running\"}}");
    cr_assert_str_eq(log_text, "An/a/u1 Cn/a/u1 ");
    put(s, POD("a", "u1", "4",
               ",\"deletionTimestamp\":\"2026\"") ",\"status\":{\"phase\":\"Running\"}}");
    cr_assert(kube_store_get(s, "n", "a")->deleting);
    put(s, POD("a", "u2", "5", "") "}");
    del(s, POD("a", "u1", "4", "") "}");
    cr_assert_not_null(kube_store_get(s, "n", "a"));
    del(s, POD("a", "u2", "6", "") "}");
    del(s, POD("a", "u2", "6", "") "}");
    cr_assert_str_eq(log_text, "An/a/u1 Cn/a/u1 Cn/a/u1 Rn/a/u1 An/a/u2 Rn/a/u2 ");
    cr_assert_eq(kube_store_size(s), 0);
    cr_assert_eq(kube_store_bytes(s), 0);
    kube_store_free(s);
}

/* What a full list does not show is removed, and told. */
Test(store, sweeps)
{
    struct kube_store *s = fresh(4);
    kube_store_begin(s);
    put(s, POD("a", "u1", "1", "") "}");
    put(s, POD("b", "u2", "1", "") "}");
    kube_store_sweep(s);
    kube_store_begin(s);
    put(s, POD("b", "u2", "1", "") "}");
    cr_assert_eq(kube_store_size(s), 2, "not before it is complete");
    kube_store_sweep(s);
    cr_assert_str_eq(log_text, "An/a/u1 An/b/u2 Rn/a/u1 ");
    kube_store_free(s);
}

static unsigned count(const struct kube_store *s, unsigned i, const char *ns, const char *value)
{
    unsigned n = 0;
    KUBE_INDEX_FOREACH(o, s, i, ns, value) n++;
    return n;
}

/* Objects are found by the controlling owner and by a label, as these change. */
Test(store, indexes)
{
    static const char owner[] = ",\"ownerReferences\":[{\"uid\":\"o0\"},{\"uid\":\"o1\","
                                "\"controller\":true}]";
    struct kube_store *s = fresh(4);
    char text[400];
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\"%s,"
             "\"labels\":{\"app\":\"x\"}}}",
             owner);
    put(s, text);
    put(s, POD("b", "u2", "1", ",\"labels\":{\"app\":\"x\"}") "}");
    cr_assert_eq(count(s, 0, NULL, "o1"), 1);
    cr_assert_eq(count(s, 0, NULL, "o0"), 0);
    cr_assert_eq(count(s, 1, "n", "x"), 2);
    cr_assert_eq(count(s, 1, "m", "x"), 0);
    cr_assert_eq(count(s, 1, NULL, "x"), 0);
    cr_assert_eq(count(s, 7, NULL, "x"), 0);
    put(s, POD("b", "u2", "2", ",\"labels\":{\"app\":\"y\"}") "}");
    cr_assert_eq(count(s, 1, "n", "x"), 1);
    cr_assert_eq(count(s, 1, "n", "y"), 1);
    put(s, POD("b", "u3", "3", ",\"labels\":{\"app\":\"y\"}") "}");
    cr_assert_eq(count(s, 1, "n", "y"), 1, "another incarnation with the same label");
    put(s, POD("b", "u3", "4", "") "}");
    cr_assert_eq(count(s, 1, "n", "y"), 0);
    del(s, text);
    cr_assert_eq(count(s, 1, "n", "x"), 0);
    kube_store_free(s);
}

/* When memory runs out, a put says so and the store is as it was; nothing leaks. */
Test(store, nomem)
{
    struct json *a = parse(POD("a", "u1", "1", ",\"labels\":{\"app\":\"x\"}") "}");
    struct json *b = parse(POD("a", "u1", "2", ",\"labels\":{\"app\":\"y\"}") "}");
    int bad = 0, r = -1;
    for (uint64_t n = 1; r < 0; n++) {
        struct kube_store *s = fresh(4);
        cr_assert_eq(kube_store_put(s, a, NULL), 0);
        mem_fail_nth(n);
        r = kube_store_put(s, b, NULL);
        mem_fail_nth(0);
        if (r < 0) {
            bad++;
            cr_assert_eq(r, -RAIA_ERR_NOMEM);
            cr_assert_str_eq(kube_store_get(s, "n", "a")->resource_version, "1");
            cr_assert_eq(count(s, 1, "n", "x"), 1);
        }
        cr_assert_eq(count(s, 1, "n", "y"), r < 0 ? 0 : 1);
        kube_store_free(s);
    }
    cr_assert_gt(bad, 3);
    json_free(a);
    json_free(b);
}

/* Many objects that are alike take little room, and each still has its own text; the same content
 * is no change, whoever packed it. */
Test(store, packed)
{
    static const char form[] =
        POD("a%03d", "uid-%03d", "%d",
            ",\"labels\":{\"app\":\"a-label-that-all-of-them-have\"}") ",\"spec\":{\"image\":"
                                                                       "\"registry.example.org/"
                                                                       "something/"
                                                                       "long:1.2.3\",\"n\":%d}}";
    struct kube_store *s = fresh(4);
    char text[600];
    size_t plain = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 300; i++) {
            snprintf(text, sizeof text, form, i, i, i + round, i);
            log_text[0] = '\0';
            cr_assert_eq(put(s, text), 0);
            cr_assert_eq(log_text[0] != '\0', round == 0, "%s", log_text);
            plain += round == 0 && i == 10 ? kube_store_bytes(s) / 11 : 0;
        }
    cr_assert_lt(kube_store_bytes(s) / 300, plain - 60);
    for (int i = 0; i < 300; i++) {
        char name[8];
        snprintf(name, sizeof name, "a%03d", i);
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"name\":\"a%03d\",\"namespace\":\"n\",\"uid\":\"uid-%03d\","
                 "\"labels\":{\"app\":\"a-label-that-all-of-them-have\"}},"
                 "\"spec\":{\"image\":\"registry.example.org/something/long:1.2.3\",\"n\":%d}}",
                 i, i, i);
        assert_text(kube_store_get(s, "n", name), text);
    }
    kube_store_free(s);
}
