/*
 * Tables for people and JSON for programs.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/table.h"

static const struct table_column columns[] = {
    {"NAME", "name"}, {"SIZE", "size"}, {"WHERE", "place.node"}, {NULL, NULL}};

static struct json *rows(const char *text)
{
    struct json *r = NULL;
    cr_assert(json_parse(text, strlen(text), NULL, &r, NULL) == 0, "%s", text);
    return r;
}

static char *printed(const struct json *r, bool json, bool one)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    cr_assert_not_null(f);
    cr_assert((one ? table_print_one(f, r, json) : table_print(f, r, columns, json)) == 0);
    fclose(f);
    return text;
}

/* Columns are as wide as their widest cell; what is not there is a dash; a path goes into rows. */
Test(table, aligned)
{
    struct json *r = rows("[{\"name\":\"a\",\"size\":1,\"place\":{\"node\":\"n1\"}},"
                          "{\"name\":\"longer\",\"size\":null}]");
    char *text = printed(r, false, false);
    cr_assert_str_eq(text, "NAME    SIZE  WHERE\n"
                           "a       1     n1\n"
                           "longer  -     -\n");
    free(text);
    json_free(r);
}

/* Amounts and times are for people: GiB, and local time. */
Test(table, for_people)
{
    static const struct table_column some[] = {{"HAS", "has"}, {"END", "end_time"}, {NULL, NULL}};
    struct json *r = rows("[{\"has\":{\"CPU\":2,\"memory\":1610612736},\"end_time\":86400000},"
                          "{\"has\":{},\"end_time\":0}]");
    char *text = NULL;
    size_t size = 0;
    setenv("TZ", "UTC", 1);
    FILE *f = open_memstream(&text, &size);
    cr_assert(table_print(f, r, some, false) == 0);
    fclose(f);
    cr_assert_str_eq(text, "HAS                    END\n"
                           "CPU 2, memory 1.5 GiB  1970-01-02 00:00:00\n"
                           "-                      -\n");
    free(text);
    json_free(r);
}

/* Cells stay on their line and do not grow without end. */
Test(table, cells_are_bounded)
{
    char json[512], x[300];
    memset(x, 'x', sizeof x - 1);
    x[sizeof x - 1] = 0;
    snprintf(json, sizeof json, "[{\"name\":\"two\\nlines\",\"size\":\"%s\"}]", x);
    struct json *r = rows(json);
    char *text = printed(r, false, false);
    cr_assert(strstr(text, "two lines"));
    cr_assert(strstr(text, "xxx..."));
    char *second = strchr(text, '\n') + 1;
    cr_assert(strchr(second, '\n')[1] == 0);
    cr_assert(strlen(second) < 200);
    free(text);
    json_free(r);
}

/* JSON comes out whole, and no rows are an empty array. */
Test(table, json_reads_back)
{
    struct json *r = rows("[{\"name\":\"a\",\"other\":[1,2]}]"), *back = NULL;
    char *text = printed(r, true, false);
    cr_assert(json_parse(text, strlen(text), NULL, &back, NULL) == 0);
    cr_assert(json_equal(r, back));
    free(text);
    json_free(back);
    text = printed(NULL, true, false);
    cr_assert(json_parse(text, strlen(text), NULL, &back, NULL) == 0);
    cr_assert(json_is(back, JSON_ARRAY) && json_size(back) == 0);
    free(text);
    json_free(back);
    json_free(r);
}

/* One object is its members, a line each. */
Test(table, one)
{
    struct json *r = rows("{\"name\":\"a\",\"resources\":{\"CPU\":2},\"x\":null}");
    char *text = printed(r, false, true);
    cr_assert_str_eq(text, "name        a\nresources   {\"CPU\":2}\nx           null\n");
    free(text);
    json_free(r);
}

/* Output that cannot be written is an error. */
Test(table, full_disk)
{
    struct json *r = rows("[{\"name\":\"a\"}]");
    FILE *f = fopen("/dev/full", "w");
    cr_assert_not_null(f);
    cr_assert(table_print(f, r, columns, false) == -RAIA_ERR_IO);
    cr_assert(table_print(f, r, columns, true) == -RAIA_ERR_IO);
    fclose(f);
    json_free(r);
}
