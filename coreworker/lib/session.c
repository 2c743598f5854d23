/*
 * The session with the raylet: its unix socket. HELLO and its answer, and what comes with
 * descriptors: pairs, segments; also what is too large for a ring.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/fd.h"
#include "base/unix.h"
#include "lib/drain.h"

#define SESSION_FDS     8
#define SESSION_READ_MS 30000 /* once a message has been announced */

#define MORE_FILES "close some, or raise the limit with `ulimit -n`"

/* A message as it came: payload is owned, fds are closed unless taken. */
struct inbound {
    struct record_head head;
    uint8_t *payload; /* size bytes; owned, or small */
    size_t size;
    int fds[SESSION_FDS];             /* -1: taken, or none */
    _Alignas(16) uint8_t small[4096]; /* most fit: they come though memory has run out */
};

static void inbound_fini(struct inbound *m)
{
    if (m->payload != m->small)
        mem_free(m->payload);
    for (int i = 0; i < SESSION_FDS; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
}

static int read_exactly(int fd, void *to, size_t size, int *fds, size_t *nfds, int64_t deadline)
{
    uint8_t *p = to;
    size_t got, n;
    int r;

    while (size > 0) {
        n = 0;
        r = unix_recv(fd, p, size, &got, fds && *nfds == 0 ? fds : NULL,
                      fds && *nfds == 0 ? SESSION_FDS : 0, fds && *nfds == 0 ? &n : NULL, deadline);
        if (r < 0)
            return r;
        if (got == 0)
            return -RAIA_ERR_UNAVAILABLE;
        if (n)
            *nfds = n;
        p += got;
        size -= got;
    }
    return 0;
}

static int receive(int fd, struct inbound *m, int64_t deadline)
{
    size_t nfds = 0;
    int r;

    m->payload = NULL;
    m->size = 0;
    for (int i = 0; i < SESSION_FDS; i++)
        m->fds[i] = -1;
    r = read_exactly(fd, &m->head, sizeof(m->head), m->fds, &nfds, deadline);
    if (r < 0)
        return r;
    if (m->head.size < sizeof(m->head) || m->head.size - sizeof(m->head) > RECORD_SOCKET_MAX)
        return -RAIA_ERR_PROTOCOL;
    m->size = m->head.size - sizeof(m->head);
    m->payload = m->size < sizeof(m->small) ? m->small : mem_alloc(m->size + 1);
    if (!m->payload)
        return -RAIA_ERR_NOMEM;
    return read_exactly(fd, m->payload, m->size, NULL, NULL, deadline);
}

static int send_message(int fd, uint16_t type, uint16_t flags, uint64_t tag, const void *data,
                        size_t size, const int *fds, size_t nfds, int64_t deadline)
{
    struct record_head h = {
        .size = (uint32_t)(sizeof(h) + size), .type = type, .flags = flags, .tag = tag};
    _cleanup_(mem_freep) uint8_t *all = NULL;

    if (size > RECORD_SOCKET_MAX)
        return -RAIA_ERR_LIMIT;
    all = mem_alloc(sizeof(h) + size);
    if (!all)
        return -RAIA_ERR_NOMEM;
    memcpy(all, &h, sizeof(h));
    if (size)
        memcpy(all + sizeof(h), data, size);
    return unix_send(fd, all, sizeof(h) + size, fds, nfds, deadline);
}

int session_send(struct runtime *rt, uint16_t type, uint16_t flags, uint64_t tag, const void *data,
                 size_t size)
{
    return send_message(rt->socket, type, flags, tag, data, size, NULL, 0,
                        clock_deadline_ms(SESSION_READ_MS));
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static int map(int fd, size_t size, bool writable, void **ret)
{
    void *m = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

    if (m == MAP_FAILED)
        return -err_from_errno(errno);
    madvise(m, size, MADV_DONTFORK);
    *ret = m;
    return 0;
}

static int take_fd(struct inbound *m, int i)
{
    return STEAL_FD(m->fds[i]);
}

/* Maps a pair and attaches to it. */
static int open_pair(struct link *l, struct inbound *m, int ring, int page, int bell, unsigned role,
                     uint32_t bit)
{
    struct doorbell_peer peer;
    struct stat st;
    int r;

    if (m->fds[ring] < 0 || m->fds[page] < 0 || fstat(m->fds[ring], &st) < 0)
        return -RAIA_ERR_PROTOCOL;
    l->memory_size = (size_t)st.st_size;
    r = map(m->fds[ring], l->memory_size, true, &l->memory);
    if (r == 0)
        r = map(m->fds[page], DOORBELL_PAGE_BYTES, true, &l->page);
    if (r < 0)
        return r;
    l->bell = take_fd(m, bell);
    peer = (struct doorbell_peer){.page = l->page, .eventfd = l->bell, .bit = bit};
    return ring_pair_attach(&l->pair, l->memory, l->memory_size, role, &peer);
}

static int accept_reply(struct runtime *rt, struct inbound *m, struct raia_error *e)
{
    Raia__Agent__HelloReply *reply;
    int r = proto_unpack(&raia__agent__hello_reply__descriptor, m->payload, m->size, &reply);

    if (r < 0)
        return err_set(e, -r, "%s",
                       r == -RAIA_ERR_NOMEM ? "out of memory"
                                            : "the raylet's answer cannot be read");
    if (reply->error && reply->error->code) {
        r = err_set(e, reply->error->code, "refused: %s",
                    reply->error->text ? reply->error->text : "");
        goto out;
    }
    if (reply->node_id.len != 16 || reply->worker_id.len != 16 || reply->job_id.len != 4) {
        r = err_set(e, RAIA_ERR_PROTOCOL, "the raylet's answer has no ids");
        goto out;
    }
    memcpy(rt->self.node, reply->node_id.data, 16);
    memcpy(rt->self.worker, reply->worker_id.data, 16);
    memcpy(rt->job, reply->job_id.data, 4);
    copy_text(rt->node_name, sizeof(rt->node_name), reply->node_name);
    copy_text(rt->session_dir, sizeof(rt->session_dir), reply->session_dir);
    if (reply->owner_bytes_max)
        rt->owner_bytes_max = reply->owner_bytes_max;
    rt->idle_pair_ns = reply->idle_pair_ms * CLOCK_NS_PER_MS;
    if (!rt->ns[0])
        copy_text(rt->ns, sizeof(rt->ns), reply->namespace_);
    rt->bell_fd = take_fd(m, 4);
    r = m->fds[0] < 0 ? -RAIA_ERR_PROTOCOL : map(m->fds[0], DOORBELL_PAGE_BYTES, true, &rt->page);
    if (r == 0)
        r = open_pair(rt->raylet, m, 1, 2, 3, 1, reply->raylet_bit);
    if (r < 0) {
        err_set(e, -r, "the raylet's rings cannot be mapped");
        goto out;
    }
    rt->raylet->kind = LINK_PAIR;
    rt->pairs[0] = rt->raylet;
    doorbell_open(&rt->bell, rt->page, -1);
out:
    proto_free(reply);
    return r;
}

static int send_hello(struct runtime *rt, const struct raia_config *config, int64_t deadline,
                      struct raia_error *e)
{
    Raia__Agent__Hello hello = RAIA__AGENT__HELLO__INIT;
    Raia__RuntimeEnv env = RAIA__RUNTIME_ENV__INIT;
    Raia__EnvVar vars[64], *var_list[64];
    const char *token = getenv("RAIA_SPAWN_TOKEN"), *submission = getenv("RAIA_SUBMISSION_ID");
    const char *job_config = getenv("RAIA_JOB_CONFIG_JSON");
    char exe[512] = "", *base;
    uint8_t *packed;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    int fd = -1, r;

    (void)n;
    base = strrchr(exe, '/');
    hello.protocol = RECORD_PROTOCOL;
    hello.kind = rt->worker ? RAIA__AGENT__PROCESS_KIND__PROCESS_WORKER
                            : RAIA__AGENT__PROCESS_KIND__PROCESS_DRIVER;
    hello.pid = (int32_t)rt->pid;
    hello.spawn_token = rt->worker && token ? (char *)(uintptr_t)token : (char *)(uintptr_t) "";
    hello.submission_id =
        !rt->worker && submission ? (char *)(uintptr_t)submission : (char *)(uintptr_t) "";
    if (!rt->worker && job_config)
        hello.job_config_json = (char *)(uintptr_t)job_config;
    hello.program = base ? base + 1 : exe;
    hello.table_hash = function_table_hash();
    hello.ns = rt->ns;
    if (config && config->argv) {
        hello.argv = (char **)(uintptr_t)config->argv;
        while (config->argv[hello.n_argv])
            hello.n_argv++;
    }
    if (config && (config->env_count || config->working_dir)) {
        for (size_t i = 0; i < config->env_count && i < 64; i++) {
            vars[i] = (Raia__EnvVar)RAIA__ENV_VAR__INIT;
            vars[i].name = (char *)(uintptr_t)config->env[i].name;
            vars[i].value = (char *)(uintptr_t)config->env[i].value;
            var_list[i] = &vars[i];
            env.n_env_vars = i + 1;
        }
        env.env_vars = var_list;
        if (config->working_dir)
            env.working_dir = (char *)(uintptr_t)config->working_dir;
        hello.runtime_env = &env;
    }
    if (!rt->worker) {
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(e, errno, "open this program's own file%s",
                             errno == EMFILE ? " (" MORE_FILES ")" : "");
    }
    packed = mem_alloc(raia__agent__hello__get_packed_size(&hello) + 1);
    if (!packed) {
        if (fd >= 0)
            close(fd);
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    }
    r = send_message(rt->socket, REC_HELLO, 0, 0, packed, raia__agent__hello__pack(&hello, packed),
                     &fd, fd >= 0, deadline);
    if (fd >= 0)
        close(fd);
    mem_free(packed);
    return r < 0 ? err_set(e, -r, "the raylet does not take our greeting") : 0;
}

int session_open(struct runtime *rt, const struct raia_config *config, const char *path,
                 int64_t deadline, struct raia_error *e)
{
    struct inbound m = {.fds = {-1, -1, -1, -1, -1, -1, -1, -1}};
    int r;

    if (store_init(rt) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    r = unix_connect(path, SOCK_STREAM, deadline, &rt->socket, e);
    if (r < 0)
        return err_wrap(e, "no Raia node answers");
    rt->raylet = link_new(rt, NULL);
    if (!rt->raylet)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    rt->raylet->raylet = true;
    r = send_hello(rt, config, deadline, e);
    if (r < 0)
        return r;
    r = receive(rt->socket, &m, deadline);
    if (r < 0)
        err_set(e, -r, "%s",
                r == -RAIA_ERR_TIMEOUT    ? "the raylet does not answer: look into its log"
                : r == -RAIA_ERR_NO_FILES ? "out of file descriptors: " MORE_FILES
                                          : "the raylet closed the connection");
    else if (m.head.type != REC_HELLO_REPLY)
        r = err_set(e, RAIA_ERR_PROTOCOL, "the raylet speaks another language");
    else
        r = accept_reply(rt, &m, e);
    inbound_fini(&m);
    return r;
}

static void on_peer_pair(struct runtime *rt, struct inbound *m)
{
    Raia__Agent__PeerPair *p;
    struct rec_peer_close refusal = {0};
    struct record_address address;
    struct proto_room room;
    struct link *l;

    if (proto_unpack_in(&room, &raia__agent__peer_pair__descriptor, m->payload, m->size, &p) < 0)
        return;
    if (!p->peer || p->peer->node_id.len != 16 || p->peer->worker_id.len != 16 || p->number == 0 ||
        p->number >= DOORBELL_KICK || rt->pairs[p->number])
        goto out;
    memcpy(address.node, p->peer->node_id.data, 16);
    memcpy(address.worker, p->peer->worker_id.data, 16);
    l = drain_link_for(rt, p->tag, &address);
    if (!l)
        goto refuse;
    l->number = p->number;
    if (open_pair(l, m, 0, 1, 2, p->role, p->peer_bit) < 0) {
        link_closed(rt, l, -RAIA_ERR_UNAVAILABLE);
        goto out;
    }
    l->serial = p->serial;
    l->kind = LINK_PAIR;
    rt->pairs[l->number] = l;
    rest_opened(rt, l);
    drain_link_opened(rt, l);
    /* It may have written before we could look. */
    doorbell_mark(&rt->bell, l->number);
    goto out;
refuse:
    /* The other side must not wait for us. */
    refusal.number = p->number;
    link_send(rt, rt->raylet, REC_PEER_CLOSE, 0, &refusal, sizeof(refusal), false);
out:
    proto_free_in(&room, p);
}

void session_read(struct runtime *rt)
{
    struct inbound m;
    struct raia_error e;
    int r = receive(rt->socket, &m, clock_deadline_ms(SESSION_READ_MS));

    if (r < 0) {
        err_set(&e, RAIA_ERR_UNAVAILABLE, "node %s: the connection to its raylet broke (%s%s)",
                rt->node_name, raia_strerror(r), r == -RAIA_ERR_NO_FILES ? ": " MORE_FILES : "");
        rt_die(rt, &e);
    } else if (m.head.type == REC_PEER_PAIR) {
        on_peer_pair(rt, &m);
    } else if (m.head.type == REC_SEGMENT) {
        store_segment_came(rt, m.payload, m.size, m.fds[0]);
    } else {
        route_raylet(rt, m.head.type, m.head.flags, m.head.tag, m.payload, m.size);
    }
    inbound_fini(&m);
}

void session_close(struct runtime *rt)
{
    if (rt->socket >= 0)
        close(rt->socket);
    if (rt->bell_fd >= 0)
        close(rt->bell_fd);
    if (rt->page)
        munmap(rt->page, DOORBELL_PAGE_BYTES);
    rt->socket = rt->bell_fd = -1;
    rt->page = NULL;
}
