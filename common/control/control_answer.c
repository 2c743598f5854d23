/*
 * From a request line to a reply line: the registry of commands and their dispatch.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "control/control_impl.h"

int control_add(struct control_server *s, const char *name, const char *help, control_fn fn,
                void *arg)
{
    struct control_command **at = &s->commands;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at && strcmp((*at)->name, name) == 0)
        return -RAIA_ERR_EXISTS;
    struct control_command *c = mem_new(struct control_command);
    char *n = mem_strdup(name), *h = mem_strdup(help ? help : "");
    if (!c || !n || !h) {
        mem_free(c);
        mem_free(n);
        mem_free(h);
        return -RAIA_ERR_NOMEM;
    }
    *c = (struct control_command){.name = n, .help = h, .fn = fn, .arg = arg, .next = *at};
    *at = c;
    return 0;
}

static int unknown(const struct control_server *s, const char *name, struct raia_error *e)
{
    char list[256] = "";
    for (const struct control_command *c = s->commands; c; c = c->next) {
        size_t n = strlen(list);
        if (n + strlen(c->name) + 3 >= sizeof list)
            break;
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", c->name);
    }
    return err_set(e, RAIA_ERR_NOT_FOUND, "no command '%.64s'; known: %s", name, list);
}

static int run(struct control_server *s, const char *line, size_t len, struct json *reply,
               struct raia_error *e)
{
    _cleanup_(json_freep) struct json *request = NULL;
    const char *name = NULL;
    int r = json_parse(line, len, NULL, &request, e);
    if (r == 0)
        r = json_get_str(request, "cmd", &name, e);
    if (r < 0)
        return err_wrap(e, "malformed request");
    for (struct control_command *c = s->commands; c; c = c->next)
        if (strcmp(c->name, name) == 0)
            return c->fn(c->arg, request, reply, e);
    return unknown(s, name, e);
}

char *control_answer(struct control_server *s, const char *line, size_t len, size_t *ret_len)
{
    struct raia_error e = {0};
    _cleanup_(json_freep) struct json *reply = json_new_object();
    if (json_set_bool(reply, "ok", true) < 0)
        return NULL;
    int r = run(s, line, len, reply, &e);
    if (r < 0) { /* what a command that failed has put there is dropped */
        json_free(STEAL(reply));
        reply = json_new_object();
        struct json *error = json_new_object();
        if (json_set_bool(reply, "ok", false) < 0 || json_set_int(error, "code", -r) < 0 ||
            json_set_str(error, "text", e.text[0] ? e.text : raia_strerror(r)) < 0) {
            json_free(error);
            return NULL;
        }
        if (json_set(reply, "error", error) < 0)
            return NULL;
    }
    return json_print(reply, JSON_COMPACT, ret_len);
}
