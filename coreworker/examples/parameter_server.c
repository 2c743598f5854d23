/* A parameter server: an actor holds the weights of a line y = w x + b; tasks compute gradients on
 * parts of the data and send them to it, each at its own pace. */
#include <stdio.h>
#include <stdlib.h>

#include <raia/raia.h>

#define WORKERS 4
#define STEPS   250
#define RATE    0.05

struct weights {
    double w, b;
};

static int server_new(raia_call *c)
{
    struct weights *s = calloc(1, sizeof *s);
    return s ? raia_set_self(c, s) : raia_fail(c, "out of memory");
}

/* Takes a gradient (raw bytes), gives the new weights. */
static int server_push(raia_call *c)
{
    struct weights *s = raia_self(c);
    size_t size;
    const struct weights *gradient = raia_arg_bytes(c, 0, &size);
    if (!gradient || size != sizeof *gradient)
        return raia_fail(c, "push wants a gradient");
    s->w -= RATE * gradient->w;
    s->b -= RATE * gradient->b;
    return raia_return(c, raia_bytes(s, sizeof *s));
}

static int server_pull(raia_call *c)
{
    return raia_return(c, raia_bytes(raia_self(c), sizeof(struct weights)));
}

RAIA_ACTOR(ParameterServer, server_new, free)
RAIA_METHOD(server_push)
RAIA_METHOD(server_pull)

/* train(server, number of this worker): its own points of y = 3 x - 1. */
static int train(raia_call *c)
{
    int64_t me;
    raia_actor *server = raia_arg_actor(c, 0);
    if (!server || raia_arg_int(c, 1, &me) < 0)
        return raia_fail(c, "train wants the server and a number");
    struct weights now = {0, 0};
    int r = 0;
    for (int step = 0; r == 0 && step < STEPS; step++) {
        struct weights gradient = {0, 0};
        for (int i = 0; i < 16; i++) {
            double x = (double)((i * WORKERS + me) % 64) / 32.0 - 1.0, y = 3 * x - 1;
            double error = now.w * x + now.b - y;
            gradient.w += error * x / 16;
            gradient.b += error / 16;
        }
        struct raia_view v;
        raia_ref *ref =
            raia_actor_call(server, server_push, raia_bytes(&gradient, sizeof gradient));
        r = raia_get(ref, &v, RAIA_FOREVER);
        if (r == 0) {
            now = *(const struct weights *)v.data;
            raia_view_release(&v);
        }
        raia_release(ref);
    }
    raia_actor_release(server);
    return r;
}
RAIA_TASK(train)

int main(void)
{
    raia_ref *done[WORKERS];
    struct raia_view v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    raia_actor *server = raia_actor_create(server_new);
    for (int i = 0; i < WORKERS; i++)
        done[i] = raia_submit(train, raia_handle(server), raia_int(i));
    for (int i = 0; i < WORKERS; i++)
        if (raia_get_done(done[i], RAIA_FOREVER) < 0)
            return raia_perror("train");
    raia_ref *r = raia_actor_call(server, server_pull);
    if (raia_get(r, &v, RAIA_FOREVER) < 0)
        return raia_perror("pull");
    const struct weights *w = v.data;
    printf("y = %.1f x + %.1f\n", w->w, w->b);
    raia_view_release(&v);
    raia_release(r);
    raia_release_all(done, WORKERS);
    raia_actor_release(server);
    raia_shutdown();
    return 0;
}
