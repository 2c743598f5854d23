/*
 * raia-init: lays this program's own tree (bin, lib) into a volume that the pod's other containers
 * mount at /opt/raia.
 *
 *     raia-init FOLDER
 *
 * It copies into FOLDER/.raia first and then gives the parts their names, so that what has its name is
 * whole; a run that was cut off is made good by the next one.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/proc.h"
#include "pod/copy.h"

/* The programs come last: whoever sees one finds its libraries. */
static const char *const parts[] = {"lib", "bin"};
#define N_PARTS (sizeof parts / sizeof *parts)

/* The folder above this program's. */
static int own_tree(char dir[PATH_MAX], struct raia_error *e)
{
    _cleanup_(mem_freep) char *above = proc_beside("..", e);

    if (!above)
        return -e->code;
    if (!realpath(above, dir))
        return err_errno(e, errno, "'%s'", above);
    if (!strcmp(dir, "/"))
        return err_set(e, RAIA_ERR_INVALID, "this program does not lie in a folder bin/");
    return 0;
}

static int lay(const char *from, const char *to, struct copy_sum *sum, struct raia_error *e)
{
    _cleanup_(mem_freep) char *fresh = mem_printf("%s/.raia", to);
    int r;

    if (!fresh)
        return err_set(e, RAIA_ERR_NOMEM, "copy");
    r = io_remove_tree(fresh, e);
    if (r == 0 && mkdir(fresh, 0755) < 0)
        r = err_errno(e, errno,
                      "make '%s' (uid %u): the volume must be writable here, such as an emptyDir",
                      fresh, (unsigned)getuid());
    for (size_t i = 0; i < N_PARTS && r == 0; i++) {
        _cleanup_(mem_freep) char *a = mem_printf("%s/%s", from, parts[i]);
        _cleanup_(mem_freep) char *b = mem_printf("%s/%s", fresh, parts[i]);
        r = a && b ? copy_tree(a, b, sum, e) : err_set(e, RAIA_ERR_NOMEM, "copy");
    }
    for (size_t i = 0; i < N_PARTS && r == 0; i++) {
        _cleanup_(mem_freep) char *a = mem_printf("%s/%s", fresh, parts[i]);
        _cleanup_(mem_freep) char *b = mem_printf("%s/%s", to, parts[i]);
        r = a && b ? io_remove_tree(b, e) : err_set(e, RAIA_ERR_NOMEM, "copy");
        if (r == 0 && rename(a, b) < 0)
            r = err_errno(e, errno, "rename '%s' to '%s'", a, b);
    }
    (void)io_remove_tree(fresh, NULL);
    return r;
}

int main(int argc, char **argv)
{
    struct raia_error e = {0};
    struct copy_sum sum = {0};
    char from[PATH_MAX], real[PATH_MAX];

    if (argc != 2 || argv[1][0] != '/') {
        fprintf(stderr,
                "usage: raia-init FOLDER\nCopies Raia's programs into FOLDER, an absolute path.\n");
        return 2;
    }
    umask(022);
    if (!realpath(argv[1], real)) {
        err_errno(&e, errno, "'%s' (is the volume mounted there?)", argv[1]);
    } else if (own_tree(from, &e) == 0) {
        if (!strcmp(real, from))
            err_set(&e, RAIA_ERR_INVALID,
                    "'%s' is where Raia lies already: mount the volume elsewhere", argv[1]);
        else if (lay(from, real, &sum, &e) == 0) {
            printf("raia-init: %llu files, %.1f MB in %s\n", (unsigned long long)sum.files,
                   (double)sum.bytes / 1e6, argv[1]);
            return 0;
        }
    }
    fprintf(stderr, "raia-init: %s\n", e.text);
    return 1;
}
