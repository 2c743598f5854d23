/*
 * The table of ordered children (kids.h). A node has tens of them: a list is enough, and deaths are
 * rare beside everything else that a death costs.
 */
#include "supervisor/kids.h"

#include <string.h>

#include "base/mem.h"
#include "raia/error.h"

void kids_init(struct kids *k)
{
    list_init(&k->all);
    k->count = 0;
}

int kids_add(struct kids *k, uint64_t id, pid_t pid, const char *submission_id, uint32_t attempt,
             struct kid **ret_kid)
{
    if (k->count >= KIDS_MAX)
        return -RAIA_ERR_LIMIT;
    struct kid *kid = mem_new(struct kid);
    if (!kid)
        return -RAIA_ERR_NOMEM;
    if (submission_id && !(kid->submission_id = mem_strdup(submission_id))) {
        mem_free(kid);
        return -RAIA_ERR_NOMEM;
    }
    kid->id = id;
    kid->pid = pid;
    kid->entrypoint = submission_id != NULL;
    kid->attempt = attempt;
    list_add_tail(&k->all, &kid->link);
    k->count++;
    *ret_kid = kid;
    return 0;
}

struct kid *kids_by_pid(struct kids *k, pid_t pid)
{
    struct kid *kid;
    LIST_FOREACH (kid, &k->all, link)
        if (kid->pid == pid)
            return kid;
    return NULL;
}

struct kid *kids_by_id(struct kids *k, uint64_t id)
{
    struct kid *kid;
    LIST_FOREACH (kid, &k->all, link)
        if (id && kid->id == id)
            return kid;
    return NULL;
}

struct kid *kids_by_submission(struct kids *k, const char *submission_id, uint32_t attempt)
{
    struct kid *kid;
    LIST_FOREACH (kid, &k->all, link)
        if (kid->entrypoint && kid->attempt == attempt &&
            !strcmp(kid->submission_id, submission_id))
            return kid;
    return NULL;
}

void kids_remove(struct kids *k, struct kid *kid)
{
    list_del(&kid->link);
    k->count--;
    mem_free(kid->submission_id);
    mem_free(kid);
}

size_t kids_running(const struct kids *k, bool entrypoints)
{
    size_t n = 0;
    struct kid *kid;
    LIST_FOREACH (kid, &k->all, link)
        n += kid->pid > 0 && kid->entrypoint == entrypoints;
    return n;
}

void kids_clear(struct kids *k)
{
    struct kid *kid, *next;
    LIST_FOREACH_SAFE (kid, next, &k->all, link)
        kids_remove(k, kid);
}
