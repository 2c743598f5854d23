/*
 * The list of findings.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/report.h"

/* Findings stand in one line, each behind its path, and the first path is kept. */
Test(report, one_line)
{
    struct api_report r = {0};
    api_report_add(&r, "spec.a", "expected %d", 1);
    api_report_at(&r, "spec", "b", "expected x");
    api_report_at(&r, "spec.c", "", "gone");
    api_report_add(&r, "spec.d", "%s", "");
    cr_assert_str_eq(r.text, "spec.a: expected 1; spec.b: expected x; spec.c: gone; spec.d");
    cr_assert_str_eq(r.path, "spec.a");
    cr_assert_eq(r.n, 4);
}

/* What does not fit is counted; the text keeps its bound and its end. */
Test(report, bounded)
{
    struct api_report r = {0};
    for (int i = 0; i < 100; i++)
        api_report_add(&r, "spec.workerGroupSpecs[0].template", "expected something number %d", i);
    cr_assert_eq(r.n, 100);
    cr_assert(r.shown > 5 && r.shown < 100);
    cr_assert(strlen(r.text) < sizeof r.text);
    char tail[32];
    snprintf(tail, sizeof tail, "; and %u more", 100 - r.shown);
    cr_assert_str_eq(r.text + strlen(r.text) - strlen(tail), tail);
}

/* A first finding that is too long alone is shown as far as it goes, cut between characters. */
Test(report, long_first)
{
    struct api_report r = {0};
    char path[2000];
    memset(path, 'p', sizeof path);
    for (size_t i = 900; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "\xc3\xa9", 2);
    path[sizeof path - 1] = 0;
    api_report_add(&r, path, "expected");
    cr_assert_eq(r.n, 1);
    cr_assert_eq(r.shown, 1);
    cr_assert(strlen(r.text) > 900 && strlen(r.text) < sizeof r.text);
    cr_assert_eq((unsigned char)r.text[strlen(r.text) - 1], 0xa9);
    api_report_add(&r, "b", "c");
    cr_assert(strstr(r.text, "; and 1 more"));
}
