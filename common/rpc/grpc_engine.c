/*
 * The library's life, and the one thread that polls the one completion queue. It only translates:
 * what a completion means for a stream's queues is decided under that stream's lock, and everything
 * for the owner goes to its loop.
 */
#include "rpc/grpc_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/log.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the rest */
static unsigned refs;
static grpc_completion_queue *cq;
static pthread_t thread;

static void *poll_main(void *arg)
{
    grpc_completion_queue *q = arg;
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(q, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (ev.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (ev.type != GRPC_OP_COMPLETE)
            continue;
        struct rpc_tag *t = ev.tag;
        RPC_TSAN_ACQUIRE(t);
        t->fn(t, ev.success != 0);
    }
}

static _Atomic(void (*)(const char *why)) on_failure;

void rpc_on_handshake_failure(void (*fn)(const char *why))
{
    atomic_store(&on_failure, fn);
}

/* A library does not print: gRPC's own log is for those who ask for it, but for one line. */
static void drop_log(gpr_log_func_args *args)
{
    static const char mark[] = "Handshake failed";
    void (*fn)(const char *why) = atomic_load(&on_failure);
    if (fn && strncmp(args->message, mark, sizeof mark - 1) == 0)
        fn(args->message);
}

int rpc_engine_ref(struct raia_error *e)
{
    int r = 0;
    pthread_mutex_lock(&lock);
    if (refs == 0) {
        if (!getenv("GRPC_VERBOSITY"))
            gpr_set_log_function(drop_log);
        grpc_init();
        cq = grpc_completion_queue_create_for_next(NULL);
        int sys = pthread_create(&thread, NULL, poll_main, cq);
        if (sys) {
            grpc_completion_queue_shutdown(cq);
            grpc_completion_queue_destroy(STEAL(cq));
            grpc_shutdown();
            r = err_errno(e, sys, "rpc: cannot start a thread");
        }
    }
    if (r == 0)
        refs++;
    pthread_mutex_unlock(&lock);
    return r;
}

void rpc_engine_unref(void)
{
    pthread_mutex_lock(&lock);
    if (--refs == 0) {
        grpc_completion_queue_shutdown(cq);
        pthread_join(thread, NULL);
        grpc_completion_queue_destroy(STEAL(cq));
        grpc_shutdown_blocking();
    }
    pthread_mutex_unlock(&lock);
}

grpc_completion_queue *rpc_engine_cq(void)
{
    return cq; /* constant while the caller holds a reference */
}

gpr_timespec rpc_timespec_after_ms(uint64_t ms)
{
    if (ms > INT64_MAX / 4)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}
