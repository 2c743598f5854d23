/* What an image must have, and copies of trees. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "pod/copy.h"
#include "pod/image.h"

static char dir[] = "/tmp/raia-test-pod-XXXXXX";
static struct raia_error e;

static void begin(void)
{
    cr_assert(mkdtemp(dir));
}

static void end(void)
{
    cr_assert_eq(io_remove_tree(dir, &e), 0, "%s", e.text);
}

TestSuite(image, .init = begin, .fini = end);

static char *script(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", dir, name);

    cr_assert_eq(io_write_file(path, text, strlen(text), 0755, 0, &e), 0, "%s", e.text);
    return path;
}

/* A program that runs will do; one whose loader is missing, whose glibc is too old, or that fails is
 * told apart. */
Test(image, judged)
{
    _cleanup_(mem_freep) char *good = script("good", "#!/bin/sh\n[ \"$1\" = --version ]\n");
    _cleanup_(mem_freep) char *musl = script("musl", "#!/lib64/no-such-loader.so\n");
    _cleanup_(mem_freep) char *old =
        script("old", "#!/bin/sh\necho \"x: version \\`GLIBC_2.99' not found\" >&2\nexit 1\n");
    _cleanup_(mem_freep) char *odd = script("odd", "#!/bin/sh\nkill -9 $$\n");

    cr_assert_eq(pod_image_check(good, "/lib", &e), 0, "%s", e.text);
    cr_assert_eq(pod_image_check(musl, NULL, &e), -RAIA_ERR_UNSUPPORTED);
    cr_assert(strstr(e.text, "no glibc"), "%s", e.text);
    cr_assert_eq(pod_image_check(old, NULL, &e), -RAIA_ERR_UNSUPPORTED);
    cr_assert(strstr(e.text, "too old") && strstr(e.text, "GLIBC_2.99"), "%s", e.text);
    cr_assert_eq(pod_image_check(odd, NULL, &e), -RAIA_ERR_UNSUPPORTED);
    cr_assert(strstr(e.text, "signal 9"), "%s", e.text);
    cr_assert_eq(pod_image_check("/no/such", NULL, &e), -RAIA_ERR_UNSUPPORTED);
}

/* Files, links, folders and modes come over; what cannot be written is named. */
Test(image, copied)
{
    _cleanup_(mem_freep) char *from = mem_printf("%s/from", dir), *to = mem_printf("%s/to", dir);
    _cleanup_(mem_freep) char *sub = mem_printf("%s/from/bin", dir);
    _cleanup_(mem_freep) char *link = mem_printf("%s/from/bin/ray", dir);
    _cleanup_(mem_freep) char *copied = mem_printf("%s/to/bin/raia", dir);
    _cleanup_(mem_freep) char *linked = mem_printf("%s/to/bin/ray", dir);
    struct copy_sum sum = {0};
    struct stat st;

    cr_assert_eq(io_mkdir_p(sub, 0755, &e), 0);
    _cleanup_(mem_freep) char *file = script("from/bin/raia", "hello");
    cr_assert_eq(symlink("raia", link), 0);
    cr_assert_eq(copy_tree(from, to, &sum, &e), 0, "%s", e.text);
    cr_assert_eq(sum.files, 2);
    cr_assert_eq(sum.bytes, 5);
    cr_assert_eq(stat(copied, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0755);
    cr_assert_eq(stat(linked, &st), 0);
    cr_assert_eq(lstat(linked, &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    cr_assert_lt(copy_tree(from, "/proc/raia", &sum, &e), 0);
    cr_assert(strstr(e.text, "/proc/raia"), "%s", e.text);
    cr_assert_lt(copy_tree("/no/such", to, &sum, &e), 0);
}
