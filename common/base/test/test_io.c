/* Tests of base/io.h. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "tmpdir.h"

TestSuite(io, .init = tmpdir_make, .fini = tmpdir_remove);

static unsigned files_in(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);

    cr_assert_not_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A written file has its content and mode, replaces the old one, and leaves nothing beside it. */
Test(io, write_and_read)
{
    const char *path = tmpdir_file("f");
    _cleanup_(mem_freep) char *data = NULL;
    size_t size;
    struct stat st;

    cr_assert_eq(io_write_file(path, "old", 3, 0644, 0, NULL), 0);
    cr_assert_eq(io_write_file(path, "hello", 5, 0606, IO_SYNC, NULL), 0);
    cr_assert_eq(io_read_file(path, 5, &data, &size, NULL), 0);
    cr_assert_eq(size, 5);
    cr_assert_str_eq(data, "hello");
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0606);
    cr_assert_eq(files_in(tmpdir_path), 1);
}

/* IO_NEW makes a file once, and its failure leaves the first one and no litter. */
Test(io, write_new)
{
    struct raia_error e;
    _cleanup_(mem_freep) char *data = NULL;

    cr_assert_eq(io_write_file(tmpdir_file("f"), "1", 1, 0600, IO_NEW, &e), 0);
    cr_assert_eq(io_write_file(tmpdir_file("f"), "2", 1, 0600, IO_NEW, &e), -RAIA_ERR_EXISTS);
    cr_assert_eq(io_read_file(tmpdir_file("f"), 100, &data, NULL, NULL), 0);
    cr_assert_str_eq(data, "1");
    cr_assert_eq(files_in(tmpdir_path), 1);
    cr_assert_eq(io_write_file(tmpdir_file("no/f"), "2", 1, 0600, 0, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "/no/f"), "%s", e.text);
}

/* Reading is bounded, for files whose size is known and for those whose is not. */
Test(io, read_limits)
{
    struct raia_error e;
    char *data = NULL, big[10000];
    size_t size = 0;

    memset(big, 'x', sizeof big);
    cr_assert_eq(io_write_file(tmpdir_file("f"), big, sizeof big, 0600, 0, NULL), 0);
    cr_assert_eq(io_read_file(tmpdir_file("f"), sizeof big - 1, &data, NULL, &e), -RAIA_ERR_LIMIT);
    cr_assert_eq(io_read_file("/proc/self/maps", 100, &data, NULL, &e), -RAIA_ERR_LIMIT);
    cr_assert_null(data);
    cr_assert_eq(io_read_file("/proc/self/maps", 10 << 20, &data, &size, &e), 0);
    cr_assert_eq(strlen(data), size);
    cr_assert_gt(size, 100);
    mem_free(data);
    cr_assert_eq(io_read_file(tmpdir_file("none"), 100, &data, NULL, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "/none': No such file"), "%s", e.text);
    cr_assert_eq(io_write_file(tmpdir_file("e"), "", 0, 0600, 0, NULL), 0);
    cr_assert_eq(io_read_file(tmpdir_file("e"), 0, &data, &size, &e), 0);
    cr_assert_eq(size, 0);
    mem_free(data);
}

/* Whichever allocation fails, reading and writing say so and leave no file behind. */
Test(io, nth_allocation_fails)
{
    for (uint64_t n = 1;; n++) {
        char *data = NULL;
        mem_fail_nth(n);
        int w = io_write_file(tmpdir_file("f"), "x", 1, 0600, IO_SYNC, NULL);
        int r = w < 0 ? w : io_read_file(tmpdir_file("f"), 1, &data, NULL, NULL);
        bool reached = mem_fail_count() >= n;
        mem_fail_nth(0);
        mem_free(data);
        cr_assert_leq(files_in(tmpdir_path), 1);
        if (!reached) {
            cr_assert_eq(r, 0);
            break;
        }
        cr_assert_eq(r, -RAIA_ERR_NOMEM);
    }
}

/* Folders are made with all their parents, again without harm, and not over a file. */
Test(io, mkdir_p)
{
    struct raia_error e;
    struct stat st;

    cr_assert_eq(io_mkdir_p(tmpdir_file("a//b/c/"), 0700, &e), 0);
    cr_assert_eq(stat(tmpdir_file("a/b/c"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    cr_assert_eq(io_mkdir_p(tmpdir_file("a/b/c"), 0700, &e), 0);
    cr_assert_eq(io_mkdir_p("/", 0700, &e), 0);
    cr_assert_eq(io_write_file(tmpdir_file("a/f"), "", 0, 0600, 0, NULL), 0);
    cr_assert_eq(io_mkdir_p(tmpdir_file("a/f"), 0700, &e), -RAIA_ERR_EXISTS);
    cr_assert_eq(io_mkdir_p(tmpdir_file("a/f/g"), 0700, &e), -RAIA_ERR_EXISTS);
}

/* A tree goes away whole; what its symbolic links point to does not. */
Test(io, remove_tree)
{
    struct raia_error e = {0};

    cr_assert_eq(io_mkdir_p(tmpdir_file("kept/in"), 0700, &e), 0);
    cr_assert_eq(io_write_file(tmpdir_file("kept/in/f"), "x", 1, 0600, 0, &e), 0);
    cr_assert_eq(io_mkdir_p(tmpdir_file("t/a/b/c"), 0700, &e), 0);
    cr_assert_eq(io_write_file(tmpdir_file("t/a/f"), "x", 1, 0600, 0, &e), 0);
    cr_assert_eq(symlink(tmpdir_file("kept"), tmpdir_file("t/a/link")), 0);
    cr_assert_eq(symlink(tmpdir_file("kept"), tmpdir_file("link")), 0);
    cr_assert_eq(mkfifo(tmpdir_file("t/fifo"), 0600), 0);
    cr_assert_eq(io_remove_tree(tmpdir_file("t"), &e), 0, "%s", e.text);
    cr_assert_eq(io_remove_tree(tmpdir_file("link/"), &e), 0, "%s", e.text);
    cr_assert_eq(access(tmpdir_file("t"), F_OK), -1);
    cr_assert_eq(access(tmpdir_file("link"), F_OK), -1);
    cr_assert_eq(access(tmpdir_file("kept/in/f"), F_OK), 0);
    cr_assert_eq(io_remove_tree(tmpdir_file("t"), &e), 0);
}

/* A tree deeper than the limit is refused with an error that says where, not with a crash. */
Test(io, remove_deep_tree)
{
    struct raia_error e = {0};
    int dir = open(tmpdir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < IO_TREE_DEPTH_MAX + 5; i++) {
        cr_assert_eq(mkdirat(dir, "d", 0700), 0);
        int next = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(dir);
        dir = next;
    }
    close(dir);
    cr_assert_eq(io_remove_tree(tmpdir_file("d"), &e), -RAIA_ERR_LIMIT);
    cr_assert(strstr(e.text, tmpdir_file("d")), "%s", e.text);
    cr_assert_eq(rename(tmpdir_file("d/d/d/d/d/d"), tmpdir_file("e")), 0);
    cr_assert_eq(io_remove_tree(tmpdir_file("e"), &e), 0, "%s", e.text);
}

/* Full reads and writes go on over short ones, and say when the other side is gone. */
Test(io, pipes)
{
    int p[2];
    char got[10];
    size_t n;

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
    cr_assert_eq(io_write_full(p[1], "abc", 3), 0);
    cr_assert_eq(io_write_full(p[1], "def", 3), 0);
    cr_assert_eq(io_read_full(p[0], got, 4, &n), 0);
    cr_assert_eq(n, 4);
    close(p[1]);
    cr_assert_eq(io_read_full(p[0], got, 4, &n), 0);
    cr_assert_eq(n, 2);
    cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
    close(p[0]);
    cr_assert_eq(io_write_full(p[1], "abc", 3), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(io_read_full(-1, got, 1, &n), -RAIA_ERR_INTERNAL);
}

/* The state of a user's clusters is where the environment says, else in a folder of that user. */
Test(io, state_root)
{
    char path[64], want[64];

    setenv("RAIA_STATE_DIR", "/somewhere/else", 1);
    io_state_root(path, sizeof path);
    cr_expect_str_eq(path, "/somewhere/else");
    setenv("RAIA_STATE_DIR", "", 1);
    io_state_root(path, sizeof path);
    snprintf(want, sizeof want, "/tmp/raia-%u", (unsigned)getuid());
    cr_expect_str_eq(path, want);
}
