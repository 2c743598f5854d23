/* The real raia-gcs through its REST API, with a head's raylet that this test plays. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "http/http_ws.h"
#include "json/json.h"
#include "test/client.h"

#define TOKEN "a-token-of-the-test"

static struct gcs_process p;
static struct gcs_client c;
static char token_flag[160];
static const char *const flags[] = {token_flag, NULL};

static void begin(void)
{
    char path[128];

    strcpy(p.dir, "/tmp/raia-gcs-XXXXXX");
    cr_assert(mkdtemp(p.dir));
    snprintf(path, sizeof path, "%s/token", p.dir);
    cr_assert_eq(io_write_file(path, TOKEN "\n", sizeof TOKEN, 0600, 0, NULL), 0);
    snprintf(token_flag, sizeof token_flag, "--token-file=%s", path);
    gcs_process_start(&p, flags);
    gcs_client_open(&c, p.port);
}

static void end(void)
{
    gcs_client_close(&c);
    gcs_process_done(&p);
}

TestSuite(rest, .init = begin, .fini = end, .timeout = 240);

/* Asks; returns the status, and the body as JSON if it is (json_free), else its text. */
static int ask(const char *method, const char *path, const char *body, struct json **ret_json)
{
    _cleanup_(mem_freep) char *url = mem_printf("http://127.0.0.1:%d%s", p.dashboard_port, path);
    struct http_request q = {.method = method,
                             .url = url,
                             .bearer = TOKEN,
                             .body = body,
                             .body_len = body ? strlen(body) : 0};
    _cleanup_(http_reply_done) struct http_reply reply = {0};
    struct raia_error e = {0};
    struct json *root = NULL;

    cr_assert_eq(http_do(&q, &reply, &e), 0, "%s", e.text);
    if (reply.body && json_parse(reply.body, reply.body_len, NULL, &root, NULL) < 0)
        root = json_new_str(reply.body);
    if (ret_json)
        *ret_json = root;
    else
        json_free(root);
    return reply.status;
}

static void expect_status(const char *id, const char *status)
{
    _cleanup_(mem_freep) char *path = mem_printf("/api/jobs/%s", id);
    _cleanup_(json_freep) struct json *root = NULL;

    cr_assert_eq(ask("GET", path, NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "status")), status);
}

static void head_hello(uint8_t node, Raia__Gcs__EntrypointEvent *event)
{
    Raia__Gcs__SessionHello m = RAIA__GCS__SESSION_HELLO__INIT;

    m.node_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)gcs_id(node)};
    m.entrypoints = &event;
    m.n_entrypoints = event ? 1 : 0;
    gcs_client_hello(&c, &m);
}

static Raia__Gcs__EntrypointEvent event_of(const char *id, uint32_t attempt,
                                           Raia__Gcs__EntrypointState state, int status)
{
    Raia__Gcs__EntrypointEvent event = RAIA__GCS__ENTRYPOINT_EVENT__INIT;

    event.submission_id = (char *)(uintptr_t)id;
    event.attempt = attempt;
    event.state = state;
    event.pid = 4711;
    event.exit_status = status;
    return event;
}

static void tell(Raia__Gcs__EntrypointEvent event)
{
    Raia__Gcs__SessionUp up = RAIA__GCS__SESSION_UP__INIT;

    up.body_case = RAIA__GCS__SESSION_UP__BODY_ENTRYPOINT;
    up.entrypoint = &event;
    gcs_client_up(&c, &up);
}

#define STARTED      RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_STARTED
#define EXITED       RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_EXITED
#define START_FAILED RAIA__GCS__ENTRYPOINT_STATE__ENTRYPOINT_START_FAILED
#define DOWN_START   RAIA__GCS__SESSION_DOWN__BODY_START_ENTRYPOINT
#define DOWN_STOP    RAIA__GCS__SESSION_DOWN__BODY_STOP_ENTRYPOINT
#define DOWN_ACK     RAIA__GCS__SESSION_DOWN__BODY_ENTRYPOINT_ACK

/* Submits, and takes the command that the head gets. */
static const Raia__Gcs__StartEntrypoint *submit(const char *id, size_t nth)
{
    _cleanup_(mem_freep) char *body = mem_printf(
        "{\"entrypoint\":\"echo hello\",\"submission_id\":\"%s\",\"metadata\":{\"who\":\"me\"},"
        "\"runtime_env\":{\"env_vars\":{\"A\":\"1\"},\"working_dir\":\"gcs://_ray_pkg_1.zip\","
        "\"pip\":[\"x\"]}}",
        id);
    const Raia__Gcs__StartEntrypoint *start;

    cr_assert_eq(ask("POST", "/api/jobs/", body, NULL), 200);
    start = gcs_client_down(&c, DOWN_START, nth)->start_entrypoint;
    cr_assert_str_eq(start->submission_id, id);
    return start;
}

/* A job runs and succeeds; the head gets all that it needs; its end is acknowledged. */
Test(rest, job_succeeds)
{
    const Raia__Gcs__StartEntrypoint *start;
    struct json *root = NULL;
    uint32_t attempt;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    start = submit("j", 0);
    attempt = start->attempt;
    cr_assert_str_eq(start->entrypoint, "echo hello");
    cr_assert_str_eq(start->metadata_json, "{\"who\":\"me\"}");
    cr_assert_eq(start->runtime_env->n_env_vars, 1);
    cr_assert_str_eq(start->runtime_env->env_vars[0]->name, "A");
    cr_assert_str_eq(start->runtime_env->working_dir, "gcs://_ray_pkg_1.zip");
    cr_assert_str_eq(start->runtime_env->unsupported, "runtime_env.pip");
    expect_status("j", "PENDING");
    tell(event_of("j", attempt, STARTED, 0));
    tell(event_of("j", attempt, EXITED, 0));
    cr_assert_eq(gcs_client_down(&c, DOWN_ACK, 0)->entrypoint_ack->attempt, attempt);
    expect_status("j", "SUCCEEDED");
    cr_assert_eq(ask("GET", "/api/jobs/j", NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "type")), "SUBMISSION");
    cr_assert_str_eq(json_str(json_get(json_get(root, "metadata"), "who")), "me");
    cr_assert(json_is(json_get(root, "driver_exit_code"), JSON_NUMBER));
    cr_assert_str_eq(json_str(json_get(root, "driver_agent_http_address")), "http://127.0.0.1");
    json_free(root);
    cr_assert_eq(ask("DELETE", "/api/jobs/j", NULL, NULL), 200);
    cr_assert_eq(ask("GET", "/api/jobs/j", NULL, NULL), 404);
}

/* Failures say what failed, in Ray's words. */
Test(rest, job_fails)
{
    Raia__Gcs__EntrypointEvent event;
    Raia__Error error = RAIA__ERROR__INIT;
    struct json *root = NULL;
    uint32_t attempt;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    attempt = submit("j", 0)->attempt;
    tell(event_of("j", attempt, STARTED, 0));
    tell(event_of("j", attempt, EXITED, 3));
    (void)gcs_client_down(&c, DOWN_ACK, 0);
    cr_assert_eq(ask("GET", "/api/jobs/j", NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "status")), "FAILED");
    cr_assert_str_eq(json_str(json_get(root, "error_type")), "JOB_ENTRYPOINT_COMMAND_ERROR");
    cr_assert(strstr(json_str(json_get(root, "message")), "exit code 3"));
    json_free(root);
    event = event_of("e", submit("e", 1)->attempt, START_FAILED, 0);
    error.code = RAIA_ERR_RUNTIME_ENV;
    error.text = (char *)(uintptr_t) "no pip here";
    event.error = &error;
    tell(event);
    (void)gcs_client_down(&c, DOWN_ACK, 1);
    cr_assert_eq(ask("GET", "/api/jobs/e", NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "error_type")), "RUNTIME_ENV_SETUP_FAILURE");
    cr_assert(strstr(json_str(json_get(root, "message")), "no pip here"));
    json_free(root);
}

/* A job submitted before any head is there waits for it; a stop reaches it, and is remembered. */
Test(rest, job_waits_and_stops)
{
    struct json *root = NULL;
    uint32_t attempt;

    cr_assert_eq(ask("POST", "/api/jobs/", "{\"entrypoint\":\"x\",\"submission_id\":\"w\"}", NULL),
                 200);
    expect_status("w", "PENDING");
    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    attempt = gcs_client_down(&c, DOWN_START, 0)->start_entrypoint->attempt;
    tell(event_of("w", attempt, STARTED, 0));
    cr_assert_eq(ask("POST", "/api/jobs/w/stop", "", &root), 200);
    cr_assert(json_true(json_get(root, "stopped")));
    json_free(root);
    (void)gcs_client_down(&c, DOWN_STOP, 0);
    tell(event_of("w", attempt, EXITED, 143));
    (void)gcs_client_down(&c, DOWN_ACK, 0);
    expect_status("w", "STOPPED");
    cr_assert_eq(ask("POST", "/api/jobs/w/stop", "", &root), 200);
    cr_assert(!json_true(json_get(root, "stopped")));
    json_free(root);
}

/* One request by a thread of its own. */
struct waiting {
    pthread_t thread;  /* asks */
    const char *path;  /* what */
    int status;        /* of the answer */
    struct json *json; /* of the answer */
};

static void *wait_for_it(void *arg)
{
    struct waiting *w = arg;

    w->status = ask("GET", w->path, NULL, &w->json);
    return NULL;
}

static void wait_begin(struct waiting *w, const char *path)
{
    *w = (struct waiting){.path = path};
    cr_assert_eq(pthread_create(&w->thread, NULL, wait_for_it, w), 0);
}

static void wait_end(struct waiting *w, const char *status)
{
    cr_assert_eq(pthread_join(w->thread, NULL), 0);
    cr_assert_eq(w->status, 200);
    cr_assert_str_eq(json_str(json_get(w->json, "status")), status);
    json_free(w->json);
}

/* Who says what status is known is answered when it is another one, and long before the wait's end:
 * the job appears, starts, ends. */
Test(rest, job_long_poll)
{
    struct waiting w[2];
    uint32_t attempt;
    int64_t begin = clock_now_ns();

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    wait_begin(&w[0], "/api/jobs/l?wait_ms=45000&known_status=");
    usleep(20000); /* most likely it waits by now; if not, the answer is the same */
    attempt = submit("l", 0)->attempt;
    wait_end(&w[0], "PENDING");
    wait_begin(&w[0], "/api/jobs/l?wait_ms=45000&known_status=PENDING");
    wait_begin(&w[1], "/api/jobs/l?wait_ms=45000&known_status=PENDING");
    usleep(20000);
    tell(event_of("l", attempt, STARTED, 0));
    wait_end(&w[0], "RUNNING");
    wait_end(&w[1], "RUNNING");
    wait_begin(&w[0], "/api/jobs/l?wait_ms=45000&known_status=RUNNING");
    tell(event_of("l", attempt, EXITED, 0));
    wait_end(&w[0], "SUCCEEDED");
    cr_assert_lt(clock_now_ns() - begin, 40 * CLOCK_NS_PER_S);
}

/* A wait that sees nothing new ends after its time, not before, with the job as it is, or 404. */
Test(rest, job_long_poll_ends)
{
    struct json *root = NULL;
    int64_t begin;

    cr_assert_eq(ask("POST", "/api/jobs/", "{\"entrypoint\":\"x\",\"submission_id\":\"w\"}", NULL),
                 200);
    begin = clock_now_ns();
    cr_assert_eq(ask("GET", "/api/jobs/w?wait_ms=100&known_status=PENDING", NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "status")), "PENDING");
    json_free(root);
    cr_assert_eq(ask("GET", "/api/jobs/none?wait_ms=100&known_status=", NULL, NULL), 404);
    /* A loop's timer counts from when its round began: a little less is right. */
    cr_assert_geq(clock_now_ns() - begin, 150 * CLOCK_NS_PER_MS);
    cr_assert_eq(ask("GET", "/api/jobs/w?wait_ms=50000", NULL, NULL), 200); /* nothing is known */
    cr_assert_eq(ask("GET", "/api/jobs/w?wait_ms=x&known_status=PENDING", NULL, NULL), 200);
}

static void restart(void)
{
    gcs_client_close(&c);
    gcs_process_kill(&p);
    gcs_process_start(&p, flags);
    gcs_client_open(&c, p.port);
}

/* kill -9 while a job runs: it goes on, and its end, told in the next hello, is taken up. */
Test(rest, job_survives_gcs)
{
    Raia__Gcs__EntrypointEvent exited;
    uint32_t attempt;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    attempt = submit("j", 0)->attempt;
    tell(event_of("j", attempt, STARTED, 0));
    while (true) { /* until the start is stored */
        struct json *root = NULL;
        bool running;

        cr_assert_eq(ask("GET", "/api/jobs/j", NULL, &root), 200);
        running = strcmp(json_str(json_get(root, "status")), "RUNNING") == 0;
        json_free(root);
        if (running)
            break;
        (void)loop_run_once(c.loop, 10);
    }
    restart();
    expect_status("j", "RUNNING");
    exited = event_of("j", attempt, EXITED, 0);
    head_hello(1, &exited);
    (void)gcs_client_down(&c, DOWN_ACK, 0);
    expect_status("j", "SUCCEEDED");
    restart();
    expect_status("j", "SUCCEEDED");
}

/* What was asked for the entrypoint is told to the head, also when it comes again while that runs; what
 * makes no sense is refused, and names its field. */
Test(rest, entrypoint_resources)
{
    static const char *const wrong[][2] = {
        {"{\"entrypoint\": \"x\", \"entrypoint_num_cpus\": -1}", "entrypoint_num_cpus"},
        {"{\"entrypoint\": \"x\", \"entrypoint_memory\": 1e300}", "entrypoint_memory"},
        {"{\"entrypoint\": \"x\", \"entrypoint_resources\": {\"CPU\": 1}}", "entrypoint_num_cpus"},
        {"{\"entrypoint\": \"x\", \"entrypoint_resources\": {\"\": 1}}", "entrypoint_resources"}};
    const Raia__Gcs__StartEntrypoint *start;
    Raia__Gcs__EntrypointEvent event;
    struct json *root = NULL;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    cr_assert_eq(
        ask("POST", "/api/jobs/",
            "{\"entrypoint\": \"x\", \"submission_id\": \"r\", \"entrypoint_num_cpus\": 1.5, "
            "\"entrypoint_num_gpus\": 0, \"entrypoint_memory\": 1000000, "
            "\"entrypoint_resources\": {\"here\": 2}}",
            &root),
        200);
    start = gcs_client_down(&c, DOWN_START, 0)->start_entrypoint;
    cr_assert_eq(start->n_resources, 3);
    cr_assert_str_eq(start->resources[0]->name, "CPU");
    cr_assert_eq(start->resources[0]->quantity, 15000);
    cr_assert_str_eq(start->resources[1]->name, "memory");
    cr_assert_eq(start->resources[1]->quantity, INT64_C(10000000000));
    cr_assert_str_eq(start->resources[2]->name, "here");
    event = event_of("r", start->attempt, STARTED, 0);
    tell(event);
    cr_assert_eq(ask("GET", "/api/jobs/r?wait_ms=45000&known_status=PENDING", NULL, NULL), 200);
    expect_status("r", "RUNNING");
    restart();
    gcs_client_register(&c, 2, true, (const char *)gcs_id(1));
    head_hello(2, &event);
    cr_assert_eq(gcs_client_down(&c, DOWN_START, 0)->start_entrypoint->n_resources, 3);
    json_free(root);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        root = NULL;
        cr_assert_eq(ask("POST", "/api/jobs/", wrong[i][0], &root), 400, "%s", wrong[i][0]);
        json_free(root);
    }
}

/* A new supervisor knows nothing of the job: it died with the old one. A lost start is repeated. */
Test(rest, job_of_dead_supervisor)
{
    uint32_t attempt;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    attempt = submit("a", 0)->attempt;
    (void)submit("b", 1);
    tell(event_of("a", attempt, STARTED, 0));
    tell(event_of("a", attempt + 100, EXITED, 0)); /* of no attempt: only acknowledged */
    (void)gcs_client_down(&c, DOWN_ACK, 0);
    restart();
    gcs_client_register(&c, 2, true, (const char *)gcs_id(1));
    head_hello(2, NULL);
    cr_assert_str_eq(gcs_client_down(&c, DOWN_START, 0)->start_entrypoint->submission_id, "b");
    expect_status("a", "FAILED");
    expect_status("b", "PENDING");
}

/* Bad requests: 400 with a text that names the fault; no token: 401; a wrong one: 403. */
Test(rest, refusals)
{
    static const struct {
        const char *body;
        const char *text;
    } bad[] = {
        {"", "not JSON"},
        {"[1]", "must be a JSON object"},
        {"{}", "'entrypoint' is missing"},
        {"{\"entrypoint\":\"\"}", "empty"},
        {"{\"entrypoint\":1}", "must be a string"},
        {"{\"entrypoint\":\"x\",\"nonsense\":1}", "unknown field 'nonsense'"},
        {"{\"entrypoint\":\"x\",\"metadata\":{\"a\":1}}", "'a' must be a string"},
        {"{\"entrypoint\":\"x\",\"submission_id\":\"../x\"}", "no '/'"},
        {"{\"entrypoint\":\"x\",\"runtime_env\":{\"env_vars\":{\"A\":1}}}", "its value a string"},
    };
    struct http_request q = {.method = "GET"};
    struct http_reply reply = {0};
    char url[128];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct json *root = NULL;

        cr_assert_eq(ask("POST", "/api/jobs/", bad[i].body, &root), 400, "%s", bad[i].body);
        cr_assert(strstr(json_str(root), bad[i].text), "%s", json_str(root));
        json_free(root);
    }
    cr_assert_eq(ask("GET", "/api/jobs/none", NULL, NULL), 404);
    cr_assert_eq(ask("POST", "/api/jobs/none/stop", "", NULL), 404);
    cr_assert_eq(ask("GET", "/api/v0/nodes?limit=x", NULL, NULL), 400);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api/jobs/", p.dashboard_port);
    q.url = url;
    cr_assert_eq(http_do(&q, &reply, NULL), 0);
    cr_assert_eq(reply.status, 401);
    http_reply_done(&reply);
    q.bearer = "wrong";
    cr_assert_eq(http_do(&q, &reply, NULL), 0);
    cr_assert_eq(reply.status, 403);
    http_reply_done(&reply);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/healthz", p.dashboard_port);
    q.bearer = NULL;
    cr_assert_eq(http_do(&q, &reply, NULL), 0);
    cr_assert_eq(reply.status, 200);
    http_reply_done(&reply);
}

static void append_log(const char *text)
{
    char path[160];
    int fd;

    snprintf(path, sizeof path, "%s/logs/job-driver-j.log", p.dir);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* The next text of a followed log, while the played head goes on. */
static int receive(struct ws_client *ws, char *buf, size_t size)
{
    struct raia_error e = {0};
    const char *text;
    size_t len;
    int r;

    while ((r = ws_receive(ws, 50, &text, &len, &e)) == -RAIA_ERR_TIMEOUT)
        (void)loop_run_once(c.loop, 10);
    if (r == 0)
        snprintf(buf, size, "%.*s", (int)len, text);
    return r;
}

/* A log is followed as it grows, and the stream ends in order after the job's last line. */
Test(rest, log_tail)
{
    char url[128], got[256], all[512] = "";
    struct ws_client *ws = NULL;
    struct raia_error e = {0};
    struct json *root = NULL;
    uint32_t attempt;
    int r;

    gcs_client_register(&c, 1, true, NULL);
    head_hello(1, NULL);
    attempt = submit("j", 0)->attempt;
    tell(event_of("j", attempt, STARTED, 0));
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/api/jobs/j/logs/tail", p.dashboard_port);
    cr_assert_eq(ws_connect(url, TOKEN, 30000, &ws, &e), 0, "%s", e.text);
    append_log("first\n");
    cr_assert_eq(receive(ws, got, sizeof got), 0);
    cr_assert_str_eq(got, "first\n");
    append_log("sec\xff\xc3\xa9\nlast without end");
    tell(event_of("j", attempt, EXITED, 0));
    while ((r = receive(ws, got, sizeof got)) == 0)
        strncat(all, got, sizeof all - strlen(all) - 1);
    cr_assert_eq(r, -RAIA_ERR_SHUTDOWN, "closed in order");
    cr_assert_str_eq(all, "sec?\xc3\xa9\nlast without end");
    ws_free(ws);
    cr_assert_eq(ask("GET", "/api/jobs/j/logs", NULL, &root), 200);
    cr_assert_str_eq(json_str(json_get(root, "logs")), "first\nsec?\xc3\xa9\nlast without end");
    json_free(root);
}

/* An uploaded package is found again, also after kill -9; others are not. */
Test(rest, packages)
{
    cr_assert_eq(ask("GET", "/api/packages/gcs/_ray_pkg_1.zip", NULL, NULL), 404);
    cr_assert_eq(ask("PUT", "/api/packages/gcs/_ray_pkg_1.zip", "some bytes", NULL), 200);
    cr_assert_eq(ask("GET", "/api/packages/gcs/_ray_pkg_1.zip", NULL, NULL), 200);
    restart();
    cr_assert_eq(ask("GET", "/api/packages/gcs/_ray_pkg_1.zip", NULL, NULL), 200);
    cr_assert_eq(ask("GET", "/api/packages/gcs/_ray_pkg_2.zip", NULL, NULL), 404);
}

/* When there is no more room, what was used least recently goes, but nothing that a job uses; what went
 * is not found, and can be uploaded again. */
Test(rest, packages_evicted)
{
    const char *const small[] = {token_flag, "--packages-bytes=1MiB", "--packages-fresh=0ms", NULL};
    static char body[3][400001];
    static const char *const path[] = {"/api/packages/gcs/a.zip", "/api/packages/gcs/b.zip",
                                       "/api/packages/gcs/c.zip"};

    for (int i = 0; i < 3; i++)
        memset(body[i], 'a' + i, sizeof body[i] - 1);
    gcs_client_close(&c);
    gcs_process_kill(&p);
    gcs_process_start(&p, small);
    gcs_client_open(&c, p.port);
    cr_assert_eq(ask("PUT", path[0], body[0], NULL), 200);
    cr_assert_eq(ask("PUT", path[1], body[1], NULL), 200);
    /* Waits for a head, and keeps what it is to run in. */
    cr_assert_eq(ask("POST", "/api/jobs/",
                     "{\"entrypoint\":\"true\",\"submission_id\":\"user\","
                     "\"runtime_env\":{\"working_dir\":\"gcs://a.zip\"}}",
                     NULL),
                 200);
    cr_assert_eq(ask("PUT", path[2], body[2], NULL), 200);
    cr_assert_eq(ask("GET", path[0], NULL, NULL), 200);
    cr_assert_eq(ask("GET", path[1], NULL, NULL), 404);
    cr_assert_eq(ask("GET", path[2], NULL, NULL), 200);
    cr_assert_eq(ask("PUT", path[1], body[1], NULL), 200);
    cr_assert_eq(ask("GET", path[2], NULL, NULL), 404);
    cr_assert_eq(ask("GET", path[0], NULL, NULL), 200);
    /* A new use makes b the younger one; then nobody keeps a. */
    cr_assert_eq(ask("POST", "/api/jobs/user/stop", "", NULL), 200);
    cr_assert_eq(ask("GET", path[1], NULL, NULL), 200);
    cr_assert_eq(ask("PUT", path[2], body[2], NULL), 200);
    cr_assert_eq(ask("GET", path[0], NULL, NULL), 404);
    cr_assert_eq(ask("GET", path[1], NULL, NULL), 200);
}

/* What was used lately stays: the upload is refused, with the setting that helps. */
Test(rest, packages_fresh)
{
    const char *const small[] = {token_flag, "--packages-bytes=1MiB", NULL};
    static char body[600001];

    gcs_client_close(&c);
    gcs_process_kill(&p);
    gcs_process_start(&p, small);
    gcs_client_open(&c, p.port);
    memset(body, 'a', sizeof body - 1);
    cr_assert_eq(ask("PUT", "/api/packages/gcs/a.zip", body, NULL), 200);
    memset(body, 'b', sizeof body - 1);
    cr_assert_neq(ask("PUT", "/api/packages/gcs/b.zip", body, NULL), 200);
    cr_assert_eq(ask("GET", "/api/packages/gcs/a.zip", NULL, NULL), 200);
}

/* The state API gives Ray's envelope and columns, with limit and filter. */
Test(rest, state)
{
    struct json *root = NULL, *result;

    gcs_client_register(&c, 1, true, NULL);
    gcs_client_register(&c, 2, false, NULL);
    cr_assert_eq(ask("GET", "/api/v0/nodes?limit=1", NULL, &root), 200);
    cr_assert(json_true(json_get(root, "result")));
    result = json_at(root, "data.result");
    cr_assert_eq(json_size(json_get(result, "result")), 1);
    json_free(root);
    cr_assert_eq(
        ask("GET",
            "/api/v0/nodes?filter_keys=is_head_node&filter_predicates=%3D&filter_values=true", NULL,
            &root),
        200);
    result = json_at(root, "data.result.result");
    cr_assert_eq(json_size(result), 1);
    cr_assert_str_eq(json_str(json_get(json_first(result), "node_name")), "node-1");
    json_free(root);
    cr_assert_eq(ask("GET", "/api/v0/nothing", NULL, NULL), 404);
    cr_assert_eq(ask("GET", "/metrics", NULL, NULL), 200);
}
