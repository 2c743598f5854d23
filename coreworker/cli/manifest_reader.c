/*
 * Taking fields out of a manifest's tree (manifest_reader.h).
 */
#include "cli/manifest_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/quantity.h"

#define QUANTITY_MAX 1e15

const char *manifest_path(char to[MANIFEST_PATH_MAX], const char *base, const char *name)
{
    if (name[strcspn(name, ".[\"")])
        snprintf(to, MANIFEST_PATH_MAX, "%s[\"%s\"]", base, name);
    else
        snprintf(to, MANIFEST_PATH_MAX, "%s.%s", base, name);
    return to;
}

int manifest_blame(struct manifest_reader *rd, const char *path)
{
    return yaml_blame(rd->docs, rd->doc, path, rd->e);
}

int manifest_wrong(struct manifest_reader *rd, const char *path, const char *what)
{
    err_set(rd->e, RAIA_ERR_INVALID, "%s: %s", path, what);
    return manifest_blame(rd, path);
}

int manifest_nomem(struct manifest_reader *rd)
{
    return err_set(rd->e, RAIA_ERR_NOMEM, "out of memory while reading the manifest");
}

int manifest_ignore(struct manifest_reader *rd, const char *what)
{
    JSON_FOREACH(it, rd->m->ignored)
    if (!strcmp(json_str(it), what))
        return 0;
    return json_append_str(rd->m->ignored, what) < 0 ? manifest_nomem(rd) : 0;
}

int manifest_check_fields(struct manifest_reader *rd, const char *path,
                          const struct manifest_field *fields)
{
    struct json *node = json_at(rd->root, path);
    if (!json_is(node, JSON_OBJECT))
        return manifest_wrong(rd, path, node ? "expected an object" : "is required");
    JSON_FOREACH(it, node)
    {
        const struct manifest_field *f = fields;
        while (f->name && strcmp(f->name, json_key(it)))
            f++;
        char at[MANIFEST_PATH_MAX];
        if (!f->name)
            return manifest_wrong(rd, manifest_path(at, path, json_key(it)),
                                  "there is no such field (is the name spelt right?)");
        int r = f->used ? 0 : manifest_ignore(rd, f->name);
        if (r < 0)
            return r;
    }
    return 0;
}

int manifest_get_int(struct manifest_reader *rd, const char *base, const char *name, int64_t def,
                     int64_t min, int64_t *ret)
{
    char path[MANIFEST_PATH_MAX], what[96];
    if (json_opt_int(rd->root, manifest_path(path, base, name), def, ret, rd->e) < 0)
        return manifest_blame(rd, path);
    snprintf(what, sizeof what, "expected %lld to %d, found %lld", (long long)min, INT32_MAX,
             (long long)*ret);
    return *ret < min || *ret > INT32_MAX ? manifest_wrong(rd, path, what) : 0;
}

int manifest_get_bool(struct manifest_reader *rd, const char *base, const char *name, bool *ret)
{
    char path[MANIFEST_PATH_MAX];
    manifest_path(path, base, name);
    return json_opt_bool(rd->root, path, false, ret, rd->e) < 0 ? manifest_blame(rd, path) : 0;
}

int manifest_get_text(struct manifest_reader *rd, const char *base, const char *name, char **ret)
{
    char path[MANIFEST_PATH_MAX];
    const char *v;
    if (json_opt_str(rd->root, manifest_path(path, base, name), NULL, &v, rd->e) < 0)
        return manifest_blame(rd, path);
    return v && !(*ret = mem_strdup(v)) ? manifest_nomem(rd) : 0;
}

int manifest_get_node(struct manifest_reader *rd, const char *base, const char *name,
                      enum json_type type, const char *expected, struct json **ret)
{
    char path[MANIFEST_PATH_MAX];
    struct json *node = json_at(rd->root, manifest_path(path, base, name));
    if (node && !json_is(node, type) && !json_is(node, JSON_NULL))
        return manifest_wrong(rd, path, expected);
    *ret = json_is(node, type) ? node : NULL;
    return 0;
}

int manifest_quantity(struct manifest_reader *rd, const char *path, const struct json *n,
                      double *ret)
{
    if (quantity_of(n, ret) < 0 || *ret < 0 || *ret > QUANTITY_MAX)
        return manifest_wrong(rd, path, "expected a quantity such as 2, 500m or 1Gi");
    return 0;
}
