/*
 * The time of a request as a moving average.
 */
#include "kube/pace.h"

#include "base/clock.h"

#define CALM_NS       (50 * CLOCK_NS_PER_MS) /* requests take less: nothing waits */
#define FADE_NS       CLOCK_NS_PER_S         /* without an answer what was measured halves */
#define WEIGHT        16                     /* of an answer: one part in so many */
#define GATHER_SHARE  8                      /* of a request's time */
#define GATHER_MAX_MS 20

void kube_pace_note(struct kube_pace *p, int64_t began, int64_t now)
{
    p->answer_ns += (now - began - p->answer_ns) / WEIGHT;
    p->answered = now;
}

int64_t kube_pace_answer(const struct kube_pace *p, int64_t now)
{
    int64_t halves = (now - p->answered) / FADE_NS;
    int64_t ns = halves > 30 ? 0 : p->answer_ns >> halves;
    return ns > CALM_NS ? ns : 0;
}

unsigned kube_pace_gather_ms(const struct kube_pace *p, int64_t now)
{
    int64_t ms = kube_pace_answer(p, now) / GATHER_SHARE / CLOCK_NS_PER_MS;
    return (unsigned)(ms < GATHER_MAX_MS ? ms : GATHER_MAX_MS);
}
