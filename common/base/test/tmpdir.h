/*
 * A folder for one test, removed with all that is in it when the test goes on to its next case.
 */
#ifndef BASE_TEST_TMPDIR_H
#define BASE_TEST_TMPDIR_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

/* Short, so that socket paths fit. Static: Criterion runs each case in a process of its own. */
static char tmpdir_path[64];

__attribute__((unused)) static void tmpdir_make(void)
{
    strcpy(tmpdir_path, "/tmp/raia-test-XXXXXX");
    cr_assert_not_null(mkdtemp(tmpdir_path));
}

__attribute__((unused)) static void tmpdir_remove(void)
{
    struct raia_error e = {0};
    cr_assert_eq(io_remove_tree(tmpdir_path, &e), 0, "%s", e.text);
}

/* The path of a name in the folder; good until the fourth call after it. */
__attribute__((unused)) static const char *tmpdir_file(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", tmpdir_path, name);
    return path;
}

#endif
