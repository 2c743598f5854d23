/* What a Ray container runs: see pod.h. */
#include "core/pod_impl.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "core/inject.h"
#include "core/start.h"

#define COMMAND_MAX ((size_t)1 << 20)
#define WITH_PATH   "export PATH=" INJECT_PATH ":$PATH; "
#define WITH_FILES  "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; "

static int set_words(struct json *container, const char *key, const char *const *words)
{
    _cleanup_(json_freep) struct json *list = json_new_array();
    int r = list ? 0 : -RAIA_ERR_NOMEM;

    for (; *words && r == 0; words++)
        r = json_append_str(list, *words);
    return r == 0 ? json_set(container, key, STEAL(list)) : r;
}

/* The user's command and arguments as one line, as KubeRay joins them. */
static int user_line(const struct json *container, struct buf *out)
{
    static const char *const keys[] = {"command", "args"};

    for (size_t i = 0; i < 2; i++)
        JSON_FOREACH(word, json_get(container, keys[i]))
    if (json_str(word))
        buf_printf(out, "%s%s", out->size > 0 ? " " : "", json_str(word));
    return out->err;
}

static int run_in_shell(struct json *container, const char *script)
{
    static const char *const shell[] = {"/bin/bash", "-c", "--", NULL};
    int r = set_words(container, "command", shell);

    return r == 0 ? set_words(container, "args", (const char *[]){script, NULL}) : r;
}

/* Directly, or, where a parameter needs it, by a shell. */
static int run_generated(struct pod_work *w)
{
    static const char *const program[] = {INJECT_POD, NULL};
    struct json *args = NULL;
    int r = start_argv(w->params, w->group->is_head, &args);

    if (r == -RAIA_ERR_UNSUPPORTED) {
        _cleanup_(mem_freep) char *script = mem_printf(WITH_PATH WITH_FILES "%s", w->line);
        return script ? run_in_shell(w->container, script) : -RAIA_ERR_NOMEM;
    }
    if (r < 0)
        return r;
    r = json_set(w->container, "args", args);
    return r == 0 ? set_words(w->container, "command", program) : r;
}

/* Is this the script of a shell's -c? */
static bool is_script(const struct json *word, bool *after_c)
{
    const char *text = json_str(word);

    if (!text)
        return false;
    if (*after_c)
        return strcmp(text, "--") != 0;
    *after_c = text[0] == '-' && text[1] != '-' && str_ends_with(text, "c");
    return false;
}

/* The user's own `ray start`: it stays, and finds our `ray` first. */
static int help_own_start(struct json *container)
{
    static const char *const keys[] = {"command", "args"};
    bool after_c = false;

    for (size_t i = 0; i < 2; i++) {
        struct json *list = json_get(container, keys[i]);
        _cleanup_(json_freep) struct json *made = json_new_array();
        bool changed = false, first = i == 0 || !json_first(json_get(container, "command"));
        int r = made ? 0 : -RAIA_ERR_NOMEM;
        JSON_FOREACH(word, list)
        {
            const char *text = json_str(word);
            _cleanup_(mem_freep) char *script = NULL;
            if (r == 0 && first && text && strcmp(text, "ray") == 0)
                script = mem_strdup(INJECT_RAY);
            else if (is_script(word, &after_c) && !changed)
                script = mem_printf(WITH_PATH "%s", text);
            else {
                r = r == 0 ? json_append(made, json_copy(word)) : r;
                first = false;
                continue;
            }
            first = false;
            changed = true;
            after_c = false;
            r = r == 0 ? script ? json_append_str(made, script) : -RAIA_ERR_NOMEM : r;
        }
        if (r == 0 && changed)
            return json_set(container, keys[i], STEAL(made));
        if (r < 0)
            return r;
    }
    return 0;
}

int pod_set_command__(struct pod_work *w)
{
    _cleanup_(buf_fini) struct buf own;

    buf_init(&own, COMMAND_MAX);
    if (w->overwrite)
        return 0;
    int r = user_line(w->container, &own);
    if (r < 0 || own.size == 0)
        return r < 0 ? r : run_generated(w);
    const char *user = buf_cstr(&own);
    if (!user)
        return -RAIA_ERR_NOMEM;
    if (strstr(user, "ray start"))
        return help_own_start(w->container);
    /* It stays running when `ray start` is told not to. */
    const char *block = json_str(json_get(w->params, "block"));
    _cleanup_(mem_freep) char *script =
        mem_printf(WITH_PATH "%s && " WITH_FILES "%s%s", user, w->line,
                   block && strcasecmp(block, "false") == 0 ? " && sleep infinity" : "");
    return script ? run_in_shell(w->container, script) : -RAIA_ERR_NOMEM;
}
