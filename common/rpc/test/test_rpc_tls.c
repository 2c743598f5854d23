/*
 * Mutual TLS: who may talk to whom, and what the server learns. The certificates are made anew by
 * the openssl program in a folder that goes when the test ends.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#include "fixture.h"

TestSuite(tls, .timeout = 100);

static char dir[] = "/tmp/raia-test-tls-XXXXXX";

static void sh(const char *fmt, const char *a, const char *b)
{
    char cmd[1024], body[800];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(body, sizeof body, fmt, a, b, b, b, b);
#pragma GCC diagnostic pop
    snprintf(cmd, sizeof cmd, "cd %s && { %s; } >log 2>&1", dir, body);
    cr_assert_eq(system(cmd), 0, "failed: %s", cmd);
}

static char *slurp(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    cr_assert(f, "%s", path);
    char *p = mem_zalloc(20000);
    cr_assert_gt(fread(p, 1, 19999, f), 0);
    fclose(f);
    return p;
}

/* A CA "a" or "b", and a node with names, signed by it. */
static void make_ca(const char *ca)
{
    sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
       "-subj /CN=ca-%1$s -keyout %1$s.key -out %1$s.pem",
       ca, "");
}

static void make_node(const char *ca, const char *node)
{
    sh("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%2$s "
       "-keyout %2$s.key -out %2$s.csr && "
       "printf 'subjectAltName=DNS:%2$s.raia,IP:127.0.0.1' >ext && "
       "openssl x509 -req -in %2$s.csr -CA %1$s.pem -CAkey %1$s.key -CAcreateserial -days 2 "
       "-extfile ext -out %2$s.pem",
       ca, node);
}

/* A folder as a volume of Kubernetes has it: its files change all at once. */
static void make_folder(const char *ca, const char *node)
{
    sh("mkdir -p v && rm -rf v/..n && mkdir v/..n && cp %1$s.pem v/..n/ca.pem && "
       "cp %2$s.pem v/..n/node.pem && cp %2$s.key v/..n/node.key && "
       "rm -rf v/..old && { [ ! -e v/..data ] || mv v/..data v/..old; } && mv v/..n v/..data && "
       "for f in ca.pem node.pem node.key; do ln -sfn ..data/$f v/$f; done",
       ca, node);
}

static struct rpc_tls load(const char *ca, const char *node)
{
    char name[64];
    struct rpc_tls t = {0};
    snprintf(name, sizeof name, "%s.pem", ca);
    t.ca_pem = slurp(name);
    if (node) {
        snprintf(name, sizeof name, "%s.pem", node);
        t.cert_pem = slurp(name);
        snprintf(name, sizeof name, "%s.key", node);
        t.key_pem = slurp(name);
    }
    return t;
}

static void unload(struct rpc_tls *t)
{
    mem_free((char *)(uintptr_t)t->ca_pem);
    mem_free((char *)(uintptr_t)t->cert_pem);
    mem_free((char *)(uintptr_t)t->key_pem);
}

static char seen_cn[64], seen_san[64];

static void serve_who(void *arg, struct rpc_request *q, const void *data, size_t size)
{
    (void)arg, (void)data, (void)size;
    const struct rpc_peer *p = rpc_request_peer(q);
    cr_assert(!p->common_name || rpc_peer_is(p, p->common_name));
    cr_assert(!p->n_sans || rpc_peer_is(p, p->sans[0]));
    cr_assert_not(rpc_peer_is(p, "raia"));
    snprintf(seen_cn, sizeof seen_cn, "%s", p->common_name ? p->common_name : "(none)");
    snprintf(seen_san, sizeof seen_san, "%s", p->n_sans ? p->sans[0] : "(none)");
    rpc_reply(q, "ok", 2);
}

static int try_call(const struct rpc_tls *server, const struct rpc_tls *client,
                    const char *tls_name)
{
    struct fix f = {0};
    struct result res;
    struct raia_error e = {0};
    struct rpc_server_opts so = {.tls = server};
    struct rpc_channel_opts co = {.tls = client, .tls_name = tls_name};
    fix_listen(&f, "127.0.0.1", &so);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_who, NULL, NULL, &e), 0);
    fix_connect(&f, &co);
    int r = call_wait(&f, &res, ECHO, "x", 1, 20000);
    if (r < 0)
        cr_assert_not(res.e.maybe_executed && r != -RAIA_ERR_UNAVAILABLE, "%s", res.e.text);
    fix_end(&f);
    return r;
}

/* Only peers of one CA can talk, each way; the server learns the client's names; no certificate, a
 * stranger's, the wrong name and plaintext are all refused with UNAVAILABLE, in time. */
Test(tls, who_may_talk)
{
    cr_assert(mkdtemp(dir));
    make_ca("a");
    make_ca("b");
    make_node("a", "server");
    make_node("a", "node1");
    make_node("b", "stranger");
    struct rpc_tls server = load("a", "server"), node1 = load("a", "node1"),
                   stranger = load("b", "stranger"), bare = load("a", NULL),
                   intruder = load("a", "stranger");

    cr_assert_eq(try_call(&server, &node1, NULL), 0);
    cr_assert_str_eq(seen_cn, "node1");
    cr_assert_str_eq(seen_san, "node1.raia");
    cr_assert_eq(try_call(&server, &node1, "server.raia"), 0);

    seen_cn[0] = 0;
    cr_assert_eq(try_call(&server, &stranger, NULL), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(try_call(&server, &intruder, NULL), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(try_call(&server, &bare, NULL), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(try_call(&stranger, &node1, NULL), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(try_call(&server, &node1, "other.raia"), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(try_call(&server, NULL, NULL), -RAIA_ERR_UNAVAILABLE);
    cr_assert_str_eq(seen_cn, "", "the handler ran for someone who was refused");

    unload(&server);
    unload(&node1);
    unload(&stranger);
    unload(&bare);
    unload(&intruder);
    sh("rm -f -- *.pem *.key *.csr *.srl ext log; rmdir %s%s", dir, "");
}

static char why[300];

static void note(const char *text)
{
    snprintf(why, sizeof why, "%s", text);
}

static int call_once(struct fix *f, const struct rpc_tls *tls)
{
    struct result res;
    struct rpc_channel_opts co = {.tls = tls, .tls_name = "server.raia"};
    struct fix c = {.loop = f->loop};
    memcpy(c.target, f->target, sizeof c.target);
    fix_connect(&c, &co);
    int r = call_wait(&c, &res, ECHO, "x", 1, 20000);
    fix_close_channel(&c);
    return r;
}

/* A server that was given a folder serves those whom its files of now admit: when they change, who is
 * new needs the new CA, who was there stays; who is refused is told of in words. */
Test(tls, folder_that_changes)
{
    struct fix f = {0}, old;
    struct result res;
    struct raia_error e = {0};
    char path[64];
    cr_assert(mkdtemp(dir));
    make_ca("a");
    make_ca("b");
    make_node("a", "server");
    make_node("a", "node1");
    make_node("b", "stranger");
    make_folder("a", "server");
    snprintf(path, sizeof path, "%s/v", dir);
    struct rpc_tls node1 = load("a", "node1"), stranger = load("b", "stranger"),
                   folder = {.dir = path};
    struct rpc_server_opts so = {.tls = &folder};
    struct rpc_channel_opts co = {.tls = &folder, .tls_name = "server.raia"};

    rpc_on_handshake_failure(note);
    fix_listen(&f, "127.0.0.1", &so);
    cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_who, NULL, NULL, &e), 0);
    cr_assert_eq(rpc_server_start(f.server, &e), 0);
    cr_assert_eq(call_once(&f, &node1), 0);
    cr_assert_str_eq(seen_cn, "node1");
    cr_assert_eq(call_once(&f, &stranger), -RAIA_ERR_UNAVAILABLE);
    cr_assert(strstr(why, "certificate"), "%s", why);

    /* One channel that stays, with the folder at its own end too. */
    old = (struct fix){.loop = f.loop};
    memcpy(old.target, f.target, sizeof old.target);
    fix_connect(&old, &co);
    cr_assert_eq(call_wait(&old, &res, ECHO, "x", 1, 20000), 0);
    cr_assert_str_eq(seen_cn, "server");

    make_node("b", "server");
    make_folder("b", "server");
    int r = -1;
    for (int i = 0; i < 60 && r < 0; i++) {
        int64_t until = clock_deadline_ms(500);
        while (clock_now_ns() < until)
            loop_run_once(f.loop, 100);
        r = call_once(&f, &stranger);
    }
    cr_assert_eq(r, 0, "the new CA is not in use");
    cr_assert_eq(call_once(&f, &node1), -RAIA_ERR_UNAVAILABLE);
    cr_assert_eq(call_wait(&old, &res, ECHO, "x", 1, 20000), 0);
    cr_assert_str_eq(seen_cn, "server");

    fix_close_channel(&old);
    fix_end(&f);
    unload(&node1);
    unload(&stranger);
    sh("rm -rf -- v *.pem *.key *.csr *.srl ext log; rmdir %s%s", dir, "");
}

/* One that has ended, by a day. */
static void make_old_node(const char *ca, const char *node)
{
    make_node(ca, node);
    sh("openssl x509 -req -in %2$s.csr -CA %1$s.pem -CAkey %1$s.key -CAcreateserial -days -1 "
       "-extfile ext -out %2$s.pem",
       ca, node);
}

/* A certificate whose time is over is refused at either end, whatever signed it, and the end that
 * refuses says so. */
Test(tls, expired)
{
    struct result res;
    struct raia_error e = {0};
    cr_assert(mkdtemp(dir));
    make_ca("a");
    make_node("a", "server");
    make_node("a", "node1");
    make_old_node("a", "old");
    struct rpc_tls server = load("a", "server"), node1 = load("a", "node1"), old = load("a", "old");

    rpc_on_handshake_failure(note);
    for (int i = 0; i < 2; i++) {
        struct fix f = {0};
        struct rpc_server_opts so = {.tls = i ? &old : &server};
        struct rpc_channel_opts co = {.tls = i ? &node1 : &old};
        why[0] = seen_cn[0] = 0;
        fix_listen(&f, "127.0.0.1", &so);
        cr_assert_eq(rpc_server_unary(f.server, ECHO, serve_who, NULL, NULL, &e), 0);
        fix_connect(&f, &co);
        cr_assert_eq(call_wait(&f, &res, ECHO, "x", 1, 20000), -RAIA_ERR_UNAVAILABLE);
        cr_assert(strstr(why, "certificate verify failed"), "%s", why);
        cr_assert(!i || strstr(res.e.text, "certificate verify failed"), "%s", res.e.text);
        cr_assert_str_eq(seen_cn, "", "the handler ran for someone who was refused");
        fix_end(&f);
    }
    unload(&server);
    unload(&node1);
    unload(&old);
    sh("rm -f -- *.pem *.key *.csr *.srl ext log; rmdir %s%s", dir, "");
}

/* TLS material that is no such thing is refused where it is given, or the call fails; nothing
 * crashes. */
Test(tls, nonsense)
{
    struct loop *loop;
    struct raia_error e = {0};
    struct rpc_server *s;
    struct rpc_tls bad = {.ca_pem = "no", .cert_pem = "such", .key_pem = "thing"},
                   half = {.ca_pem = "x"};
    struct rpc_server_opts so = {.tls = &bad}, ho = {.tls = &half};
    bool gone = false;
    cr_assert_eq(loop_new(&loop, &e), 0);
    cr_assert_eq(rpc_server_new(loop, &ho, &s, &e), -RAIA_ERR_INVALID);
    cr_assert_eq(rpc_server_new(loop, &so, &s, &e), 0);
    cr_assert_lt(rpc_server_listen(s, "127.0.0.1", 0, NULL, &e), 0);
    cr_assert(strstr(e.text, "TLS"));
    rpc_server_shutdown(s, 0, fix_set__, &gone);
    while (!gone)
        loop_run_once(loop, 1000);
    cr_assert_eq(loop_free(loop), 0);
}
