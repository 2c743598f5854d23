/* A driver that says what it and its workers find around them: a variable, a file in the current
 * folder. Its tasks need the resource "here", which puts them on another node than the head.
 *
 *     e2e_surroundings VARIABLE FILE TASKS
 * prints "driver VALUE TEXT", then "worker VALUE TEXT" for each of TASKS that hold "here". */
#include <raia/raia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void look(const char *variable, const char *file, char *buf, size_t size)
{
    const char *value = getenv(variable);
    char text[64] = "(no such file)";
    FILE *f = fopen(file, "r");

    if (f) {
        size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = 0;
        text[strcspn(text, "\n")] = 0;
        fclose(f);
    }
    snprintf(buf, size, "%s %s", value ? value : "(unset)", text);
}

static int around(raia_call *c)
{
    char buf[256];

    look(raia_arg_str(c, 0), raia_arg_str(c, 1), buf, sizeof buf);
    return raia_return(c, raia_str(buf));
}
RAIA_TASK(around)

int main(int argc, char **argv)
{
    const struct raia_resource here = {"here", 1};
    char buf[256];
    int n = argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0;

    if (raia_init(NULL) < 0) /* workers go no further */
        return raia_perror("init");
    if (argc != 4)
        return 2;
    look(argv[1], argv[2], buf, sizeof buf);
    printf("driver %s\n", buf);
    for (int i = 0; i < n; i++) {
        raia_ref *r =
            raia_submit_opt(RAIA_OPTIONS(.num_cpus = 0.1, .resources = &here, .resource_count = 1),
                            around, raia_str(argv[1]), raia_str(argv[2]));
        char *found = raia_get_str(r, RAIA_FOREVER);
        if (!found)
            return raia_perror("around");
        printf("worker %s\n", found);
        free(found);
        raia_release(r);
    }
    raia_shutdown();
    return 0;
}
