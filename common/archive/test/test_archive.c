/* Tests of folders as zip files. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/test/each_alloc.h"

static char top[64];
static const struct archive_limits roomy = {.bytes = 1u << 20, .entries = 100};

static const char *at(const char *name)
{
    static char path[8][512];
    static int turn;
    char *p = path[turn++ % 8];

    snprintf(p, sizeof path[0], "%s/%s", top, name);
    return p;
}

static void put(const char *name, const char *text, mode_t mode)
{
    cr_assert_eq(io_write_file(at(name), text, strlen(text), mode, 0, NULL), 0);
}

static void fresh(const char *name)
{
    cr_assert_eq(io_mkdir_p(at(name), 0755, NULL), 0);
}

static void begin(void)
{
    snprintf(top, sizeof top, "/tmp/raia-archive-XXXXXX");
    cr_assert_not_null(mkdtemp(top));
    fresh("from/sub/deep");
    fresh("from/empty");
    fresh("to");
    put("from/run.sh", "#!/bin/sh\n", 0755);
    put("from/sub/deep/data", "0123456789", 0600);
    put("from/sub/note.log", "x", 0600);
}

static void end(void)
{
    (void)io_remove_tree(top, NULL);
}

TestSuite(archive, .init = begin, .fini = end);

static void same(const char *name, const char *text)
{
    _cleanup_(mem_freep) char *got = NULL;

    cr_assert_eq(io_read_file(at(name), 1000, &got, NULL, NULL), 0, "%s", name);
    cr_assert_str_eq(got, text);
}

static int pack(const struct archive_limits *limits, const char *exclude, struct raia_error *e)
{
    return archive_pack(at("from"), at("a.zip"), &exclude, exclude ? 1 : 0, limits, e);
}

/* What was packed comes out again: files, empty folders, and which files are programs. */
Test(archive, round_trip)
{
    struct raia_error e = {0};
    struct stat st;

    cr_assert_eq(pack(&roomy, NULL, &e), 0, "%s", e.text);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &roomy, &e), 0, "%s", e.text);
    same("to/sub/deep/data", "0123456789");
    cr_assert_eq(stat(at("to/run.sh"), &st), 0);
    cr_assert(st.st_mode & 0100);
    cr_assert_eq(stat(at("to/sub/deep/data"), &st), 0);
    cr_assert_not(st.st_mode & 0100);
    cr_assert_eq(stat(at("to/empty"), &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
}

/* The same contents give the same bytes, though the files' times differ. */
Test(archive, repeatable)
{
    _cleanup_(mem_freep) char *one = NULL, *two = NULL;
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    size_t n_one, n_two;

    cr_assert_eq(pack(&roomy, NULL, NULL), 0);
    cr_assert_eq(io_read_file(at("a.zip"), 1 << 20, &one, &n_one, NULL), 0);
    cr_assert_eq(utimensat(AT_FDCWD, at("from/run.sh"), old, 0), 0);
    cr_assert_eq(pack(&roomy, NULL, NULL), 0);
    cr_assert_eq(io_read_file(at("a.zip"), 1 << 20, &two, &n_two, NULL), 0);
    cr_assert_eq(n_one, n_two);
    cr_assert_arr_eq(one, two, n_one);
}

/* Excludes are for names at any depth, for paths from the top, or for folders. */
Test(archive, excludes)
{
    static const char *const excludes[] = {"*.log", "/sub/deep/data", "empty/"};

    cr_assert_eq(archive_pack(at("from"), at("a.zip"), excludes, 3, &roomy, NULL), 0);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &roomy, NULL), 0);
    cr_assert_neq(access(at("to/sub/note.log"), F_OK), 0);
    cr_assert_neq(access(at("to/sub/deep/data"), F_OK), 0);
    cr_assert_neq(access(at("to/empty"), F_OK), 0);
    cr_assert_eq(access(at("to/run.sh"), F_OK), 0);
    cr_assert_eq(access(at("to/sub/deep"), F_OK), 0);
}

/* Too many bytes or entries are refused, when packing and when unpacking. */
Test(archive, limits)
{
    struct archive_limits few = {.bytes = 1u << 20, .entries = 3},
                          small = {.bytes = 12, .entries = 100};
    struct raia_error e = {0};

    cr_assert_eq(pack(&few, NULL, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(pack(&small, NULL, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(pack(&roomy, NULL, &e), 0);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &few, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &small, &e), -RAIA_ERR_LIMIT);
}

/* A folder that links to itself ends with an error, not with a full disk. */
Test(archive, circle)
{
    struct archive_limits many = {.bytes = 1u << 30, .entries = 100000};
    struct raia_error e = {0};

    cr_assert_eq(symlink(".", at("from/again")), 0);
    cr_assert_lt(pack(&many, NULL, &e), 0);
}

/* An empty folder can be packed and unpacked too. */
Test(archive, empty)
{
    struct raia_error e = {0};

    cr_assert_eq(archive_pack(at("from/empty"), at("a.zip"), NULL, 0, &roomy, &e), 0, "%s", e.text);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &roomy, &e), 0, "%s", e.text);
}

/* Writes the zip file again with its names replaced by one of the same length. */
static void rename_in_zip(const char *was, const char *is)
{
    _cleanup_(mem_freep) char *data = NULL;
    size_t size, n = strlen(was), found = 0;

    cr_assert_eq(strlen(is), n);
    cr_assert_eq(io_read_file(at("a.zip"), 1 << 20, &data, &size, NULL), 0);
    for (size_t i = 0; i + n <= size; i++) {
        if (memcmp(data + i, was, n) == 0) {
            memcpy(data + i, is, n);
            found++;
        }
    }
    cr_assert_eq(found, 2, "once before the data and once in the directory");
    cr_assert_eq(io_write_file(at("a.zip"), data, size, 0600, 0, NULL), 0);
}

/* Names that would leave the folder are refused, and nothing is written outside. */
Test(archive, stays_inside)
{
    static const char *const bad[] = {"../x.sh", "/tmp/xx", "a/../xx", "a//b.sh", "./ab.sh"};
    struct raia_error e;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)io_remove_tree(at("to"), NULL);
        fresh("to");
        put("from/only.sh", "x", 0644);
        cr_assert_eq(pack(&roomy, NULL, NULL), 0);
        rename_in_zip("only.sh", bad[i]);
        memset(&e, 0, sizeof e);
        cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &roomy, &e), -RAIA_ERR_INVALID, "%s: %s",
                     bad[i], e.text);
    }
    cr_assert_neq(access(at("x.sh"), F_OK), 0);
}

/* Files that are not zip files, cut off, or damaged are refused with a text. */
Test(archive, damaged)
{
    _cleanup_(mem_freep) char *data = NULL;
    struct raia_error e = {0};
    size_t size;

    put("a.zip", "this is no zip file", 0600);
    cr_assert_eq(archive_unpack(at("a.zip"), at("to"), &roomy, &e), -RAIA_ERR_INVALID);
    cr_assert(strstr(e.text, "zip"));
    cr_assert_eq(archive_unpack(at("none.zip"), at("to"), &roomy, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert_eq(pack(&roomy, NULL, NULL), 0);
    cr_assert_eq(io_read_file(at("a.zip"), 1 << 20, &data, &size, NULL), 0);
    cr_assert_eq(io_write_file(at("b.zip"), data, size / 2, 0600, 0, NULL), 0);
    cr_assert_eq(archive_unpack(at("b.zip"), at("to"), &roomy, &e), -RAIA_ERR_INVALID);
    /* Every single flipped byte: whatever comes out, it is an answer. */
    for (size_t i = 0; i < size; i++) {
        data[i] ^= 0x5a;
        cr_assert_eq(io_write_file(at("b.zip"), data, size, 0600, 0, NULL), 0);
        (void)io_remove_tree(at("to"), NULL);
        fresh("to");
        (void)archive_unpack(at("b.zip"), at("to"), &roomy, &e);
        data[i] ^= 0x5a;
    }
}

static int step_archive(void *arg)
{
    const char *const excludes[] = {"*.log"};
    struct raia_error e = {0};
    static unsigned round;
    char into[32], zip[32];

    (void)arg;
    snprintf(into, sizeof into, "into%u", round);
    snprintf(zip, sizeof zip, "%u.zip", round++);
    cr_assert_eq(mkdir(at(into), 0755), 0);
    int r = archive_pack(at("from"), at(zip), excludes, 1, &roomy, &e);

    return r < 0 ? r : archive_unpack(at(zip), at(into), &roomy, &e);
}

/* Out of memory, packing and unpacking. */
Test(archive, memory)
{
    cr_assert_geq(each_alloc(step_archive, NULL), 5);
}
