/*
 * How long the API server takes for a request of late, and what follows from it: by that, things that
 * are in no hurry are taken together.
 *
 * A moving average over 16 answers, which halves for each second without one. Below 50 ms the server
 * is not busy and nothing waits. Threads: the owner's. Cannot fail; a zeroed one is calm.
 */
#ifndef KUBE_PACE_H
#define KUBE_PACE_H

#include <stdint.h>

struct kube_pace {
    int64_t answer_ns; /* a request takes, of late */
    int64_t answered;  /* ns: when that was noted */
};

/* A request that began then has been answered now. */
void kube_pace_note(struct kube_pace *p, int64_t began, int64_t now);

/* ns that a request takes; 0: nobody waits for long. */
int64_t kube_pace_answer(const struct kube_pace *p, int64_t now);

/*
 * ms for which answers and events may be left in their sockets, so that one wake-up finds several: an
 * eighth of what a request takes, 20 at most; 0: none. As network cards moderate their interrupts: a
 * wake-up costs more than what it brings, where caches have been used by others meanwhile.
 */
unsigned kube_pace_gather_ms(const struct kube_pace *p, int64_t now);

#endif
