/* Why pods wait: one condition, and one word in the status for `kubectl get`. */
#include "core/raycluster_impl.h"

#include <stdio.h>
#include <string.h>

#include "api/conditions.h"
#include "core/inject.h"

#define WHY_MAX  200 /* bytes of one group's message */
#define TEXT_MAX 600 /* bytes of all */

/* The last line of a container's termination message. */
static const char *last_words(const struct json *ended, char buf[RC_WORDS_SIZE])
{
    const char *text = json_str(json_get(ended, "message"));
    size_t end = text ? strlen(text) : 0, begin;

    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '))
        end--;
    for (begin = end; begin > 0 && text[begin - 1] != '\n';)
        begin--;
    snprintf(buf, RC_WORDS_SIZE, "%.*s", (int)(end - begin), text ? text + begin : "");
    return buf;
}

const char *rc_waiting__(const struct json *pod, char buf[RC_WORDS_SIZE], const char **ret_message)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};

    for (size_t i = 0; i < 2; i++)
        JSON_FOREACH(c, json_get(json_get(pod, "status"), lists[i]))
        {
            const struct json *state = json_get(c, "state");
            const struct json *why = json_get(state, "waiting");
            if (!why && !json_true(json_get(c, "ready")) && i == 1)
                why = json_get(state, "terminated");
            const char *reason = json_str(json_get(why, "reason"));
            if (!reason || !reason[0] || strcmp(reason, "PodInitializing") == 0)
                continue;
            *ret_message = json_str(json_get(why, "message"));
            if (json_get(state, "terminated"))
                *ret_message = last_words(why, buf);
            else if (strcmp(reason, "CrashLoopBackOff") == 0 &&
                     last_words(json_at(c, "lastState.terminated"), buf)[0])
                *ret_message = buf;
            return reason;
        }
    return NULL;
}

const char *rc_unplaced__(const struct json *pod, const char **ret_message)
{
    const struct json *placed =
        inject_find(json_get(json_get(pod, "status"), "conditions"), "type", "PodScheduled");
    const char *reason = json_str(json_get(placed, "reason"));

    if (!rc_is(json_str(json_get(placed, "status")), "False"))
        return NULL;
    *ret_message = json_str(json_get(placed, "message"));
    return reason && reason[0] ? reason : "Unschedulable";
}

/* Why it waits, if that is worth telling: not while all goes its way. */
static const char *why_of(const struct rc_pod *pod, char buf[RC_WORDS_SIZE],
                          const char **ret_message)
{
    const char *reason;

    if (pod->ready || pod->fate != RC_FINE)
        return NULL;
    reason = rc_unplaced__(pod->seen->tree, ret_message);
    if (!reason)
        reason = rc_waiting__(pod->seen->tree, buf, ret_message);
    return reason && strcmp(reason, "ContainerCreating") != 0 ? reason : NULL;
}

/* Bytes of text that fit into most, whole characters. */
static int cut(const char *text, size_t most)
{
    size_t n = strlen(text);

    if (n > most)
        for (n = most; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    return (int)n;
}

/* The first pod of the group that waits. */
static const char *why_group(const struct rc_pass *x, const struct ray_group *g,
                             char buf[RC_WORDS_SIZE], const char **ret_message)
{
    for (size_t i = 0; i < x->n_pods; i++) {
        const char *reason = x->pods[i].group == g ? why_of(&x->pods[i], buf, ret_message) : NULL;
        if (reason)
            return reason;
    }
    return NULL;
}

void rc_tell_pending__(struct rc_pass *x)
{
    const struct ray_cluster_spec *spec = x->c ? &x->c->spec : NULL;
    char text[TEXT_MAX] = "", words[RC_WORDS_SIZE];
    const char *first = NULL;
    size_t len = 0;

    for (size_t i = 0; spec && i <= spec->n_workers; i++) {
        const struct ray_group *g = i == 0 ? &spec->head : &spec->workers[i - 1];
        const char *message = NULL, *reason = why_group(x, g, words, &message);
        if (!reason)
            continue;
        first = first ? first : reason;
        message = message ? message : "";
        if (len + strlen(g->name) + strlen(reason) + WHY_MAX + 16 > sizeof text)
            break;
        len += (size_t)snprintf(text + len, sizeof text - len, "%sgroup %s: %s%s%.*s",
                                len ? "; " : "", g->name, reason, message[0] ? ": " : "",
                                cut(message, WHY_MAX), message);
    }
    if (first)
        rc_set__(x, RAIA_COND_PENDING, true, first, text);
    else
        conditions_remove(x->conditions, RAIA_COND_PENDING);
}

void rc_tell_reason__(struct rc_pass *x, struct json *status)
{
    const struct json *accepted = conditions_get(x->conditions, RAIA_COND_ACCEPTED);
    const char *reason = "";

    if (accepted && !conditions_true(x->conditions, RAIA_COND_ACCEPTED))
        reason = conditions_reason(x->conditions, RAIA_COND_ACCEPTED);
    else if (conditions_true(x->conditions, RAY_COND_REPLICA_FAILURE))
        reason = conditions_reason(x->conditions, RAY_COND_REPLICA_FAILURE);
    else
        reason = conditions_reason(x->conditions, RAIA_COND_PENDING);
    if (reason[0])
        rc_ok__(x, json_set_str(status, "reason", reason));
    else
        json_free(json_detach(status, "reason"));
}
