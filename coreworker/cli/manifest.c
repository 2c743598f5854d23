/*
 * Manifests (manifest.h): their lifetime, and documents to clusters and jobs.
 */
#include "cli/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/manifest_reader.h"

static void group_done(struct manifest_group *g)
{
    mem_free(g->name);
    json_free(g->resources);
    json_free(g->labels);
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->nclusters; i++) {
        for (size_t j = 0; j < m->clusters[i].ngroups; j++)
            group_done(&m->clusters[i].groups[j]);
        mem_free(m->clusters[i].groups);
        mem_free(m->clusters[i].name);
    }
    for (size_t i = 0; i < m->njobs; i++) {
        struct manifest_job *j = &m->jobs[i];
        mem_free(j->name);
        mem_free(j->entrypoint);
        mem_free(j->submission_id);
        mem_free(j->cluster);
        json_free(j->runtime_env);
        json_free(j->metadata);
        json_free(j->submit_resources);
    }
    mem_free(m->clusters);
    mem_free(m->jobs);
    json_free(m->ignored);
    mem_free(m);
}

void manifest_freep(void *p)
{
    manifest_free(*(struct manifest **)p);
}

bool manifest_good_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > MANIFEST_NAME_MAX || name[0] == '-' || name[n - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n && name[0] != '.';
}

/* metadata.name, or metadata.generateName with a "1" behind it. */
static int read_name(struct manifest_reader *rd, char given[MANIFEST_NAME_MAX + 2])
{
    const char *where = "metadata.name", *name;
    if (!json_at(rd->root, where) && json_at(rd->root, "metadata.generateName"))
        where = "metadata.generateName";
    if (json_get_str(rd->root, where, &name, rd->e) < 0)
        return manifest_blame(rd, where);
    size_t n = strnlen(name, MANIFEST_NAME_MAX + 1);
    memcpy(given, name, n);
    if (strcmp(where, "metadata.name") && n < MANIFEST_NAME_MAX)
        given[n++] = '1';
    given[n] = 0;
    return manifest_good_name(given)
               ? 0
               : manifest_wrong(rd, where, "expected up to 63 of a-z, 0-9, '-' and '.'");
}

static int read_document(struct manifest_reader *rd)
{
    const char *version, *kind;
    char name[MANIFEST_NAME_MAX + 2];
    if (!json_is(rd->root, JSON_OBJECT)) {
        err_set(rd->e, RAIA_ERR_INVALID, "expected an object with apiVersion and kind");
        return manifest_blame(rd, "");
    }
    if (json_get_str(rd->root, "apiVersion", &version, rd->e) < 0)
        return manifest_blame(rd, "apiVersion");
    if (json_get_str(rd->root, "kind", &kind, rd->e) < 0)
        return manifest_blame(rd, "kind");
    bool job = !strcmp(kind, "RayJob"), ours = job || !strcmp(kind, "RayCluster");
    if (strncmp(version, "ray.io/", 7) || !ours) {
        char what[MANIFEST_PATH_MAX];
        snprintf(what, sizeof what, "kind %s", kind);
        return manifest_ignore(rd, what);
    }
    if (strcmp(version, "ray.io/v1") && strcmp(version, "ray.io/v1alpha1"))
        return manifest_wrong(rd, "apiVersion", "expected ray.io/v1 or ray.io/v1alpha1");
    size_t clusters = rd->m->nclusters, jobs = rd->m->njobs;
    int r = read_name(rd, name);
    if (r == 0)
        r = job ? manifest_read_job(rd, name) : manifest_read_cluster(rd, "spec", name);
    for (size_t i = 0; r == 0 && rd->m->nclusters > clusters && i < clusters; i++)
        if (!strcmp(rd->m->clusters[i].name, name))
            r = manifest_wrong(rd, "metadata.name", "another cluster of this file has this name");
    for (size_t i = 0; r == 0 && rd->m->njobs > jobs && i < jobs; i++)
        if (!strcmp(rd->m->jobs[i].name, name))
            r = manifest_wrong(rd, "metadata.name", "another job of this file has this name");
    return r;
}

static int read_all(struct yaml_docs *docs, struct manifest **ret_m, struct raia_error *e)
{
    struct raia_error local = {0};
    _cleanup_(manifest_freep) struct manifest *m = mem_new(struct manifest);
    if (!m || !(m->ignored = json_new_array()))
        return err_set(e, RAIA_ERR_NOMEM, "reading '%s'", yaml_name(docs));
    struct manifest_reader rd = {.docs = docs, .m = m, .e = e ? e : &local};
    for (; rd.doc < yaml_count(docs); rd.doc++) {
        rd.root = yaml_doc(docs, rd.doc);
        int r = read_document(&rd);
        if (r < 0)
            return r;
    }
    if (m->nclusters + m->njobs == 0)
        return err_set(rd.e, RAIA_ERR_INVALID,
                       "%s:1:1: expected a RayCluster or a RayJob (apiVersion: ray.io/v1)",
                       yaml_name(docs));
    *ret_m = STEAL(m);
    return 0;
}

int manifest_parse(const char *text, size_t len, const char *name, struct manifest **ret_m,
                   struct raia_error *e)
{
    _cleanup_(yaml_freep) struct yaml_docs *docs = NULL;
    int r = yaml_load(text, len, name, NULL, &docs, e);
    return r < 0 ? r : read_all(docs, ret_m, e);
}

/* Standard input, to its end. */
static int load_stdin(struct manifest **ret_m, struct raia_error *e)
{
    _cleanup_(mem_freep) char *text = mem_alloc(MANIFEST_BYTES_MAX + 1);
    size_t len;
    if (!text)
        return err_set(e, RAIA_ERR_NOMEM, "reading standard input");
    int r = io_read_full(STDIN_FILENO, text, MANIFEST_BYTES_MAX + 1, &len);
    if (r < 0)
        return err_set(e, -r, "cannot read standard input");
    if (len > MANIFEST_BYTES_MAX)
        return err_set(e, RAIA_ERR_LIMIT, "standard input is larger than %d MiB",
                       MANIFEST_BYTES_MAX >> 20);
    return manifest_parse(text, len, "standard input", ret_m, e);
}

/* A relative working_dir is below the folder of the manifest. */
static int resolve_folder(const char *path, struct manifest_job *j)
{
    const char *dir = json_str(json_get(j->runtime_env, "working_dir")), *slash;
    if (!dir || !*dir || *dir == '/' || strstr(dir, "://"))
        return 0;
    _cleanup_(mem_freep) char *real = realpath(path, NULL);
    slash = real ? strrchr(real, '/') : NULL;
    if (!slash)
        return 0; /* it was read a moment ago; now the job will say what is missing */
    _cleanup_(mem_freep) char *whole = mem_printf("%.*s/%s", (int)(slash - real), real, dir);
    return whole ? json_set_str(j->runtime_env, "working_dir", whole) : -RAIA_ERR_NOMEM;
}

int manifest_load(const char *path, struct manifest **ret_m, struct raia_error *e)
{
    _cleanup_(yaml_freep) struct yaml_docs *docs = NULL;
    if (!strcmp(path, "-"))
        return load_stdin(ret_m, e);
    int r = yaml_load_file(path, NULL, &docs, e);
    if (r == 0)
        r = read_all(docs, ret_m, e);
    for (size_t i = 0; r == 0 && i < (*ret_m)->njobs; i++) {
        r = resolve_folder(path, &(*ret_m)->jobs[i]);
        if (r < 0) {
            manifest_freep(ret_m);
            *ret_m = NULL;
            return err_set(e, RAIA_ERR_NOMEM, "reading '%s'", path);
        }
    }
    return r;
}
