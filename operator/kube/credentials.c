/*
 * Credentials in files, as they are now.
 */
#include "kube/credentials.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#define LOOK_NS        (5 * CLOCK_NS_PER_S)
#define FILE_MAX_BYTES (1 << 20)

void kube_credentials_init(struct kube_credentials *k, const struct kube_config *cfg)
{
    *k = (struct kube_credentials){.cfg = cfg, .look_ns = INT64_MIN};
    k->ca.path = cfg->ca ? NULL : cfg->ca_file;
    k->cert.path = cfg->cert ? NULL : cfg->cert_file;
    k->key.path = cfg->key ? NULL : cfg->key_file;
    k->token.path = cfg->token ? NULL : cfg->token_file;
}

static void forget(struct kube_file *f)
{
    if (f->text)
        crypto_wipe(f->text, strlen(f->text));
    mem_free(STEAL(f->text));
}

void kube_credentials_done(struct kube_credentials *k)
{
    forget(&k->ca);
    forget(&k->cert);
    forget(&k->key);
    forget(&k->token);
}

void kube_credentials_stale(struct kube_credentials *k)
{
    k->look_ns = INT64_MIN;
}

static int look(struct kube_file *f, bool token, struct raia_error *e)
{
    struct stat st;
    char *text = NULL;
    if (!f->path)
        return 0;
    if (stat(f->path, &st) < 0) {
        memset(&st, 0, sizeof st); /* reading it says why */
    } else if (f->text && f->inode == st.st_ino && f->size == st.st_size &&
               f->mtime_ns == st.st_mtim.tv_sec * CLOCK_NS_PER_S + st.st_mtim.tv_nsec) {
        return 0;
    }
    int r = io_read_file(f->path, FILE_MAX_BYTES, &text, NULL, e);
    if (r < 0)
        return f->text ? 0 : err_wrap(e, "credentials");
    if (token)
        text[strcspn(text, "\r\n")] = '\0';
    if (!text[0] && f->text) { /* caught while it is written: next time */
        mem_free(text);
        return 0;
    }
    forget(f);
    f->text = text;
    f->inode = st.st_ino;
    f->size = st.st_size;
    f->mtime_ns = st.st_mtim.tv_sec * CLOCK_NS_PER_S + st.st_mtim.tv_nsec;
    return 0;
}

int kube_credentials_get(struct kube_credentials *k, int64_t now, struct kube_credential_texts *ret,
                         struct raia_error *e)
{
    if (now >= k->look_ns) {
        int r = look(&k->ca, false, e);
        if (r == 0)
            r = look(&k->cert, false, e);
        if (r == 0)
            r = look(&k->key, false, e);
        if (r == 0)
            r = look(&k->token, true, e);
        if (r < 0)
            return r;
        k->look_ns = now + LOOK_NS;
    }
    *ret = (struct kube_credential_texts){
        .ca = k->cfg->ca ? k->cfg->ca : k->ca.text,
        .cert = k->cfg->cert ? k->cfg->cert : k->cert.text,
        .key = k->cfg->key ? k->cfg->key : k->key.text,
        .token = k->cfg->token ? k->cfg->token : k->token.text,
    };
    return 0;
}
