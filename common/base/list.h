/*
 * An intrusive doubly linked list; the same struct is the head and the link in a member.
 *
 *     struct job { struct list link; ... };
 *     struct list jobs;
 *     list_init(&jobs);
 *     list_add_tail(&jobs, &job->link);
 *     struct job *j;
 *     LIST_FOREACH (j, &jobs, link) ...              // the list may not change
 *     struct job *next;
 *     LIST_FOREACH_SAFE (j, next, &jobs, link) ...   // j may be removed
 *
 * Ownership: links own nothing. Threads: the list's owner. Failure: none.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct of type `type` whose member `member` is at ptr. */
#ifndef container_of
#define container_of(ptr, type, member)                                                            \
    ({                                                                                             \
        const __typeof__(((type *)0)->member) *member_at__ = (ptr);                                \
        (type *)(void *)((char *)(uintptr_t)member_at__ - offsetof(type, member));                 \
    })
#endif

struct list {
    struct list *next; /* first, in a head; the head itself at the end; NULL: never initialised */
    struct list *prev; /* last, in a head */
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Whether this link is in a list; holds for one that was zeroed, initialised or removed. */
static inline bool list_linked(const struct list *link)
{
    return link->next && link->next != link;
}

static inline void list_insert__(struct list *link, struct list *prev, struct list *next)
{
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

static inline void list_add_head(struct list *head, struct list *link)
{
    list_insert__(link, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *link)
{
    list_insert__(link, head->prev, head);
}

/* Puts link right before `at`, another link of the list. */
static inline void list_add_before(struct list *at, struct list *link)
{
    list_insert__(link, at->prev, at);
}

/* Removes it from whatever list it is in; one that is in none stays as it is. */
static inline void list_del(struct list *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

static inline struct list *list_first(struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* Removes and returns the first link; NULL if there is none. */
static inline struct list *list_pop(struct list *head)
{
    struct list *link = list_first(head);

    if (link)
        list_del(link);
    return link;
}

/* Moves everything in `from` to the end of `to`. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

static inline size_t list_count(const struct list *head)
{
    size_t n = 0;

    for (const struct list *l = head->next; l != head; l = l->next)
        n++;
    return n;
}

/* The struct that the first link is in, or NULL. */
#define LIST_FIRST(head, type, member)                                                             \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))

#define LIST_FOREACH(pos, head, member)                                                            \
    for ((pos) = container_of((head)->next, __typeof__(*(pos)), member); &(pos)->member != (head); \
         (pos) = container_of((pos)->member.next, __typeof__(*(pos)), member))

#define LIST_FOREACH_SAFE(pos, after, head, member)                                                \
    for ((pos) = container_of((head)->next, __typeof__(*(pos)), member),                           \
        (after) = container_of((pos)->member.next, __typeof__(*(pos)), member);                    \
         &(pos)->member != (head); (pos) = (after),                                                \
        (after) = container_of((after)->member.next, __typeof__(*(pos)), member))

#endif
