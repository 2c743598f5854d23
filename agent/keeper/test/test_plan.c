/*
 * Reading plans.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "keeper/plan.h"

static char path[64];

static int load(const char *text, struct plan *p, struct raia_error *e)
{
    snprintf(path, sizeof path, "/tmp/raia-test-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    cr_assert(io_write_file(path, text, strlen(text), 0600, 0, NULL) == 0);
    int r = plan_load(path, p, e);
    unlink(path);
    return r;
}

/* Nodes come in order, with their options; unknown members of a plan are other programs'. */
Test(plan, good)
{
    struct plan p = {0};
    struct raia_error e = {0};
    cr_assert(load("{\"cluster\":\"c\",\"nodes\":[{\"name\":\"head\",\"head\":true,\"argv\":[\"--"
                   "a\",\"--b=1\"]},"
                   "{\"name\":\"w-0\",\"argv\":[]}]}",
                   &p, &e) == 0,
              "%s", e.text);
    cr_assert(p.n == 2 && p.nodes[0].head && !p.nodes[1].head);
    cr_assert(p.nodes[0].argc == 2 && !p.nodes[0].argv[2]);
    cr_assert_str_eq(p.nodes[0].argv[1], "--b=1");
    cr_assert_str_eq(p.nodes[1].name, "w-0");
    plan_done(&p);
    cr_assert(load("{\"nodes\":[{\"name\":\"w\",\"argv\":[\"--gcs-address=h:1\"]}]}", &p, &e) == 0);
    cr_assert(p.n == 1 && !p.nodes[0].head);
    plan_done(&p);
}

/* What is wrong is named with its file and place, and nothing is kept. */
Test(plan, bad)
{
    static const struct {
        const char *text, *expect;
    } cases[] = {{"", ""},
                 {"{", ""},
                 {"{}", "nodes"},
                 {"{\"nodes\":[]}", "0 nodes"},
                 {"{\"nodes\":[{}]}", "nodes[0]"},
                 {"{\"nodes\":[{\"name\":\"a\"}]}", "nodes[0]"},
                 {"{\"nodes\":[{\"name\":\"a\",\"argv\":[1]}]}", "not a string"},
                 {"{\"nodes\":[{\"name\":\"a\",\"argv\":[]},{\"name\":\"b\",\"head\":true,"
                  "\"argv\":[]}]}",
                  "only the first node"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan p = {0};
        struct raia_error e = {0};
        cr_assert(load(cases[i].text, &p, &e) < 0, "%s", cases[i].text);
        cr_assert(!p.nodes && strstr(e.text, path) && strstr(e.text, cases[i].expect), "%s: %s",
                  cases[i].text, e.text);
    }
}

/* A node has at most 64 options, a plan at most 1024 nodes. */
Test(plan, limits)
{
    char *text = NULL;
    size_t size;
    struct plan p = {0};
    struct raia_error e = {0};
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "{\"nodes\":[{\"name\":\"a\",\"argv\":[\"x\"");
    for (int i = 0; i < 64; i++)
        fprintf(f, ",\"x\"");
    fprintf(f, "]}]}");
    fclose(f);
    cr_assert(load(text, &p, &e) == -RAIA_ERR_INVALID && strstr(e.text, "64"));
    free(text);
    f = open_memstream(&text, &size);
    fprintf(f, "{\"nodes\":[{\"name\":\"a\",\"argv\":[]}");
    for (int i = 0; i < 1024; i++)
        fprintf(f, ",{\"name\":\"a\",\"argv\":[]}");
    fprintf(f, "]}");
    fclose(f);
    cr_assert(load(text, &p, &e) == -RAIA_ERR_INVALID && strstr(e.text, "1025"));
    free(text);
}
