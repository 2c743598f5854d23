/* Tests of base/logfile.h. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/logfile.h"
#include "base/mem.h"
#include "tmpdir.h"

TestSuite(logfile, .init = tmpdir_make, .fini = tmpdir_remove);

static char line[1024];

static void write_lines(struct logfile *f, int from, int to)
{
    for (int i = from; i < to; i++) {
        memset(line, '.', sizeof line);
        snprintf(line, sizeof line, "%d", i);
        line[sizeof line - 1] = '\n';
        logfile_write(f, line, sizeof line);
    }
}

static int first_number(const char *name)
{
    _cleanup_(mem_freep) char *text = NULL;
    size_t size;

    if (io_read_file(tmpdir_file(name), 1 << 20, &text, &size, NULL) < 0)
        return -1;
    cr_assert(size == 0 || text[size - 1] == '\n');
    return size ? atoi(text) : -2;
}

/* Files are rotated whole, as many as asked for are kept, and the newest lines are in the first. */
Test(logfile, rotation)
{
    struct logfile *f;

    cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 2, &f, NULL), 0);
    write_lines(f, 0, 4);
    cr_assert_eq(first_number("l"), 0);
    cr_assert_eq(first_number("l.1"), -1);
    write_lines(f, 4, 5);
    cr_assert_eq(first_number("l"), 4);
    cr_assert_eq(first_number("l.1"), 0);
    write_lines(f, 5, 17);
    cr_assert_eq(first_number("l"), 16);
    cr_assert_eq(first_number("l.1"), 12);
    cr_assert_eq(first_number("l.2"), 8);
    cr_assert_eq(first_number("l.3"), -1);
    cr_assert_eq(logfile_dropped(f), 0);
    logfile_close(f);
    cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 2, &f, NULL), 0);
    write_lines(f, 17, 21);
    cr_assert_eq(first_number("l"), 20);
    cr_assert_eq(first_number("l.1"), 16);
    logfile_close(f);
}

/* Without old files the one there is emptied when full. */
Test(logfile, no_backups)
{
    struct logfile *f;

    cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 0, &f, NULL), 0);
    write_lines(f, 0, 5);
    cr_assert_eq(first_number("l"), 4);
    cr_assert_eq(first_number("l.1"), -1);
    logfile_close(f);
}

/* When no file can be rotated, lines are dropped and counted, and later it goes on. */
Test(logfile, drops)
{
    struct logfile *f;

    cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 1, &f, NULL), 0);
    cr_assert_eq(io_mkdir_p(tmpdir_file("l.1/x"), 0700, NULL), 0);
    write_lines(f, 0, 6);
    cr_assert_eq(first_number("l"), 0);
    cr_assert_eq(logfile_dropped(f), 2);
    cr_assert_eq(io_remove_tree(tmpdir_file("l.1"), NULL), 0);
    write_lines(f, 6, 7);
    cr_assert_eq(first_number("l"), 6);
    cr_assert_eq(logfile_dropped(f), 2);
    logfile_close(f);
}

/* It is where the log goes, and bad arguments and paths are refused with a text. */
Test(logfile, sink_and_errors)
{
    struct logfile *f = NULL;
    struct raia_error e;
    _cleanup_(mem_freep) char *text = NULL;

    cr_assert_eq(logfile_open(tmpdir_file("l"), 1, 1, &f, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(logfile_open(tmpdir_file("no/l"), 4096, 1, &f, &e), -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "/no/l"));
    for (uint64_t n = 1; n <= 4; n++) {
        mem_fail_nth(n);
        cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 1, &f, &e), -RAIA_ERR_NOMEM);
        mem_fail_nth(0);
    }
    cr_assert_null(f);
    cr_assert_eq(logfile_open(tmpdir_file("l"), 4096, 1, &f, &e), 0);
    log_set_sink(logfile_sink(f));
    log_info("hello", "a=%d", 1);
    log_set_sink(NULL);
    cr_assert_eq(io_read_file(tmpdir_file("l"), 4096, &text, NULL, NULL), 0);
    cr_assert(strstr(text, "level=info module=raia msg=\"hello\" a=1\n"), "%s", text);
    logfile_close(f);
    logfile_close(NULL);
}
