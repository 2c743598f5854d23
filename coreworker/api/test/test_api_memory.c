/* Every public function survives the failure of its N-th allocation: see memory.h. */
#include "memory.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

uint64_t memory_armed, memory_made;
static unsigned failures; /* steps that failed, of all tables that this process ran */

/* Something was lost, and is waited for; or an answer that could not be read for want of memory is
 * said to say something else. */
static bool means_other(void)
{
    int code = raia_last_error()->code;

    return code == RAIA_ERR_TIMEOUT || code == RAIA_ERR_PROTOCOL || code == RAIA_ERR_NOT_FOUND;
}

/* The last step of a table runs with nothing failing: it must work, whatever failed before. */
static bool run(const struct memory_step *s, raia_call *c, unsigned *ret_failed)
{
    uint64_t n;

    *ret_failed = 0;
    for (n = 1, memory_made = 1; n <= MEMORY_MOST && memory_made + 1 >= n; n++) {
        memory_armed = n;
        memory_made = 0;
        if (s->step(c) < 0) {
            if (means_other())
                return false;
            ++*ret_failed;
        }
    }
    failures += *ret_failed;
    memory_armed = 0;
    return n <= MEMORY_MOST && s->step(c) == 0;
}

const char *memory_table(const struct memory_step *steps, size_t n, raia_call *c)
{
    static char wrong[RAIA_ERROR_TEXT_MAX + 200];
    unsigned failed;

    for (size_t i = 0; i < n; i++) {
        if (run(&steps[i], c, &failed))
            continue;
        snprintf(wrong, sizeof(wrong), "%s (step %zu), after %u failures: %s", steps[i].function, i,
                 failed, raia_last_error()->text);
        return wrong;
    }
    return NULL;
}

/* In a driver. */
Test(memory, driver, .init = session_begin, .fini = session_end)
{
    const char *wrong = memory_table(memory_driver, memory_driver_count, NULL);

    cr_assert_null(wrong, "%s", wrong);
    cr_assert_gt(failures, 60);
}

/* A process of its own, whose first use of the function it is: 0: the n-th allocation failed and the
 * next try worked, 1: it made no more than that, 2: anything else. */
static int cold(const struct memory_step *s, uint64_t n)
{
    bool reached, bad;

    if (raia_init(NULL) < 0)
        return 2;
    memory_armed = n;
    memory_made = 0;
    bad = s->step(NULL) < 0 && means_other();
    reached = memory_made >= n;
    memory_armed = 0;
    if (bad || s->step(NULL) < 0) {
        fprintf(stderr, "%s, after allocation %lu failed: %s\n", s->function, (unsigned long)n,
                raia_last_error()->text);
        return 2;
    }
    raia_shutdown();
    return reached ? 0 : 1;
}

static int in_child(const struct memory_step *s, uint64_t n)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        exit(cold(s, n));
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* The same for what only the first use of a process allocates: pools, tables, links. */
Test(memory, cold)
{
    for (size_t i = 0; i < memory_driver_count; i++) {
        const struct memory_step *s = &memory_driver[i];
        bool before = false;
        uint64_t n = 1;
        int r;

        for (size_t k = 0; k < i; k++)
            before = before || memory_driver[k].step == s->step;
        while (!before && n <= MEMORY_MOST && (r = in_child(s, n)) != 1) {
            cr_assert_eq(r, 0, "%s, allocation %lu", s->function, (unsigned long)n);
            failures++;
            n++;
        }
    }
    cr_assert_gt(failures, 100);
}

static int memory_new(raia_call *c)
{
    return raia_set_self(c, c);
}
RAIA_ACTOR(Memory, memory_new, NULL)

static void in_worker(raia_ref *r)
{
    char *said = raia_get_str(r, 120000);

    cr_assert(said && strcmp(said, "good") == 0, "%s", said ? said : raia_last_error()->text);
    free(said);
    raia_release(r);
}

/* In a task, and in a method. */
Test(memory, worker, .init = session_begin, .fini = session_end)
{
    raia_actor *a = raia_actor_create(memory_new);
    raia_ref *o = raia_put(raia_int(1));
    struct raia_value args[] = {raia_str("worker"), raia_int(1),      raia_double(1),
                                raia_bool(true),    raia_str("text"), raia_bytes("x", 1),
                                raia_refs(&o, 1),   raia_handle(a),   raia_value_of(o)};

    in_worker(raia_submit_named(NULL, "memory_runs", args, 9));
    args[0] = raia_str("method");
    in_worker(raia_actor_call_named(a, NULL, "memory_runs", args, 9));
    raia_release(o);
    raia_actor_release(a);
}

/* In what ends a call: raia_fail, raia_defer and what follows, raia_actor_exit. */
Test(memory, ends, .init = session_begin, .fini = session_end)
{
    const char *wrong = memory_table(memory_ends, memory_ends_count, NULL);

    cr_assert_null(wrong, "%s", wrong);
}

static int late(raia_call *c)
{
    (void)c;
    return 0;
}

static int step_register(raia_call *c)
{
    static unsigned round;
    char name[32];
    int r;

    (void)c;
    snprintf(name, sizeof(name), "late%u", round++);
    r = ARMED(raia_register(name, late));
    snprintf(name, sizeof(name), "Late%u", round);
    return r < 0 ? r : ARMED(raia_register_class(name, late, NULL));
}

static int step_init(raia_call *c)
{
    const struct raia_env_var env = {"A", "b"};
    static const char *const argv[] = {"x", NULL};
    struct raia_config config = {.struct_size = sizeof(config),
                                 .ns = "n",
                                 .argv = argv,
                                 .env = &env,
                                 .env_count = 1,
                                 .working_dir = "/tmp"};
    int r = ARMED(raia_init(&config));
    raia_ref *a;

    (void)c;
    if (r < 0)
        return r;
    a = raia_put(raia_int(1));
    ARMED_VOID(raia_shutdown());
    raia_release(a);
    return raia_initialized() ? -1 : 0;
}

static const struct memory_step outside[] = {
    {"raia_register", step_register},
    {"raia_register_class", step_register},
    {"raia_init", step_init},
    {"raia_shutdown", step_init},
};

/* Before raia_init, in it, and in raia_shutdown. */
Test(memory, outside)
{
    const char *wrong = memory_table(outside, sizeof(outside) / sizeof(outside[0]), NULL);

    cr_assert_null(wrong, "%s", wrong);
    cr_assert_gt(failures, 5);
}

/* Folders of clusters that this process has started. */
static unsigned own_clusters(void)
{
    DIR *d = opendir(getenv("RAIA_STATE_DIR"));
    char prefix[32];
    unsigned n = 0;

    cr_assert_not_null(d);
    snprintf(prefix, sizeof(prefix), "own-%d-", (int)getpid());
    for (struct dirent *it; (it = readdir(d));)
        n += strncmp(it->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

/* In raia_init that starts a cluster: it fails, that cluster goes again, and the next try works. The
 * first allocations, then fewer and fewer of them: each takes a cluster. */
Test(memory, own, .timeout = 250)
{
    bool reached = true;
    unsigned failed = 0;

    unsetenv("RAIA_ADDRESS");
    for (uint64_t n = 1; reached; n += 1 + n / 2) {
        int r;

        memory_armed = n;
        memory_made = 0;
        r = ARMED(raia_init(NULL));
        reached = memory_made >= n;
        cr_expect_eq(own_clusters(), r == 0, "%d, allocation %lu", r, (unsigned long)n);
        failed += r < 0;
        if (r == 0)
            raia_shutdown();
        cr_assert_not(raia_initialized());
        cr_assert_eq(own_clusters(), 0, "%d, allocation %lu", r, (unsigned long)n);
    }
    cr_assert_gt(failed, 2);
    memory_armed = 0;
    cr_assert_eq(raia_init(NULL), 0, "%s", raia_last_error()->text);
    raia_shutdown();
}

static bool has(const struct memory_step *steps, size_t n, const char *function)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(steps[i].function, function) == 0)
            return true;
    return false;
}

/* The tables name every function of raia.h. */
Test(memory, all)
{
    char line[512], *name;
    unsigned functions = 0;
    bool open = false;
    FILE *f = fopen(RAIA_H, "re");

    cr_assert_not_null(f, "%s", RAIA_H);
    while (fgets(line, sizeof(line), f)) {
        open = open || strncmp(line, "RAIA_API ", 9) == 0;
        if (!open)
            continue;
        for (name = line; (name = strstr(name, "raia_")) != NULL; name += 5) {
            size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

            if (name[n] != '(')
                continue;
            name[n] = '\0';
            cr_expect(has(memory_driver, memory_driver_count, name) ||
                          has(memory_worker, memory_worker_count, name) ||
                          has(memory_method, memory_method_count, name) ||
                          has(memory_ends, memory_ends_count, name) ||
                          has(outside, sizeof(outside) / sizeof(outside[0]), name),
                      "%s has no step in which its allocations fail", name);
            functions++;
            open = false;
            break;
        }
    }
    fclose(f);
    cr_assert_gt(functions, 80);
}
