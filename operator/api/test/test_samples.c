/*
 * Every RayCluster and RayJob of the manifests in a folder, as an API server would store them: read,
 * within the rules, and not refused but for the fields that are refused on purpose.
 *
 *     test_operator_api_samples DIR...
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "api/rayjob.h"
#include "base/str.h"
#include "yaml/yaml_load.h"

static unsigned objects, wrong;

static void judge(const char *where, const struct json *o)
{
    struct api_report bad = {0}, ignored = {0}, refused = {0};
    struct raia_error e = {0};
    struct ray_cluster *c = NULL;
    struct ray_job *j = NULL;
    const char *kind = json_str(json_get(o, "kind"));
    bool job = strcmp(kind, "RayJob") == 0;
    int r = job ? ray_job_read(o, &j, &e) : ray_cluster_read(o, &c, &e);

    objects++;
    if (r < 0) {
        api_report_add(&bad, "", "%s", e.text);
    } else if (job) {
        ray_job_check(j, &bad);
        ray_job_unsupported(j, true, &ignored, &refused);
    } else {
        ray_cluster_check(c, &bad);
        ray_cluster_unsupported(c, true, &ignored, &refused);
    }
    printf("%s: %s%s%s%s%s%s%s\n", where, kind, bad.n ? ": WRONG: " : "", bad.text,
           refused.n ? ": refused: " : "", refused.text, ignored.n ? ": ignored: " : "",
           ignored.text);
    if (bad.n > 0 || (refused.n > 0 && !strstr(refused.path, "networkPolicy")))
        wrong++;
    ray_cluster_free(c);
    ray_job_free(j);
}

/* As the server does for generateName. */
static void give_name(struct json *o)
{
    struct json *meta = json_get(o, "metadata");
    const char *prefix = json_str(json_get(meta, "generateName"));
    char name[128];

    if (!prefix || json_get(meta, "name"))
        return;
    snprintf(name, sizeof name, "%sabcde", prefix);
    json_set_str(meta, "name", name);
}

static void read_file(const char *path)
{
    struct raia_error e = {0};
    struct yaml_docs *docs = NULL;

    if (yaml_load_file(path, NULL, &docs, &e) < 0) {
        printf("%s: WRONG: %s\n", path, e.text);
        wrong++;
        return;
    }
    for (size_t i = 0; i < yaml_count(docs); i++) {
        struct json *o = yaml_doc(docs, i);
        const char *kind = json_str(json_get(o, "kind"));

        if (!kind || (strcmp(kind, "RayCluster") != 0 && strcmp(kind, "RayJob") != 0))
            continue;
        give_name(o);
        judge(strrchr(path, '/') + 1, o);
    }
    yaml_free(docs);
}

int main(int argc, char **argv)
{
    char path[4096];

    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *entry;

        if (!d) {
            perror(argv[i]);
            return 1;
        }
        while ((entry = readdir(d))) {
            if (!str_ends_with(entry->d_name, ".yaml"))
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            read_file(path);
        }
        closedir(d);
    }
    printf("%u objects, %u wrong\n", objects, wrong);
    return wrong > 0 || objects == 0;
}
