/*
 * Wrong manifests: one message that names file, line, field and expectation; nothing is started.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/manifest.h"
#include "mutations.h"

extern char **environ;

/* "m.yaml:LINE:COLUMN: ..." */
static unsigned line_of(const char *text)
{
    unsigned line = 0, column = 0;
    return sscanf(text, "m.yaml:%u:%u: ", &line, &column) == 2 && column ? line : 0;
}

/* The manifest that the mutations start from is itself good. */
Test(mutated, the_original_is_good)
{
    struct manifest *m = NULL;
    struct raia_error e = {0};
    cr_assert(manifest_parse(mutations_good, strlen(mutations_good), "m.yaml", &m, &e) == 0, "%s",
              e.text);
    manifest_free(m);
    cr_assert_geq(mutations_n, 50);
}

/* Each is refused with the place and the expectation, and yields nothing. */
Test(mutated, each_names_its_place)
{
    for (size_t i = 0; i < mutations_n; i++) {
        size_t len = 0;
        char *text = mutations_apply(i, &len);
        struct manifest *m = NULL;
        struct raia_error e = {0};
        cr_assert(len || !mutations[i].find, "'%s' does not apply", mutations[i].what);
        cr_assert(manifest_parse(text, len, "m.yaml", &m, &e) < 0, "'%s' was accepted",
                  mutations[i].what);
        cr_assert_null(m);
        cr_assert(line_of(e.text) != 0, "'%s' names no place: %s", mutations[i].what, e.text);
        cr_assert(!mutations[i].line || line_of(e.text) == mutations[i].line,
                  "'%s': line %u expected: %s", mutations[i].what, mutations[i].line, e.text);
        cr_assert(strstr(e.text, mutations[i].expect), "'%s': '%s' expected: %s", mutations[i].what,
                  mutations[i].expect, e.text);
        free(text);
    }
}

/* What attacks the reader is refused as well, in bounded time and memory. */
Test(mutated, special, .timeout = 60)
{
    const char *what = "";
    size_t len = 0, n = 0;
    for (char *text; (text = mutations_special(n, &len, &what)); n++) {
        struct manifest *m = NULL;
        struct raia_error e = {0};
        cr_assert(manifest_parse(text, len, "m.yaml", &m, &e) < 0, "'%s' was accepted", what);
        cr_assert_null(m);
        cr_assert(strstr(e.text, "m.yaml"), "'%s' names no file: %s", what, e.text);
        free(text);
    }
    cr_assert_geq(n, 9);
}

/* Every cut of the good manifest is accepted or refused with a place. */
Test(mutated, every_cut, .timeout = 120)
{
    for (size_t len = 0; len < strlen(mutations_good); len++) {
        struct manifest *m = NULL;
        struct raia_error e = {0};
        if (manifest_parse(mutations_good, len, "m.yaml", &m, &e) < 0)
            cr_assert(line_of(e.text) != 0, "cut at %zu: %s", len, e.text);
        manifest_free(m);
    }
}

static char dir[64]; /* of the test with the program */

static int run_up(const char *file, char out[4096])
{
    char path[128], *argv[] = {"raia", "up", "-f", "m.yaml", "--detach", NULL};
    snprintf(path, sizeof path, "%s/out", dir);
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addchdir_np(&fa, dir);
    posix_spawn_file_actions_addopen(&fa, 2, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&fa, 2, 1);
    pid_t pid;
    int status = -1;
    (void)file;
    cr_assert(posix_spawn(&pid, RAIA, &fa, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&fa);
    cr_assert(waitpid(pid, &status, 0) == pid);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    out[fread(out, 1, 4095, f)] = 0;
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static size_t entries(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    for (struct dirent *it; d && (it = readdir(d));)
        n += it->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void try_program(const char *text, size_t len, const char *what)
{
    char path[128], out[4096];
    snprintf(path, sizeof path, "%s/m.yaml", dir);
    cr_assert(io_write_file(path, text, len, 0600, 0, NULL) == 0);
    int status = run_up("m.yaml", out);
    cr_assert(status == 1, "'%s': exit status %d: %s", what, status, out);
    cr_assert(!strncmp(out, "raia up: ", 9) && strstr(out, "m.yaml"), "'%s': %s", what, out);
    char *end = strchr(out, '\n');
    cr_assert(end && !end[1], "'%s': one line expected: %s", what, out);
    snprintf(path, sizeof path, "%s/state", dir);
    cr_assert(entries(path) == 0, "'%s': something is in the state folder", what);
}

/* The program says the same in one line with exit status 1, and leaves the state folder empty. */
Test(mutated, the_program_starts_nothing, .timeout = 300)
{
    char path[128];
    snprintf(dir, sizeof dir, "/tmp/raia-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state", dir);
    setenv("RAIA_STATE_DIR", path, 1);
    size_t len = 0;
    for (size_t i = 0; i < mutations_n; i++) {
        char *text = mutations_apply(i, &len);
        try_program(text, len, mutations[i].what);
        free(text);
    }
    const char *what = "";
    char *text;
    for (size_t i = 0; (text = mutations_special(i, &len, &what)); i++) {
        try_program(text, len, what);
        free(text);
    }
    cr_assert(io_remove_tree(dir, NULL) == 0);
}
