/*
 * Local working folders (working_dir.h).
 */
#include "cli/working_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/api.h"
#include "crypto/crypto.h"

#define PACKED_MAX   (UINT64_C(512) << 20) /* the GCS takes no more */
#define EXCLUDES_MAX 1000
#define NAME_HEX     32 /* digits of the hash that are in the package's name */

/* As what nodes unpack. */
static const struct archive_limits limits = {.bytes = UINT64_C(4) << 30, .entries = 200000};

/* A file that goes with the scope. */
static void unlinkp(void *p)
{
    char **path = p;
    if (*path)
        (void)unlink(*path);
    mem_free(*path);
}

static int pack(const char *dir, const struct json *env, char **ret_zip, struct raia_error *e)
{
    const char *excludes[EXCLUDES_MAX];
    size_t n = 0;
    const char *tmp = getenv("TMPDIR");
    _cleanup_(unlinkp) char *zip = mem_printf("%s/raia-package-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!zip)
        return err_set(e, RAIA_ERR_NOMEM, "pack it");
    int fd = mkostemp(zip, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "make '%s'", zip);
    close(fd);
    JSON_FOREACH(it, json_get(env, "excludes"))
    {
        if (!json_str(it) || n == EXCLUDES_MAX)
            return err_set(e, RAIA_ERR_INVALID, "excludes: expected a list of at most %d texts",
                           EXCLUDES_MAX);
        excludes[n++] = json_str(it);
    }
    int r = archive_pack(dir, zip, excludes, n, &limits, e);
    if (r == 0)
        *ret_zip = STEAL(zip);
    return r;
}

/* The package of a zip file: uploaded, unless it is there. */
static int upload(const struct state_cluster *c, const char *zip, char **ret_uri,
                  struct raia_error *e)
{
    _cleanup_(fd_closep) int fd = open(zip, O_RDONLY | O_CLOEXEC);
    char hex[CRYPTO_SHA256_HEX_SIZE];
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "open '%s'", zip);
    if ((uint64_t)st.st_size > PACKED_MAX)
        return err_set(e, RAIA_ERR_LIMIT,
                       "it has %lld MiB when packed, %lld are allowed: exclude what the job does "
                       "not need, or put it where all nodes can read it",
                       (long long)(st.st_size >> 20), (long long)(PACKED_MAX >> 20));
    int r = crypto_sha256_file(zip, hex, e);
    if (r < 0)
        return r;
    hex[NAME_HEX] = 0;
    _cleanup_(mem_freep) char *path = mem_printf("/api/packages/gcs/_raia_pkg_%s.zip", hex);
    *ret_uri = mem_printf("gcs://_raia_pkg_%s.zip", hex);
    if (!path || !*ret_uri)
        return err_set(e, RAIA_ERR_NOMEM, "upload it");
    struct raia_error missing = {0};
    r = api_call(c, "GET", path, NULL, NULL, &missing);
    if (r == -RAIA_ERR_NOT_FOUND)
        return api_upload(c, path, fd, (size_t)st.st_size, e);
    if (r < 0)
        *e = missing;
    return r;
}

int working_dir_upload(const struct state_cluster *c, struct json *runtime_env,
                       struct raia_error *e)
{
    const char *dir = json_str(json_get(runtime_env, "working_dir"));
    _cleanup_(unlinkp) char *packed = NULL;
    _cleanup_(mem_freep) char *uri = NULL;
    struct stat st;
    int r = 0;
    if (!dir || !*dir || strstr(dir, "://"))
        return 0;
    size_t n = strlen(dir);
    if (stat(dir, &st) < 0)
        r = err_errno(e, errno, "it cannot be read");
    else if (S_ISDIR(st.st_mode))
        r = pack(dir, runtime_env, &packed, e);
    else if (!S_ISREG(st.st_mode) || n < 4 || strcmp(dir + n - 4, ".zip") != 0)
        r = err_set(e, RAIA_ERR_INVALID, "it is neither a folder nor a zip file");
    if (r == 0)
        r = upload(c, packed ? packed : dir, &uri, e);
    if (r < 0)
        return err_wrap(e, "working_dir '%s'", dir);
    return json_set_str(runtime_env, "working_dir", uri) < 0
               ? err_set(e, RAIA_ERR_NOMEM, "working_dir")
               : 0;
}
