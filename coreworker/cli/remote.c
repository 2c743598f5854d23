/*
 * Clusters by the address of their API (remote.h).
 */
#include "cli/remote.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#define GCS_PORT  ":6379"
#define API_PORT  ":8265"
#define TOKEN_MAX 4096

bool remote_is_address(const char *name)
{
    return strchr(name, ':') && !str_starts_with(name, "unix:");
}

const char *remote_from_env(void)
{
    static const char *const names[] = {"RAY_API_SERVER_ADDRESS", "RAIA_API_SERVER",
                                        "RAY_DASHBOARD_ADDRESS", "RAY_ADDRESS"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = getenv(names[i]);
        if (v && remote_is_address(v))
            return v;
    }
    return NULL;
}

/* The URL that requests begin with. mem_free. */
static int make_url(const char *address, char **ret_url, struct raia_error *e)
{
    bool is_url = str_starts_with(address, "http://") || str_starts_with(address, "https://");
    size_t n = strlen(address);
    _cleanup_(mem_freep) char *url = NULL;

    if (!is_url && strstr(address, "://"))
        return err_set(e, RAIA_ERR_INVALID,
                       "address '%s': expected HOST:PORT, http://HOST:PORT or https://...",
                       address);
    while (n && address[n - 1] == '/')
        n--;
    if (is_url)
        url = mem_strndup(address, n);
    else if (n > strlen(GCS_PORT) &&
             !strncmp(address + n - strlen(GCS_PORT), GCS_PORT, strlen(GCS_PORT)))
        url = mem_printf("http://%.*s" API_PORT, (int)(n - strlen(GCS_PORT)), address);
    else
        url = mem_printf("http://%.*s", (int)n, address);
    if (!url)
        return err_set(e, RAIA_ERR_NOMEM, "address '%s'", address);
    *ret_url = STEAL(url);
    return 0;
}

/* The first word of a file; NULL: there is none. mem_free. */
static char *token_of(const char *path)
{
    char *text = NULL;

    if (!path || io_read_file(path, TOKEN_MAX, &text, NULL, NULL) < 0)
        return NULL;
    text[strcspn(text, " \t\r\n")] = '\0';
    return text;
}

static char *find_token(void)
{
    const char *text = getenv("RAY_AUTH_TOKEN"), *path = getenv("RAY_AUTH_TOKEN_PATH");
    const char *session = getenv("RAIA_SESSION_DIR"), *home = getenv("HOME");
    _cleanup_(mem_freep) char *ours = session ? mem_printf("%s/token", session) : NULL;
    _cleanup_(mem_freep) char *rays = home ? mem_printf("%s/.ray/auth_token", home) : NULL;
    char *token;

    if (text && *text)
        return mem_strdup(text);
    if (path && *path)
        return token_of(path);
    token = token_of(ours);
    return token ? token : token_of(rays);
}

int remote_open(const char *address, struct state_cluster *ret_c, struct raia_error *e)
{
    _cleanup_(state_cluster_done) struct state_cluster c = {0};
    int r = make_url(address, &c.api_url, e);

    if (r < 0)
        return r;
    c.name = mem_strdup(address);
    c.gcs_address = mem_strdup("");
    c.dir = mem_strdup("");
    c.token = find_token();
    if (!c.name || !c.gcs_address || !c.dir)
        return err_set(e, RAIA_ERR_NOMEM, "address '%s'", address);
    *ret_c = c;
    c = (struct state_cluster){0};
    return 0;
}
