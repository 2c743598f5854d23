/*
 * Changes of services that are there. What was asked for last is remembered in an annotation: a hash,
 * and the labels, annotations and fields beyond those that every service of ours has, so that they
 * can be taken away again. What others have added is left alone.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash64.h"
#include "core/inject.h"
#include "core/service.h"

#define TOKENS_MAX 4096 /* bytes of the annotation */

static const char *const parts[] = {"metadata.labels", "metadata.annotations", "spec"};
static const char letters[] = "las";

static bool is_usual(size_t part, const char *key)
{
    static const char *const usual[] = {"type", "ports", "selector", "clusterIP",
                                        "publishNotReadyAddresses"};

    if (part == 1)
        return strcmp(key, SERVICE_ANNOTATION) == 0;
    for (size_t i = 0; part == 2 && i < sizeof usual / sizeof *usual; i++)
        if (strcmp(key, usual[i]) == 0)
            return true;
    return false;
}

static const char *remembered(const struct json *service)
{
    const char *text =
        json_str(json_get(json_at(service, "metadata.annotations"), SERVICE_ANNOTATION));

    return text ? text : "";
}

int service_remember(struct json *service)
{
    _cleanup_(mem_freep) char *all = json_print(service, JSON_COMPACT, NULL);
    char text[TOKENS_MAX];

    if (!all)
        return -RAIA_ERR_NOMEM;
    size_t len = (size_t)snprintf(text, sizeof text, "%016llx",
                                  (unsigned long long)hash_bytes(all, strlen(all)));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        JSON_FOREACH(member, json_at(service, parts[i]))
        {
            const char *key = json_key(member);
            if (is_usual(i, key) || len + strlen(key) + 4 > sizeof text)
                continue;
            len += (size_t)snprintf(text + len, sizeof text - len, " %c:%s", letters[i], key);
        }
    return json_set_str(inject_object(json_get(service, "metadata"), "annotations"),
                        SERVICE_ANNOTATION, text);
}

bool service_is_current(const struct json *have, const struct json *wanted)
{
    return strcmp(remembered(have), remembered(wanted)) == 0;
}

/* null for what was asked for, and is not any more. */
static int drop_old(const struct json *have, struct json *patch)
{
    const char *at = remembered(have);
    int r = 0;

    for (at += strcspn(at, " "); r == 0 && *at; at += strcspn(at, " ")) {
        size_t n = strcspn(++at, " ");
        const char *letter = n > 2 ? strchr(letters, at[0]) : NULL;
        char key[512];
        if (!letter || !*letter || at[1] != ':' || n - 2 >= sizeof key)
            continue;
        snprintf(key, sizeof key, "%.*s", (int)(n - 2), at + 2);
        struct json *part = json_at(patch, parts[letter - letters]);
        if (part && !json_get(part, key) && !is_usual((size_t)(letter - letters), key))
            r = json_set_null(part, key);
    }
    return r;
}

int service_patch(const struct json *have, const struct json *wanted, struct json **ret_patch)
{
    _cleanup_(json_freep) struct json *patch = json_new_object();
    struct json *meta = inject_object(patch, "metadata");
    int r = json_set(meta, "labels", json_copy(json_at(wanted, "metadata.labels")));

    if (r == 0)
        r = json_set(meta, "annotations", json_copy(json_at(wanted, "metadata.annotations")));
    if (r == 0)
        r = json_set(patch, "spec", json_copy(json_get(wanted, "spec")));
    if (r == 0)
        r = drop_old(have, patch);
    struct json *selector = json_at(patch, "spec.selector");
    JSON_FOREACH(key, json_at(have, "spec.selector"))
    if (r == 0 && !json_get(selector, json_key(key)))
        r = json_set_null(selector, json_key(key));
    if (r == 0)
        *ret_patch = STEAL(patch);
    return r;
}
