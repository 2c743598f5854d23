/*
 * Loading YAML from files.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "yaml/yaml_load.h"

#define FIRST_BUFFER ((size_t)16 << 10)

/* Reads to the end, from pipes too. One byte more than `most` is enough to know it is too much. */
static int read_all(int fd, const char *path, size_t most, char **ret_text, size_t *ret_len,
                    struct raia_error *e)
{
    size_t len = 0, cap = FIRST_BUFFER;
    _cleanup_(mem_freep) char *text = mem_alloc(cap);
    while (text && len <= most) {
        if (len == cap) {
            char *p = mem_realloc(text, cap *= 2);
            if (!p)
                break;
            text = p;
        }
        ssize_t n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "read '%s'", path);
        if (n == 0) {
            *ret_text = STEAL(text);
            *ret_len = len;
            return 0;
        }
        len += (size_t)n;
    }
    if (len > most)
        return err_set(e, RAIA_ERR_LIMIT, "'%s' is larger than %zu bytes", path, most);
    return err_set(e, RAIA_ERR_NOMEM, "out of memory while reading '%s'", path);
}

int yaml_load_file(const char *path, const struct yaml_limits *m, struct yaml_docs **ret_docs,
                   struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "open '%s'", path);
    _cleanup_(mem_freep) char *text = NULL;
    size_t len = 0;
    int r = read_all(fd, path, m && m->max_bytes ? m->max_bytes : (size_t)4 << 20, &text, &len, e);
    return r < 0 ? r : yaml_load(text, len, path, m, ret_docs, e);
}
