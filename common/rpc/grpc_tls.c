/*
 * Credentials of channels and servers, and the folders of certificates that they follow.
 *
 * A folder is watched by one provider of gRPC's, which reads its files again every few seconds, for
 * all channels and servers of the process that name it: what handshakes later uses what it found.
 */
#include "rpc/grpc_impl.h"

#define REREAD_S 5u /* between two looks at the files */

struct rpc_tls_dir {
    struct rpc_tls_dir *next;                /* in `dirs` */
    char *path;                              /* the folder */
    unsigned refs;                           /* users */
    grpc_tls_certificate_provider *provider; /* reads it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct rpc_tls_dir *dirs;

static void dir_free(struct rpc_tls_dir *d)
{
    if (!d)
        return;
    if (d->provider)
        grpc_tls_certificate_provider_release(d->provider);
    mem_free(d->path);
    mem_free(d);
}

static struct rpc_tls_dir *dir_new(const char *path)
{
    struct rpc_tls_dir *d = mem_new(struct rpc_tls_dir);
    _cleanup_(mem_freep) char *ca = mem_printf("%s/ca.pem", path);
    _cleanup_(mem_freep) char *cert = mem_printf("%s/node.pem", path);
    _cleanup_(mem_freep) char *key = mem_printf("%s/node.key", path);
    if (d)
        d->path = mem_strdup(path);
    if (d && d->path && ca && cert && key)
        d->provider = grpc_tls_certificate_provider_file_watcher_create(key, cert, ca, REREAD_S);
    if (d && !d->provider) {
        dir_free(d);
        return NULL;
    }
    return d;
}

int rpc_tls_dir_get(const char *path, struct rpc_tls_dir **ret_d, struct raia_error *e)
{
    struct rpc_tls_dir *d;
    pthread_mutex_lock(&lock);
    for (d = dirs; d && strcmp(d->path, path); d = d->next)
        ;
    if (!d && (d = dir_new(path))) {
        d->next = dirs;
        dirs = d;
    }
    if (d)
        d->refs++;
    pthread_mutex_unlock(&lock);
    if (!d)
        return err_set(e, RAIA_ERR_NOMEM, "rpc: the certificates in '%s'", path);
    *ret_d = d;
    return 0;
}

void rpc_tls_dir_put(struct rpc_tls_dir *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&lock);
    if (--d->refs) {
        d = NULL;
    } else {
        struct rpc_tls_dir **at = &dirs;
        while (*at != d)
            at = &(*at)->next;
        *at = d->next;
    }
    pthread_mutex_unlock(&lock);
    dir_free(d); /* joins a thread of gRPC's: not under the lock */
}

static grpc_tls_credentials_options *options(const struct rpc_tls_dir *d)
{
    grpc_tls_credentials_options *o = grpc_tls_credentials_options_create();
    grpc_tls_credentials_options_set_certificate_provider(o, d->provider);
    grpc_tls_credentials_options_watch_root_certs(o);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(o);
    return o;
}

grpc_channel_credentials *rpc_tls_channel(const struct rpc_tls *tls, const struct rpc_tls_dir *d)
{
    if (!tls)
        return grpc_insecure_credentials_create();
    if (d) { /* the server's name is checked: that is the default */
        grpc_tls_credentials_options *o = options(d);
        /* Calls name no host of their own: what the handshake has checked is enough. */
        grpc_tls_credentials_options_set_check_call_host(o, 0);
        return grpc_tls_credentials_create(o);
    }
    grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->key_pem, .cert_chain = tls->cert_pem};
    return grpc_ssl_credentials_create(tls->ca_pem, tls->cert_pem ? &pair : NULL, NULL, NULL);
}

grpc_server_credentials *rpc_tls_server(const char *ca, const char *cert, const char *key,
                                        const struct rpc_tls_dir *d)
{
    if (d) {
        grpc_tls_credentials_options *o = options(d);
        grpc_tls_credentials_options_set_cert_request_type(
            o, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
        return grpc_tls_server_credentials_create(o);
    }
    if (!cert)
        return grpc_insecure_server_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
    return grpc_ssl_server_credentials_create_ex(
        ca, &pair, 1, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, NULL);
}
