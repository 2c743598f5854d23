/*
 * The real raia-agent with real processes; the test plays the raylet through fake_raylet.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/mem.h"

#define WAIT_MS 30000 /* for what must happen; far beyond what it takes */

extern char **environ;

static char dir[64];      /* of this test */
static char path[256];    /* scratch */
static int listener = -1; /* where fake raylets connect */
static pid_t agent;       /* raia-agent */

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void copy(const char *from, const char *name)
{
    char command[1024];
    snprintf(command, sizeof command, "cp '%s' '%s/%s'", from, dir, name);
    char *argv[] = {"sh", "-c", command, NULL};
    pid_t pid;
    int status;
    cr_assert(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) == 0);
    cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "cp %s", from);
}

static void start_agent(void)
{
    snprintf(dir, sizeof dir, "/tmp/raia-test-XXXXXX");
    cr_assert(mkdtemp(dir));
    cr_assert(mkdir(in_dir("logs"), 0700) == 0);
    copy(RAIA_AGENT, "raia-agent");
    copy(RAIA_SHIM, "raia-shim");
    copy(FAKE_RAYLET, "raia-raylet");

    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", dir);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 4) == 0);
    setenv("FAKE_RAYLET_SOCKET", a.sun_path, 1);

    char session[128];
    snprintf(session, sizeof session, "--session-dir=%s", dir);
    char *argv[] = {
        "raia-agent", "--node-name=n1", session, "--gcs-address=127.0.0.1:1", "--node-ip=127.0.0.1",
        NULL};
    /* This process adopts what a killed agent leaves behind, to see whether it dies. */
    cr_assert(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    cr_assert(posix_spawn(&agent, in_dir("raia-agent"), NULL, NULL, argv, environ) == 0);
}

static void cleanup(void)
{
    char command[128];
    if (agent > 0)
        kill(agent, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    char *argv[] = {"sh", "-c", command, NULL};
    pid_t pid;
    if (posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) == 0)
        waitpid(pid, NULL, 0);
}

TestSuite(supervisor, .init = start_agent, .fini = cleanup, .timeout = 120);

static int accept_raylet(void)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    cr_assert(poll(&p, 1, WAIT_MS) == 1, "no raylet was started");
    int fd = accept(listener, NULL, NULL);
    cr_assert(fd >= 0);
    return fd;
}

static Raia__Agent__SupervisorUp *receive(int fd, Raia__Agent__SupervisorUp__BodyCase kind)
{
    static uint8_t buf[1 << 18];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    cr_assert(poll(&p, 1, WAIT_MS) == 1, "no message of kind %d", (int)kind);
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    cr_assert(n > 0, "the agent hung up");
    Raia__Agent__SupervisorUp *m = raia__agent__supervisor_up__unpack(NULL, (size_t)n, buf);
    cr_assert(m && m->body_case == kind, "kind %d instead of %d", m ? (int)m->body_case : -1,
              (int)kind);
    return m;
}

static void give(int fd, Raia__Agent__SupervisorDown *m)
{
    uint8_t buf[4096];
    size_t n = raia__agent__supervisor_down__pack(m, buf);
    cr_assert(send(fd, buf, n, 0) == (ssize_t)n);
}

static void say_ready(int fd, uint8_t byte)
{
    uint8_t id[16];
    memset(id, byte, sizeof id);
    Raia__Agent__Ready r = RAIA__AGENT__READY__INIT;
    r.node_id.data = id;
    r.node_id.len = sizeof id;
    r.address = "127.0.0.1:2";
    Raia__Agent__SupervisorDown d = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    d.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_READY;
    d.ready = &r;
    give(fd, &d);
}

static void say_spawn(int fd, uint64_t id, const char *submission, char *command)
{
    char *argv[] = {"sh", "-c", command};
    Raia__EnvVar var = RAIA__ENV_VAR__INIT, *vars[] = {&var};
    var.name = "GREETING";
    var.value = "hello";
    char out[128];
    snprintf(out, sizeof out, "%s/out", dir);
    Raia__Agent__Spawn s = RAIA__AGENT__SPAWN__INIT;
    s.id = id;
    s.argv = argv;
    s.n_argv = 3;
    s.env = vars;
    s.n_env = 1;
    s.stdout_path = out;
    s.entrypoint = submission != NULL;
    if (submission)
        s.submission_id = (char *)(uintptr_t)submission;
    Raia__Agent__SupervisorDown d = RAIA__AGENT__SUPERVISOR_DOWN__INIT;
    d.body_case = RAIA__AGENT__SUPERVISOR_DOWN__BODY_SPAWN;
    d.spawn = &s;
    give(fd, &d);
}

static pid_t spawned(int fd, uint64_t id)
{
    Raia__Agent__SupervisorUp *m = receive(fd, RAIA__AGENT__SUPERVISOR_UP__BODY_SPAWNED);
    pid_t pid = m->spawned->pid;
    cr_assert(m->spawned->id == id && pid > 0);
    raia__agent__supervisor_up__free_unpacked(m, NULL);
    return pid;
}

static int exited(int fd, uint64_t id)
{
    Raia__Agent__SupervisorUp *m = receive(fd, RAIA__AGENT__SUPERVISOR_UP__BODY_EXITED);
    int status = m->exited->status;
    cr_assert_eq(m->exited->id, id);
    raia__agent__supervisor_up__free_unpacked(m, NULL);
    return status;
}

static int begin(void)
{
    int fd = accept_raylet();
    Raia__Agent__SupervisorUp *m = receive(fd, RAIA__AGENT__SUPERVISOR_UP__BODY_SURVIVORS);
    cr_assert(m->survivors->dead_node_id.len == 0 && m->survivors->n_entrypoints == 0);
    raia__agent__supervisor_up__free_unpacked(m, NULL);
    return fd;
}

static bool gone_within(pid_t pid, int ms)
{
    /* It is our child (adopted) or the agent's; either way it must vanish. */
    for (int i = 0; i < ms; i += 10) {
        (void)waitpid(pid, NULL, WNOHANG);
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

/* A worker's output, environment, exit status and death by a signal are as a shell would tell them.
 */
Test(supervisor, spawns_and_tells_how_it_ended)
{
    int fd = begin();
    say_spawn(fd, 7, NULL, "echo $GREETING; exit 3");
    spawned(fd, 7);
    cr_assert_eq(exited(fd, 7), 3);
    FILE *f = fopen(in_dir("out"), "r");
    char line[32] = "";
    cr_assert(f && fgets(line, sizeof line, f));
    fclose(f);
    cr_assert_str_eq(line, "hello\n");

    say_spawn(fd, 8, NULL, "sleep 1000");
    kill(spawned(fd, 8), SIGKILL);
    cr_assert_eq(exited(fd, 8), 128 + SIGKILL);
}

/* When the raylet dies its workers die first, entrypoints live, and the next raylet is told of
 * both. */
Test(supervisor, entrypoints_outlive_the_raylet)
{
    int fd = begin();
    say_ready(fd, 0xab);
    say_spawn(fd, 1, NULL, "sleep 1000");
    pid_t worker = spawned(fd, 1);
    say_spawn(fd, 2, "sub-1", "sleep 1000; exit 4");
    pid_t entrypoint = spawned(fd, 2);
    close(fd); /* the fake raylet ends when its other side does */

    fd = accept_raylet();
    cr_assert(gone_within(worker, WAIT_MS));
    cr_assert(kill(entrypoint, 0) == 0);
    Raia__Agent__SupervisorUp *m = receive(fd, RAIA__AGENT__SUPERVISOR_UP__BODY_SURVIVORS);
    cr_assert(m->survivors->dead_node_id.len == 16 && m->survivors->dead_node_id.data[3] == 0xab);
    cr_assert(m->survivors->n_entrypoints == 1);
    cr_assert_str_eq(m->survivors->entrypoints[0]->submission_id, "sub-1");
    cr_assert_eq(m->survivors->entrypoints[0]->pid, entrypoint);
    raia__agent__supervisor_up__free_unpacked(m, NULL);
    kill(entrypoint, SIGTERM);
    cr_assert_eq(exited(fd, 2), 128 + SIGTERM);
}

/* SIGTERM ends the node: afterwards no process of it is left, not even one in a session of its own.
 */
Test(supervisor, stop_leaves_nothing)
{
    int fd = begin();
    say_spawn(fd, 1, "sub-1",
              "setsid sleep 1000 & echo $! >pid; trap '' TERM; sleep 1000; sleep 1000");
    pid_t entrypoint = spawned(fd, 1);
    long stray = 0;
    for (int i = 0; i < WAIT_MS / 10 && !stray; i++) {
        FILE *f = fopen(in_dir("pid"), "r");
        if (f && fscanf(f, "%ld", &stray) != 1)
            stray = 0;
        if (f)
            fclose(f);
        poll(NULL, 0, 10);
    }
    cr_assert(stray > 0);
    kill(agent, SIGTERM);
    int status;
    cr_assert(waitpid(agent, &status, 0) == agent);
    agent = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert(kill(entrypoint, 0) < 0 && errno == ESRCH);
    cr_assert(kill((pid_t)stray, 0) < 0 && errno == ESRCH);
}

/* kill -9 of the supervisor takes its node with it. */
Test(supervisor, its_death_is_its_nodes)
{
    int fd = begin();
    say_spawn(fd, 1, "sub-1", "exec sleep 1000");
    pid_t entrypoint = spawned(fd, 1);
    say_spawn(fd, 2, NULL, "exec sleep 1000");
    pid_t worker = spawned(fd, 2);
    kill(agent, SIGKILL);
    cr_assert(gone_within(entrypoint, WAIT_MS));
    cr_assert(gone_within(worker, WAIT_MS));
}
