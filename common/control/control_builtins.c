/*
 * The commands that every daemon has.
 */
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "control/control_impl.h"

#define METRICS_MAX ((size_t)4 << 20)

static int on_help(void *arg, const struct json *request, struct json *reply, struct raia_error *e)
{
    struct control_server *s = arg;
    struct json *list = json_new_array();
    (void)request;
    for (const struct control_command *c = s->commands; c; c = c->next) {
        struct json *o = json_new_object();
        if (json_set_str(o, "name", c->name) < 0 || json_set_str(o, "help", c->help) < 0 || !list) {
            json_free(o);
            json_free(list);
            return err_set(e, RAIA_ERR_NOMEM, "out of memory");
        }
        json_append(list, o);
    }
    return json_set(reply, "commands", list);
}

static int on_status(void *arg, const struct json *request, struct json *reply,
                     struct raia_error *e)
{
    struct control_server *s = arg;
    double up = (double)(clock_now_ns() - s->started_ns) / 1e9;
    if (json_set_str(reply, "program", s->program) < 0 ||
        json_set_int(reply, "pid", getpid()) < 0 || json_set_double(reply, "uptime_s", up) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "out of memory");
    return s->add_status ? s->add_status(s->status_arg, request, reply, e) : 0;
}

static int on_log_level(void *arg, const struct json *request, struct json *reply,
                        struct raia_error *e)
{
    const char *level = NULL, *module = NULL, *spec = NULL;
    enum log_level v;
    (void)arg;
    int r = json_opt_str(request, "level", NULL, &level, e);
    if (r == 0)
        r = json_opt_str(request, "module", NULL, &module, e);
    if (r == 0)
        r = json_opt_str(request, "spec", NULL, &spec, e);
    if (r < 0)
        return r;
    if (module && !level)
        return err_set(e, RAIA_ERR_INVALID, "module: comes with a level");
    if (spec) {
        r = log_configure(spec, e);
        if (r < 0)
            return r;
    }
    if (level) {
        if (log_level_parse(level, &v) < 0)
            return err_set(e, RAIA_ERR_INVALID,
                           "level: expected debug, info, warn, error or off, found '%.32s'", level);
        if (!module)
            log_set_level(v);
        else if ((r = log_set_module_level(module, v)) < 0)
            return err_set(e, -r, "set the log level of module '%.64s'", module);
    }
    return json_set_str(reply, "level", log_level_name(log_get_level()));
}

static int on_metrics(void *arg, const struct json *request, struct json *reply,
                      struct raia_error *e)
{
    struct control_server *s = arg;
    struct buf b;
    (void)request;
    if (!s->metrics)
        return err_set(e, RAIA_ERR_UNSUPPORTED, "this program has no metrics");
    buf_init(&b, METRICS_MAX);
    int r = metrics_render(s->metrics, &b);
    const char *text = r == 0 ? buf_cstr(&b) : NULL;
    if (text)
        r = json_set_str(reply, "text", text);
    else if (r == 0)
        r = b.size ? -RAIA_ERR_NOMEM : json_set_str(reply, "text", "");
    buf_fini(&b);
    return r < 0 ? err_set(e, -r, "render metrics") : 0;
}

/* A list of fault points being made. */
struct points {
    struct json *list; /* NULL: out of memory */
};

static void add_point(void *ctx, const char *name, bool armed, uint64_t hits, uint64_t fired)
{
    struct points *p = ctx;
    struct json *o = json_new_object();
    if (json_set_str(o, "name", name) < 0 || json_set_bool(o, "armed", armed) < 0 ||
        json_set(o, "hits", json_new_uint(hits)) < 0 ||
        json_set(o, "fired", json_new_uint(fired)) < 0) {
        json_free(o);
        o = NULL;
    }
    if (json_append(p->list, o) < 0)
        json_free(STEAL(p->list));
}

static int on_fault(void *arg, const struct json *request, struct json *reply, struct raia_error *e)
{
    const char *spec = NULL;
    bool clear = false;
    (void)arg;
    int r = json_opt_str(request, "spec", NULL, &spec, e);
    if (r == 0)
        r = json_opt_bool(request, "clear", false, &clear, e);
    if (r < 0)
        return r;
    if (clear)
        fault_disarm_all();
    if (spec && (r = fault_configure(spec, e)) < 0)
        return r;
    struct points p = {json_new_array()};
    fault_list(add_point, &p);
    return json_set(reply, "points", p.list);
}

int control_add_builtins(struct control_server *s, const char *program, struct metrics *metrics,
                         control_fn add_status, void *arg)
{
    static const struct {
        const char *name, *help;
        control_fn fn;
    } all[] = {
        {"help", "lists the commands", on_help},
        {"status", "what the program is and how it is", on_status},
        {"log-level", "{level, module} or {spec}: sets what is logged", on_log_level},
        {"metrics", "the metrics, as Prometheus reads them", on_metrics},
        {"fault", "{spec} or {clear}: arms fault points; lists them", on_fault},
    };
    s->program = program;
    s->metrics = metrics;
    s->add_status = add_status;
    s->status_arg = arg;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int r = control_add(s, all[i].name, all[i].help, all[i].fn, s);
        if (r < 0)
            return r;
    }
    return 0;
}
