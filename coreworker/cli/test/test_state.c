/*
 * State folders.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/state.h"
#include "crypto/crypto.h"

static char base[64];

static void setup(void)
{
    snprintf(base, sizeof base, "/tmp/raia-test-XXXXXX");
    cr_assert_not_null(mkdtemp(base));
    setenv("RAIA_STATE_DIR", base, 1);
    unsetenv("RAIA_CLUSTER");
    unsetenv("RAIA_ADDRESS");
}

static void cleanup(void)
{
    (void)chmod(base, 0700);
    cr_assert(io_remove_tree(base, NULL) == 0);
}

TestSuite(state, .init = setup, .fini = cleanup);

/* A folder that others can write to, or a link, is refused: they could have planted it. */
Test(state, planted)
{
    struct raia_error e = {0};
    char *dir = NULL, link[96];
    cr_assert(chmod(base, 0777) == 0);
    cr_assert(state_root(&dir, &e) == -RAIA_ERR_PERMISSION && !dir);
    cr_assert(strstr(e.text, base) && strstr(e.text, "RAIA_STATE_DIR"));
    cr_assert(chmod(base, 0720) == 0);
    cr_assert(state_root(&dir, &e) == -RAIA_ERR_PERMISSION);
    cr_assert(chmod(base, 0700) == 0);
    snprintf(link, sizeof link, "%s/link", base);
    cr_assert(symlink("/tmp", link) == 0);
    setenv("RAIA_STATE_DIR", link, 1);
    cr_assert(state_root(&dir, &e) == -RAIA_ERR_PERMISSION && !dir);
    if (getuid()) { /* / belongs to another */
        setenv("RAIA_STATE_DIR", "/usr", 1);
        cr_assert(state_root(&dir, &e) == -RAIA_ERR_PERMISSION && !dir);
    }
    setenv("RAIA_STATE_DIR", base, 1);
    cr_assert(state_root(&dir, &e) == 0);
    cr_assert_str_eq(dir, base);
    mem_free(dir);
}

/* A missing root is made for its owner alone; relative ones are made absolute. */
Test(state, made)
{
    char path[96], *dir = NULL;
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b", base);
    setenv("RAIA_STATE_DIR", path, 1);
    cr_assert(state_root(&dir, NULL) == 0 && stat(path, &st) == 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    mem_free(dir);
    cr_assert(chdir(base) == 0);
    setenv("RAIA_STATE_DIR", "rel", 1);
    cr_assert(state_root(&dir, NULL) == 0);
    snprintf(path, sizeof path, "%s/rel", base);
    cr_assert_str_eq(dir, path);
    mem_free(dir);
    cr_assert(chdir("/") == 0);
}

/* Names that would lead out of the root are refused. */
Test(state, names)
{
    static const char *const bad[] = {"", ".", "..", "../x", "a/b", ".hidden"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *dir = NULL;
        cr_assert(state_dir(bad[i], &dir, NULL) == -RAIA_ERR_INVALID && !dir, "'%s'", bad[i]);
    }
}

/* Secrets are readable by their owner alone, chain to their CA, and are made once. */
Test(state, secrets)
{
    struct raia_error e = {0};
    char *dir = NULL, path[160], *first = NULL, *again = NULL, *ca = NULL, *cert = NULL;
    static const char *const files[] = {"token", "tls/ca.key", "tls/node.key"};
    struct stat st;
    cr_assert(state_dir("c", &dir, &e) == 0 && io_mkdir_p(dir, 0700, &e) == 0);
    cr_assert(state_make_secrets(dir, "127.0.0.1", &e) == 0, "%s", e.text);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        cr_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "%s", path);
    }
    snprintf(path, sizeof path, "%s/token", dir);
    cr_assert(io_read_file(path, 4096, &first, NULL, &e) == 0);
    cr_assert(strlen(first) >= 64);
    cr_assert(state_make_secrets(dir, "127.0.0.1", &e) == 0);
    cr_assert(io_read_file(path, 4096, &again, NULL, &e) == 0);
    cr_assert_str_eq(first, again);
    snprintf(path, sizeof path, "%s/tls/ca.pem", dir);
    cr_assert(io_read_file(path, 1 << 16, &ca, NULL, &e) == 0);
    snprintf(path, sizeof path, "%s/tls/node.pem", dir);
    cr_assert(io_read_file(path, 1 << 16, &cert, NULL, &e) == 0);
    cr_assert(crypto_cert_verify(ca, cert, "raia-node", time(NULL), &e) == 0, "%s", e.text);
    mem_free(first);
    mem_free(again);
    mem_free(ca);
    mem_free(cert);
    mem_free(dir);
}

/* A child that holds the cluster's lock, as a keeper does. */
static pid_t hold(const char *name)
{
    char *dir = NULL;
    char path[128];
    int ready[2];
    snprintf(path, sizeof path, "%s/%s/keeper.pid", base, name);
    cr_assert(state_dir(name, &dir, NULL) == 0 && io_mkdir_p(dir, 0700, NULL) == 0);
    cr_assert(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = -1;
        if (fd_lock(path, &fd, NULL) < 0)
            _exit(1);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    char x;
    close(ready[1]);
    cr_assert(read(ready[0], &x, 1) == 1, "the child did not get the lock");
    close(ready[0]);
    mem_free(dir);
    return pid;
}

static void publish(const char *name, int port)
{
    struct state_address a = {"127.0.0.1", port, "127.0.0.1", port + 1};
    struct raia_error e = {0};
    char *dir = NULL;
    cr_assert(state_dir(name, &dir, &e) == 0);
    cr_assert(state_make_secrets(dir, "127.0.0.1", &e) == 0, "%s", e.text);
    cr_assert(state_publish(dir, name, &a, &e) == 0, "%s", e.text);
    mem_free(dir);
}

/* A cluster is alive as long as its holder lives, whatever its files say; the lock tells its pid. */
Test(state, alive)
{
    struct raia_error e = {0};
    struct state_cluster c = {0};
    char *dir = NULL;
    int pid = 0;
    cr_assert(state_open("c", &c, &e) == -RAIA_ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "'c'"));
    pid_t child = hold("c");
    publish("c", 1000);
    cr_assert(state_dir("c", &dir, NULL) == 0);
    cr_assert(state_alive(dir, &pid) && pid == child);
    cr_assert(state_open("c", &c, &e) == 0, "%s", e.text);
    cr_assert_str_eq(c.name, "c");
    cr_assert_str_eq(c.api_url, "http://127.0.0.1:1001");
    cr_assert_str_eq(c.gcs_address, "127.0.0.1:1000");
    cr_assert_eq(strlen(c.token), 64);
    state_cluster_done(&c);
    kill(child, SIGKILL);
    cr_assert(waitpid(child, NULL, 0) == child);
    cr_assert(!state_alive(dir, NULL));
    cr_assert(state_open("c", &c, &e) == -RAIA_ERR_NOT_FOUND);
    mem_free(dir);
}

/* Without a name it is the newest that runs; the environment may name one, by name or folder. */
Test(state, newest_and_named)
{
    struct raia_error e = {0};
    struct state_cluster c = {0};
    char path[128];
    cr_assert(state_open(NULL, &c, &e) == -RAIA_ERR_NOT_FOUND && strstr(e.text, "raia up"));
    pid_t a = hold("a"), b = hold("b");
    publish("a", 1000);
    for (int64_t now = clock_unix_ms(); clock_unix_ms() <= now;)
        ; /* so that b is newer */
    publish("b", 2000);
    cr_assert(state_open(NULL, &c, &e) == 0, "%s", e.text);
    cr_assert_str_eq(c.name, "b");
    state_cluster_done(&c);
    static const char *const forms[][2] = {
        {"", "/a"}, {"", "/a/nodes/head"}, {"unix:", "/a/nodes/head/raylet.sock"}};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s%s", i ? forms[i - 1][0] : "", i ? base : "a",
                 i ? forms[i - 1][1] : "");
        setenv("RAIA_ADDRESS", path, 1);
        cr_assert(state_open(NULL, &c, &e) == 0, "%s: %s", path, e.text);
        cr_assert_str_eq(c.name, "a");
        state_cluster_done(&c);
    }
    setenv("RAIA_ADDRESS", "auto", 1);
    cr_assert(state_open(NULL, &c, &e) == 0);
    cr_assert_str_eq(c.name, "b");
    state_cluster_done(&c);
    setenv("RAIA_CLUSTER", "a", 1);
    cr_assert(state_open(NULL, &c, &e) == 0);
    cr_assert_str_eq(c.name, "a");
    state_cluster_done(&c);
    kill(a, SIGKILL);
    kill(b, SIGKILL);
    waitpid(a, NULL, 0);
    waitpid(b, NULL, 0);
}

/* Every folder is listed, running or not. */
Test(state, list)
{
    char **names = NULL, path[96];
    snprintf(path, sizeof path, "%s/one", base);
    cr_assert(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/.lock", base);
    cr_assert(mkdir(path, 0700) == 0);
    cr_assert(state_list(&names, NULL) == 0);
    cr_assert_str_eq(names[0], "one");
    cr_assert_null(names[1]);
    state_list_free(names);
}
