/*
 * Join files (join.h).
 */
#include "cli/join.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "json/json.h"

#define SECRET_MAX 65536 /* bytes of a PEM file */

/* Secrets, by their member in the join file and their path in a state folder. */
static const struct {
    const char *member, *path;
} secrets[] = {{"token", "token"},
               {"ca_pem", "tls/ca.pem"},
               {"node_pem", "tls/node.pem"},
               {"node_key", "tls/node.key"}};

#define N_SECRETS (sizeof secrets / sizeof *secrets)

static void wipe_free(char **text)
{
    if (*text)
        crypto_wipe(*text, strlen(*text));
    mem_free(*text);
}

int join_write(const struct state_cluster *c, char **ret_path, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = json_new_object();
    _cleanup_(mem_freep) char *path = mem_printf("%s/join.json", c->dir);
    int r = root && path ? 0 : -RAIA_ERR_NOMEM;
    if (r == 0)
        r = json_set_str(root, "gcs_address", c->gcs_address);
    if (r == 0)
        r = json_set_str(root, "api_url", c->api_url);
    for (size_t i = 0; r == 0 && i < N_SECRETS; i++) {
        _cleanup_(mem_freep) char *from = mem_printf("%s/%s", c->dir, secrets[i].path);
        _cleanup_(wipe_free) char *text = NULL;
        if (from && io_read_file(from, SECRET_MAX, &text, NULL, e) < 0)
            return err_wrap(e, "the join file");
        r = from ? json_set_str(root, secrets[i].member, text) : -RAIA_ERR_NOMEM;
    }
    _cleanup_(wipe_free) char *text = r == 0 ? json_print(root, JSON_PRETTY, NULL) : NULL;
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "the join file");
    r = crypto_write_secret(path, text, strlen(text), e);
    if (r == 0)
        *ret_path = STEAL(path);
    return r;
}

int join_read(const char *path, const char *gcs_address, const char *name, const char *dir,
              char **ret_address, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *root = NULL, *mine = json_new_object();
    _cleanup_(mem_freep) char *tls = mem_printf("%s/tls", dir);
    _cleanup_(mem_freep) char *to = mem_printf("%s/cluster.json", dir);
    const char *text, *address, *api;
    if (!mine || !tls || !to)
        return err_set(e, RAIA_ERR_NOMEM, "joining");
    int r = json_load(path, NULL, &root, e);
    if (r < 0)
        return err_wrap(e, "the join file");
    r = json_get_str(root, "gcs_address", &address, e);
    if (r == 0)
        r = json_get_str(root, "api_url", &api, e);
    if (r == 0)
        r = io_mkdir_p(tls, 0700, e);
    for (size_t i = 0; r == 0 && i < N_SECRETS; i++) {
        _cleanup_(mem_freep) char *file = mem_printf("%s/%s", dir, secrets[i].path);
        r = json_get_str(root, secrets[i].member, &text, e);
        if (r == 0)
            r = file ? crypto_write_secret(file, text, strlen(text), e)
                     : err_set(e, RAIA_ERR_NOMEM, "joining");
    }
    if (r < 0)
        return err_wrap(e, "'%s' is no join file (`raia start --head` writes one)", path);
    address = gcs_address ? gcs_address : address;
    if (json_set_str(mine, "name", name) < 0 || json_set_str(mine, "api_url", api) < 0 ||
        json_set_str(mine, "gcs_address", address) < 0 ||
        json_set_int(mine, "created_ms", clock_unix_ms()) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "joining");
    _cleanup_(mem_freep) char *json = json_print(mine, JSON_PRETTY, NULL);
    char *copy = mem_strdup(address);
    r = json && copy ? io_write_file(to, json, strlen(json), 0600, 0, e)
                     : err_set(e, RAIA_ERR_NOMEM, "joining");
    if (r < 0)
        mem_free(copy);
    else
        *ret_address = copy;
    return r;
}
