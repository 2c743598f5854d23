/* Errors travel like values: to whoever gets what could not be made, with the chain of causes. */
#include <stdio.h>

#include <raia/raia.h>

static int parse_port(raia_call *c)
{
    const char *text = raia_arg_str(c, 0);
    int port;
    if (!text || sscanf(text, "%d", &port) != 1)
        return raia_fail(c, "'%s' is not a port", text ? text : "");
    return raia_return_int(c, port);
}
RAIA_TASK(parse_port)

/* Needs the value of another task: if that failed, this one never starts, and fails the same way. */
static int connect_to(raia_call *c)
{
    int64_t port;
    if (raia_arg_int(c, 0, &port) < 0)
        return raia_fail(c, "connect_to wants a port");
    return raia_return_int(c, port);
}
RAIA_TASK(connect_to)

int main(void)
{
    if (raia_init(NULL) < 0)
        return raia_perror("init");
    raia_ref *port = raia_submit(parse_port, raia_str("eighty"));
    raia_ref *connection = raia_submit(connect_to, raia_value_of(port));

    int64_t v;
    int r = raia_get_int(connection, &v, RAIA_FOREVER);
    printf("it failed: %s\n", r == -RAIA_ERR_TASK_FAILED ? "TASK_FAILED" : raia_strerror(r));

    /* What, where, and why, down to the first cause. */
    const struct raia_error *e = raia_last_error(), *first = e;
    for (; e; e = raia_error_cause(e))
        first = e;
    printf("because: %s\n", first->text);

    raia_release(port);
    raia_release(connection);
    raia_shutdown();
    return 0;
}
