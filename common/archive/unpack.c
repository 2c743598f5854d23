/* Zip files into folders. What is in them comes from outside. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "archive/archive.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"

#define CHUNK    (64u << 10)
#define PATH_LEN 4096

static int wrong(const char *name, struct raia_error *e, const char *why)
{
    return err_set(e, RAIA_ERR_INVALID, "'%.150s' in the zip file: %s", name, why);
}

/* Stays below the folder? A folder's name ends with '/'. */
static int check_name(const char *name, struct raia_error *e)
{
    const char *p = name;

    if (!*name || *name == '/')
        return wrong(name, e, "names must be relative");
    if (strlen(name) >= PATH_LEN)
        return wrong(name, e, "the name is too long");
    while (*p) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return wrong(name, e, "names may not have '.', '..' or empty parts");
        p += n;
        p += *p == '/';
    }
    return 0;
}

/* The mode of a file to be; -INVALID for what is neither a file nor a folder. */
static int mode_of(zip_t *zip, zip_uint64_t i, const char *name, mode_t *ret_mode,
                   struct raia_error *e)
{
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    mode_t mode;

    *ret_mode = 0644;
    if (zip_file_get_external_attributes(zip, i, 0, &system, &attributes) < 0 ||
        system != ZIP_OPSYS_UNIX)
        return 0;
    mode = (mode_t)(attributes >> 16);
    if ((mode & S_IFMT) && !S_ISREG(mode) && !S_ISDIR(mode))
        return wrong(name, e, "only files and folders are taken; pack what links point to instead");
    if (mode & 0111)
        *ret_mode = 0755;
    return 0;
}

static int make_parents(char *path, size_t top, struct raia_error *e)
{
    char *slash = strrchr(path, '/');
    int r;

    if (!slash || (size_t)(slash - path) <= top)
        return 0;
    *slash = 0;
    r = io_mkdir_p(path, 0755, e);
    *slash = '/';
    return r;
}

/* One file's bytes; *left is what may still be written. */
static int copy(zip_t *zip, zip_uint64_t i, const char *name, int to, uint64_t *left, char *buf,
                struct raia_error *e)
{
    zip_file_t *from = zip_fopen_index(zip, i, 0);
    zip_int64_t n = 0;
    int r = 0;

    if (!from)
        return wrong(name, e, zip_strerror(zip));
    while (r == 0 && (n = zip_fread(from, buf, CHUNK)) > 0) {
        if ((uint64_t)n > *left)
            r = err_set(e, RAIA_ERR_LIMIT, "the zip file holds more bytes than allowed");
        else if ((r = io_write_full(to, buf, (size_t)n)) < 0)
            (void)err_set(e, -r, "unpack '%.150s': %s", name, raia_strerror(r));
        *left -= r == 0 ? (uint64_t)n : 0;
    }
    if (r == 0 && n < 0)
        r = wrong(name, e, zip_file_strerror(from));
    /* Closing says whether the checksum was right. */
    if (zip_fclose(from) != 0 && r == 0)
        r = wrong(name, e, "its bytes are damaged");
    return r;
}

static int unpack_one(zip_t *zip, zip_uint64_t i, const char *dir, uint64_t *left, char *buf,
                      struct raia_error *e)
{
    const char *name = zip_get_name(zip, i, ZIP_FL_ENC_GUESS);
    _cleanup_(mem_freep) char *path = NULL;
    _cleanup_(fd_closep) int to = -1;
    mode_t mode;
    int r;

    if (!name)
        return err_set(e, RAIA_ERR_INVALID, "the zip file has an entry without a name");
    r = check_name(name, e);
    if (r == 0)
        r = mode_of(zip, i, name, &mode, e);
    if (r < 0)
        return r;
    path = mem_printf("%s/%s", dir, name);
    if (!path)
        return err_set(e, RAIA_ERR_NOMEM, "unpack '%.150s'", name);
    if (path[strlen(path) - 1] == '/') {
        path[strlen(path) - 1] = 0;
        return io_mkdir_p(path, 0755, e);
    }
    r = make_parents(path, strlen(dir), e);
    if (r < 0)
        return r;
    to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (to < 0 && errno == EEXIST)
        return wrong(name, e, "the name is there twice");
    if (to < 0)
        return err_errno(e, errno, "make '%s'", path);
    return copy(zip, i, name, to, left, buf, e);
}

int archive_unpack(const char *zip_path, const char *dir, const struct archive_limits *limits,
                   struct raia_error *e)
{
    _cleanup_(mem_freep) char *buf = mem_alloc(CHUNK);
    uint64_t left = limits->bytes;
    zip_int64_t n;
    zip_t *zip;
    int code = 0, r = 0;

    if (!buf)
        return err_set(e, RAIA_ERR_NOMEM, "unpack a zip file");
    zip = zip_open(zip_path, ZIP_RDONLY, &code);
    if (!zip) {
        zip_error_t error;

        zip_error_init_with_code(&error, code);
        r = err_set(e, code == ZIP_ER_NOENT ? RAIA_ERR_NOT_FOUND : RAIA_ERR_INVALID,
                    "it cannot be read as a zip file: %s", zip_error_strerror(&error));
        zip_error_fini(&error);
        return r;
    }
    n = zip_get_num_entries(zip, 0);
    if (n < 0 || (zip_uint64_t)n > limits->entries)
        r = err_set(e, RAIA_ERR_LIMIT, "the zip file has %lld entries, %zu are allowed",
                    (long long)n, limits->entries);
    for (zip_int64_t i = 0; r == 0 && i < n; i++)
        r = unpack_one(zip, (zip_uint64_t)i, dir, &left, buf, e);
    zip_discard(zip);
    return r;
}
