/*
 * Places: from a node or a path to its line and column, and errors that name them.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "yaml/yaml_load.h"

static const char text[] = "apiVersion: ray.io/v1\n"
                           "spec:\n"
                           "  \xc3\xa9t\xc3\xa9: x\n"
                           "  groups:\n"
                           "  - name: a\n"
                           "    replicas: many\n"
                           "  - &g {name: b, k: 2}\n"
                           "  - *g\n"
                           "  - <<: *g\n"
                           "---\n"
                           "kind: Other\n";

/* A member stands where its key does, an item where it begins, a copy's parts with the original. */
Test(yaml_docs, places)
{
    static const struct {
        size_t doc;
        const char *path;
        unsigned line, column;
    } cases[] = {{0, "", 1, 1},
                 {0, "spec", 2, 1},
                 {0, "spec.\xc3\xa9t\xc3\xa9", 3, 3},
                 {0, "spec.groups[0]", 5, 5},
                 {0, "spec.groups[0].replicas", 6, 5},
                 {0, "spec.groups[0].image.tag", 5, 5},
                 {0, "spec.groups[1].k", 7, 18},
                 {0, "spec.groups[2]", 8, 5},
                 {0, "spec.groups[2].k", 7, 18},
                 {0, "spec.groups[3].k", 7, 18},
                 {1, "kind", 11, 1},
                 {1, "missing", 11, 1}};
    struct yaml_docs *docs = NULL;
    cr_assert_eq(yaml_load(text, strlen(text), "c.yaml", NULL, &docs, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yaml_place at = {0, 0};
        cr_assert_eq(yaml_where(docs, cases[i].doc, cases[i].path, &at), 0, "%s", cases[i].path);
        cr_assert_eq(at.line, cases[i].line, "%s: line %u", cases[i].path, at.line);
        cr_assert_eq(at.column, cases[i].column, "%s: column %u", cases[i].path, at.column);
    }
    struct yaml_place at;
    struct json *stranger = json_new_int(1);
    cr_assert_eq(yaml_where(docs, 2, "", &at), -RAIA_ERR_NOT_FOUND);
    cr_assert_eq(yaml_place_of(docs, stranger, &at), -RAIA_ERR_NOT_FOUND);
    json_free(stranger);
    yaml_free(docs);
}

/* A getter's error, blamed, names file, line, field and what was expected. */
Test(yaml_docs, blame)
{
    struct yaml_docs *docs = NULL;
    struct raia_error e = {0};
    int64_t n;
    cr_assert_eq(yaml_load(text, strlen(text), "c.yaml", NULL, &docs, NULL), 0);
    struct json *root = yaml_take(docs, 0);
    cr_assert_null(yaml_doc(docs, 0));
    cr_assert_eq(json_get_int(root, "spec.groups[0].replicas", &n, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(yaml_blame(docs, 0, "spec.groups[0].replicas", &e), -RAIA_ERR_INVALID);
    cr_assert_str_eq(e.text,
                     "c.yaml:6:5: spec.groups[0].replicas: expected an integer, found a string");
    json_free(root);
    yaml_free(docs);
}

/* Files load under their own name; missing and oversized ones say so. */
Test(yaml_docs, files)
{
    char path[] = "/tmp/raia-test-yaml-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct yaml_docs *docs = NULL;
    struct raia_error e = {0};
    cr_assert_eq(yaml_load_file(path, NULL, &docs, &e), 0, "%s", e.text);
    cr_assert_eq(yaml_count(docs), 2);
    cr_assert_str_eq(yaml_name(docs), path);
    yaml_free(docs);
    struct yaml_limits l = {.max_bytes = 10};
    cr_assert_eq(yaml_load_file(path, &l, &docs, &e), -RAIA_ERR_LIMIT);
    cr_assert_not_null(strstr(e.text, path));
    unlink(path);
    cr_assert_eq(yaml_load_file(path, NULL, &docs, &e), -RAIA_ERR_NOT_FOUND);
}
