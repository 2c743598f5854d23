/*
 * test_manifest_samples FOLDER: every manifest in it that has a RayCluster or a RayJob must load.
 * For KubeRay's own samples, which start as they are.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/manifest.h"

static int try_file(const char *path, size_t *ours)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    int r = manifest_load(path, &m, &e);
    manifest_free(m);
    if (r < 0 && strstr(e.text, "expected a RayCluster or a RayJob"))
        return 0; /* only other kinds in it */
    *ours += 1;
    if (r < 0)
        fprintf(stderr, "FAILED %s\n", e.text);
    return r;
}

int main(int argc, char **argv)
{
    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
    size_t ours = 0, bad = 0;
    if (!d) {
        fprintf(stderr, "usage: test_manifest_samples FOLDER\n");
        return 2;
    }
    for (struct dirent *it; (it = readdir(d));) {
        _cleanup_(mem_freep) char *path = mem_printf("%s/%s", argv[1], it->d_name);
        if (path && (str_ends_with(it->d_name, ".yaml") || str_ends_with(it->d_name, ".json")))
            bad += try_file(path, &ours) < 0;
    }
    closedir(d);
    printf("%zu manifests, %zu failed\n", ours, bad);
    return bad || !ours;
}
