/*
 * Quantities.
 */
#include "objects.h"

#include "api/quantity.h"

static int64_t milli(const char *text)
{
    int64_t v = -1;
    cr_assert_eq(quantity_parse(text, &v), 0, "%s", text);
    return v;
}

/* Every suffix of Kubernetes, fractions and exponents; what is finer is rounded up. */
Test(quantity, values)
{
    cr_assert_eq(milli("0"), 0);
    cr_assert_eq(milli("1"), 1000);
    cr_assert_eq(milli("500m"), 500);
    cr_assert_eq(milli("0.5"), 500);
    cr_assert_eq(milli(".5"), 500);
    cr_assert_eq(milli("2."), 2000);
    cr_assert_eq(milli("1.5Gi"), 1500LL << 30);
    cr_assert_eq(milli("4k"), 4000000);
    cr_assert_eq(milli("1e3"), 1000000);
    cr_assert_eq(milli("25E-1"), 2500);
    cr_assert_eq(milli("100n"), 1);
    cr_assert_eq(milli("1500u"), 2);
    cr_assert_eq(milli("-2"), -2000);
    cr_assert_eq(milli("+2"), 2000);
    cr_assert_eq(milli("0.0001"), 1);
    cr_assert_eq(milli("4Pi"), 4000LL << 50);
}

/* What is none is refused, and what is too large for the count is told so. */
Test(quantity, refused)
{
    int64_t v = 7;
    for (const char *const *p = (const char *const[]){"", "x", "1x", "1 ", " 1", "1..2", "1ki",
                                                      "e3", "1e", "--1", "1e3.5", "Gi", ".", NULL};
         *p; p++)
        cr_assert_eq(quantity_parse(*p, &v), -RAIA_ERR_INVALID, "'%s'", *p);
    for (const char *const *p = (const char *const[]){"1E", "1Ei", "99999999999999999999", "1e18",
                                                      "1e99", "9000P", "100000Pi", NULL};
         *p; p++)
        cr_assert_eq(quantity_parse(*p, &v), -RAIA_ERR_LIMIT, "'%s'", *p);
    cr_assert_eq(v, 7);
}

/* Nodes may be numbers or texts; sums are printed as Kubernetes prints them. */
Test(quantity, nodes_and_text)
{
    struct json *tree = tree_of("{a: 2, b: '250m', c: 0.25, d: true, e: null}");
    int64_t v = -1;
    char text[QUANTITY_SIZE];
    cr_assert_eq(quantity_read(json_get(tree, "a"), &v), 0);
    cr_assert_eq(v, 2000);
    cr_assert_eq(quantity_read(json_get(tree, "b"), &v), 0);
    cr_assert_eq(v, 250);
    cr_assert_eq(quantity_read(json_get(tree, "c"), &v), 0);
    cr_assert_eq(v, 250);
    cr_assert_eq(quantity_read(json_get(tree, "d"), &v), -RAIA_ERR_INVALID);
    cr_assert_eq(quantity_read(json_get(tree, "e"), &v), 0);
    cr_assert_eq(v, 0);
    json_free(tree);
    cr_assert_str_eq(quantity_text(0, false, text), "0");
    cr_assert_str_eq(quantity_text(1500, false, text), "1500m");
    cr_assert_str_eq(quantity_text(3000, false, text), "3");
    cr_assert_str_eq(quantity_text(4000000, false, text), "4k");
    cr_assert_str_eq(quantity_text(1500LL << 30, true, text), "1536Mi");
    cr_assert_str_eq(quantity_text(0, true, text), "0");
    cr_assert_str_eq(quantity_text(1000, true, text), "1");
}

/* A pod counts with the sum of its containers' requests, or limits where there is no request. */
Test(quantity, pods)
{
    struct json *t = tree_of("spec: {containers: ["
                             "{resources: {requests: {cpu: 500m}, limits: {cpu: 2, memory: 1Gi}}},"
                             "{resources: {limits: {cpu: 1, nvidia.com/gpu: 2, amd.com/gpu: 1}}},"
                             "{resources: {limits: {cpu: bad}}}, {}]}");
    cr_assert_eq(quantity_of_pod(t, "cpu"), 1500);
    cr_assert_eq(quantity_of_pod(t, "memory"), 1000LL << 30);
    cr_assert_eq(quantity_of_pod_like(t, "gpu"), 3000);
    cr_assert_eq(quantity_of_pod(t, "google.com/tpu"), 0);
    cr_assert_eq(quantity_of_pod(NULL, "cpu"), 0);
    json_free(t);
}
