/* Secrets of a RayCluster: see secret.h. */
#include "core/secret.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/hash64.h"
#include "core/inject.h"
#include "core/pod.h"
#include "kube/wall_time.h"

#define DAY_S INT64_C(86400)

static int nomem(struct raia_error *e)
{
    return err_set(e, RAIA_ERR_NOMEM, "a secret");
}

/* -- names ------------------------------------------------------------------------------------- */

void secret_ca_name(const struct ray_cluster *c, char *buf, size_t size)
{
    snprintf(buf, size, "%s-raia-ca", c->name);
}

void secret_tls_name(const struct ray_cluster *c, bool head, char *buf, size_t size)
{
    snprintf(buf, size, "%s-raia-tls-%s", c->name, head ? "head" : "worker");
}

/* The variable of the head's Ray container that the user has set. */
static const struct json *own_token(const struct ray_cluster *c)
{
    return inject_find(json_get(c->spec.head.container, "env"), "name", "RAY_AUTH_TOKEN");
}

const char *secret_token_name(const struct ray_cluster *c, const struct operator_config *config,
                              bool *ret_made)
{
    const struct ray_cluster_spec *s = &c->spec;
    const struct json *own = own_token(c), *ref = json_at(own, "valueFrom.secretKeyRef");
    const char *key = json_str(json_get(ref, "key"));

    *ret_made = false;
    if (s->auth == RAY_AUTH_DISABLED)
        return NULL;
    if (s->auth_secret)
        return s->auth_secret;
    if (own)
        return key && strcmp(key, SECRET_TOKEN_KEY) == 0 ? json_str(json_get(ref, "name")) : NULL;
    if (s->auth == RAY_AUTH_DEFAULT && !config->tokens)
        return NULL;
    *ret_made = true;
    return c->name;
}

/* -- objects ----------------------------------------------------------------------------------- */

static int set_data(struct secret_maker *m, struct json *object, const char *key, const char *text)
{
    _cleanup_(mem_freep) char *coded = m->base64(m, text);
    struct json *data = inject_object(object, "data");

    return coded && data ? json_set_str(data, key, coded) : -RAIA_ERR_NOMEM;
}

struct json *secret_labels(const struct ray_cluster *c)
{
    _cleanup_(json_freep) struct json *labels = json_new_object();

    if (json_set_str(labels, RAY_LABEL_CLUSTER, c->name) < 0 ||
        json_set_str(labels, RAY_LABEL_CREATED_BY, POD_CREATED_BY) < 0)
        return NULL;
    return STEAL(labels);
}

int secret_relabel(const struct ray_cluster *c, const struct json *have, struct json **ret_patch)
{
    _cleanup_(json_freep) struct json *patch = NULL, *labels = secret_labels(c);
    const struct json *old = json_at(have, "metadata.labels");
    bool same = true;

    if (!labels)
        return -RAIA_ERR_NOMEM;
    JSON_FOREACH(label, labels)
    same = same && json_equal(json_get(old, json_key(label)), label);
    if (!same && (!(patch = json_new_object()) ||
                  json_set(inject_object(patch, "metadata"), "labels", STEAL(labels)) < 0))
        return -RAIA_ERR_NOMEM;
    *ret_patch = STEAL(patch);
    return 0;
}

static struct json *new_secret(const struct ray_cluster *c, const char *name)
{
    _cleanup_(json_freep) struct json *s = json_new_object();
    struct json *meta = inject_object(s, "metadata"), *labels = secret_labels(c);

    if (json_set(meta, "labels", labels) < 0 || json_set_str(s, "apiVersion", "v1") < 0 ||
        json_set_str(s, "kind", "Secret") < 0 || json_set_str(s, "type", "Opaque") < 0 ||
        json_set_str(meta, "name", name) < 0 || json_set_str(meta, "namespace", c->ns) < 0 ||
        pod_set_owner(meta, c) < 0)
        return NULL;
    return STEAL(s);
}

int secret_token(const struct ray_cluster *c, struct secret_maker *m, struct json **ret_secret,
                 struct raia_error *e)
{
    _cleanup_(json_freep) struct json *s = new_secret(c, c->name);
    _cleanup_(mem_freep) char *token = NULL;

    if (!s)
        return nomem(e);
    int r = m->token(m, &token, e);
    if (r == 0 && set_data(m, s, SECRET_TOKEN_KEY, token) < 0)
        r = nomem(e);
    if (r == 0)
        *ret_secret = STEAL(s);
    return r;
}

void secret_set_done(void *p)
{
    struct secret_set *set = p;

    json_free(STEAL(set->ca));
    json_free(STEAL(set->leaf[0]));
    json_free(STEAL(set->leaf[1]));
}

/* The texts of an authority or a leaf. */
struct pem {
    char *cert; /* mem_free */
    char *key;  /* wiped, mem_free */
};

static void pem_done(struct pem *p)
{
    if (p->key)
        memset(p->key, 0, strlen(p->key));
    mem_free(STEAL(p->key));
    mem_free(STEAL(p->cert));
}

static int annotate(struct json *secret, const char *key, const char *value)
{
    return json_set_str(inject_object(json_get(secret, "metadata"), "annotations"), key, value);
}

static void ca_id(const char *cert, char ret[17])
{
    snprintf(ret, 17, "%016llx", (unsigned long long)hash_bytes(cert, strlen(cert)));
}

static int make_ca(const struct ray_cluster *c, struct secret_maker *m, const struct pem *ca,
                   const char *id, struct json **ret)
{
    char name[256];

    secret_ca_name(c, name, sizeof name);
    _cleanup_(json_freep) struct json *s = new_secret(c, name);
    if (!s || annotate(s, SECRET_ANNOTATION_CA, ca->cert) < 0 ||
        annotate(s, SECRET_ANNOTATION_ID, id) < 0 || set_data(m, s, "ca.pem", ca->cert) < 0 ||
        set_data(m, s, "ca.key", ca->key) < 0)
        return -RAIA_ERR_NOMEM;
    *ret = STEAL(s);
    return 0;
}

/* What a node is called by the others: one name for all, by which they are checked; the service for
 * what comes from outside; and who it is. */
static int issue(const struct ray_cluster *c, const struct operator_config *config,
                 const char *service, struct secret_maker *m, const struct secret_ca *ca, bool head,
                 int64_t now_s, struct pem *ret, struct raia_error *e)
{
    const char *role = head ? "head" : "worker";
    char id[160], full[512], svc[320], ns[320], plain[272];
    const char *sans[] = {
        "dns:raia-node", "dns:localhost", "ip:127.0.0.1", id, plain, ns, svc, full};

    snprintf(id, sizeof id, "uri:raia://cluster/%s/%s", c->uid, role);
    snprintf(plain, sizeof plain, "dns:%s", service);
    snprintf(ns, sizeof ns, "dns:%s.%s", service, c->ns);
    snprintf(svc, sizeof svc, "dns:%s.%s.svc", service, c->ns);
    snprintf(full, sizeof full, "dns:%s.%s.svc.%s", service, c->ns, config->cluster_domain);
    return m->leaf(m, ca, role, sans, head ? 8 : 4, now_s, SECRET_LEAF_DAYS * DAY_S, &ret->cert,
                   &ret->key, e);
}

static int make_leaf(const struct ray_cluster *c, struct secret_maker *m, bool head,
                     const struct pem *leaf, const char *bundle, const char *id, int64_t now_s,
                     struct json **ret)
{
    char name[256], ends[KUBE_WALL_TIME_SIZE];

    secret_tls_name(c, head, name, sizeof name);
    kube_wall_time((now_s + SECRET_LEAF_DAYS * DAY_S) * 1000, ends);
    _cleanup_(json_freep) struct json *s = new_secret(c, name);
    if (!s || annotate(s, SECRET_ANNOTATION_ID, id) < 0 ||
        annotate(s, SECRET_ANNOTATION_ENDS, ends) < 0 || set_data(m, s, "ca.pem", bundle) < 0 ||
        set_data(m, s, "node.pem", leaf->cert) < 0 || set_data(m, s, "node.key", leaf->key) < 0)
        return -RAIA_ERR_NOMEM;
    *ret = STEAL(s);
    return 0;
}

/* All certificates, the older ones first, each of them once. */
static char *bundle_of(const char *cert, const char *trust)
{
    if (trust && strstr(trust, cert))
        return mem_strdup(trust);
    return mem_printf("%s%s", trust ? trust : "", cert);
}

int secret_tls(const struct ray_cluster *c, const struct operator_config *config,
               const char *service, struct secret_maker *m, const struct secret_ca *ca,
               const char *trust, int64_t now_s, struct secret_set *ret, struct raia_error *e)
{
    _cleanup_(secret_set_done) struct secret_set set = {0};
    _cleanup_(pem_done) struct pem root = {0};
    char id[17];
    int r = m->ca_pem(m, ca, &root.cert, &root.key, e);

    if (r < 0)
        return r;
    _cleanup_(mem_freep) char *bundle = bundle_of(root.cert, trust);
    ca_id(root.cert, id);
    if (!bundle || make_ca(c, m, &root, id, &set.ca) < 0)
        return nomem(e);
    for (int head = 0; head < 2; head++) {
        _cleanup_(pem_done) struct pem leaf = {0};
        r = issue(c, config, service, m, ca, head, now_s, &leaf, e);
        if (r < 0)
            return r;
        if (make_leaf(c, m, head, &leaf, bundle, id, now_s, &set.leaf[head]) < 0)
            return nomem(e);
    }
    *ret = set;
    set = (struct secret_set){0};
    return 0;
}

int secret_trust(struct secret_maker *m, const struct secret_ca *ca, const char *trust,
                 struct json **ret_patch, struct raia_error *e)
{
    _cleanup_(json_freep) struct json *patch = json_new_object();
    _cleanup_(pem_done) struct pem root = {0};
    int r = m->ca_pem(m, ca, &root.cert, &root.key, e);

    if (r < 0)
        return r;
    _cleanup_(mem_freep) char *bundle = bundle_of(root.cert, trust);
    if (!patch || !bundle || set_data(m, patch, "ca.pem", bundle) < 0 ||
        json_set_str(inject_object(inject_object(patch, "metadata"), "annotations"),
                     SECRET_ANNOTATION_NEXT, root.cert) < 0)
        return nomem(e);
    *ret_patch = STEAL(patch);
    return 0;
}
