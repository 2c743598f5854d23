/*
 * Doorbells: the page, ringing it, taking its bits, spinning and sleeping (manual: doorbell.h).
 *
 * Two places need that a store be seen before a later load is made, on both sides (Dekker's
 * pattern; x86 reorders exactly this, so nothing below SEQ_CST will do):
 *
 *   1. asleep or not     producer: set bit, then load state
 *                        owner:    store state WAITING, then load summary
 *      In the single order of these four, either the producer sees WAITING and wakes, or the owner
 *      sees the bit and does not sleep.
 *   2. bit set or not    producer: store the ring's head, then load the bit (set: nothing to do)
 *                        owner:    clear the bit, then load the ring's head
 *      Either the producer sees the bit cleared and sets it again, or the owner sees the head.
 *
 * The summary has one bit for each word of the bitmap. The owner clears the summary bit, then takes
 * the word; a producer sets its bit in the word, then looks at the summary: the same pattern. It
 * looks even if the word had other bits, since who set these may have been killed before it got
 * to the summary. For the same reason NOTIFIED, which says that someone is waking the owner, does
 * not keep others from waking it too.
 */
#include "base/doorbell.h"

#include <stdalign.h>
#include <string.h>

#include "base/clock.h"
#include "base/ring_atomic.h"
#include "raia/error.h"

/* state, summary and the first words share a cache line: most processes have few pairs. */
struct doorbell_page {
    alignas(128) uint32_t state;        /* enum doorbell_state; the owner sleeps on it as a futex */
    uint32_t flags;                     /* DOORBELL_EVENTFD; constant */
    uint64_t summary;                   /* bit w: words[w] may have bits */
    uint64_t words[DOORBELL_BITS / 64]; /* bit b of word w: pair 64 * w + b has something */
};
_Static_assert(sizeof(struct doorbell_page) <= DOORBELL_SPARE, "the page is too small");
_Static_assert(DOORBELL_BITS / 64 == 64, "one summary word");

/* How the spin adapts: see doorbell_poll. */
#define CREDIT_MAX  8u
#define BACKOFF_MAX 1024u
#define SPIN_MIN_NS 3000u
#define SPIN_CHECKS 16u /* looks at the page between two looks at the clock */

void doorbell_page_init(void *mem, unsigned flags)
{
    struct doorbell_page *page = mem;

    page->flags = flags;
    RA_STORE(&page->state, DOORBELL_BUSY, RELEASE);
}

void doorbell_open(struct doorbell *d, void *mem, int eventfd)
{
    memset(d, 0, sizeof *d);
    d->page = mem;
    d->eventfd = eventfd;
    d->spin_max_ns = DOORBELL_SPIN_NS;
    d->credit = 1;
}

static void page_set(struct doorbell_page *page, unsigned bit)
{
    uint64_t of_word = UINT64_C(1) << (bit / 64);

    RA_OR(&page->words[bit / 64], UINT64_C(1) << (bit % 64));
    if (!(RA_LOAD(&page->summary, SEQ_CST) & of_word))
        RA_OR(&page->summary, of_word);
}

static void page_wake(struct doorbell_page *page, int eventfd, bool urgent)
{
    uint32_t state = RA_LOAD(&page->state, SEQ_CST);

    /* The value changes, so that an owner on its way into the futex does not fall asleep. */
    if (state == DOORBELL_WAITING)
        state = RA_CAS(&page->state, DOORBELL_WAITING, DOORBELL_NOTIFIED);
    if (state == DOORBELL_WAITING || state == DOORBELL_NOTIFIED) {
        if (!(page->flags & DOORBELL_EVENTFD))
            RA_FUTEX_WAKE(&page->state);
        else if (eventfd >= 0)
            RA_EVENTFD_WRITE(eventfd);
    } else if (urgent && eventfd >= 0) {
        RA_EVENTFD_WRITE(eventfd);
    }
}

void doorbell_ring(const struct doorbell_peer *p, bool urgent)
{
    struct doorbell_page *page = p->page;

    if (!page || p->bit >= DOORBELL_BITS)
        return;
    if (!(RA_LOAD(&page->words[p->bit / 64], SEQ_CST) & (UINT64_C(1) << (p->bit % 64))))
        page_set(page, p->bit);
    else if (!urgent)
        return; /* whoever set it also woke the owner, or found it awake */
    page_wake(page, p->eventfd, urgent);
}

void doorbell_mark(struct doorbell *d, unsigned bit)
{
    if (bit < DOORBELL_BITS)
        page_set(d->page, bit);
}

void doorbell_kick(const struct doorbell *d)
{
    page_set(d->page, DOORBELL_KICK);
    page_wake(d->page, d->eventfd, false);
}

/* Words in turn, each taken whole: every bit has its turn before any has a second one. */
bool doorbell_take(struct doorbell *d, unsigned *ret_bit)
{
    struct doorbell_page *page = d->page;

    while (!d->batch) {
        uint64_t summary = RA_LOAD(&page->summary, SEQ_CST);
        if (!summary)
            return false;
        uint64_t later = summary & (UINT64_MAX << d->word << 1);
        d->word = (uint32_t)__builtin_ctzll(later ? later : summary);
        RA_AND(&page->summary, ~(UINT64_C(1) << d->word));
        d->batch = RA_XCHG(&page->words[d->word], 0);
    }
    *ret_bit = d->word * 64 + (unsigned)__builtin_ctzll(d->batch);
    d->batch &= d->batch - 1;
    return true;
}

bool doorbell_pending(const struct doorbell *d)
{
    return d->batch || RA_LOAD(&d->page->summary, SEQ_CST);
}

/* Spins at most `ns`; true if something is pending. *ret_ns: how long it took. */
static bool spin(struct doorbell *d, uint32_t ns, uint32_t *ret_ns)
{
    int64_t start = clock_now_ns(), spent = 0;
    bool found = false;

    while (!found && spent < ns) {
        for (unsigned i = 0; i < SPIN_CHECKS && !found; i++) {
            RA_PAUSE();
            found = doorbell_pending(d);
        }
        spent = clock_now_ns() - start;
    }
    *ret_ns = spent < UINT32_MAX ? (uint32_t)spent : UINT32_MAX;
    return found;
}

/*
 * A spin pays if it ends well in time: then it saved a sleep and a wake-up (5 to 60 us). If it
 * does not, it cost its length, and perhaps kept the peer from running. So: credit grows by one for
 * each spin that paid and halves for each that did not; while it is zero, only one wait in
 * `backoff` tries, and that doubles. The length follows what the spins that paid took. A spin that
 * ends with success but late (we were descheduled: the peer shares our CPU) did not pay.
 */
bool doorbell_poll(struct doorbell *d, int64_t deadline)
{
    if (doorbell_pending(d))
        return true;
    if (d->spin_max_ns == 0)
        return false;
    if (d->credit == 0 && d->skip > 0) {
        d->skip--;
        return false;
    }
    uint32_t most = d->spins == 0 || d->credit == 0 ? d->spin_max_ns : SPIN_MIN_NS + 4 * d->hit_ns;
    if (most > d->spin_max_ns)
        most = d->spin_max_ns;
    int64_t left = clock_left_ns(deadline, clock_now_ns());
    if (left <= 0)
        return false;

    RA_STORE(&d->page->state, DOORBELL_POLLING, RELEASE);
    uint32_t took, limit = left < most ? (uint32_t)left : most;
    bool found = spin(d, limit, &took);
    RA_STORE(&d->page->state, DOORBELL_BUSY, RELEASE);
    d->spins++;
    if (found && took <= d->spin_max_ns) {
        d->spin_hits++;
        d->hit_ns = d->hit_ns - d->hit_ns / 8 + took / 8;
        d->credit = d->credit < CREDIT_MAX ? d->credit + 1 : CREDIT_MAX;
        d->backoff = 0;
    } else if (limit == most) {
        d->credit /= 2;
        d->backoff = d->backoff == 0 ? 4 : d->backoff < BACKOFF_MAX ? d->backoff * 2 : BACKOFF_MAX;
        d->skip = d->backoff;
    }
    return found;
}

bool doorbell_prepare_wait(struct doorbell *d)
{
    if (d->batch)
        return false;
    RA_STORE(&d->page->state, DOORBELL_WAITING, SEQ_CST);
    if (!RA_LOAD(&d->page->summary, SEQ_CST))
        return true;
    /* Who sees WAITING still only wakes in vain. */
    RA_STORE(&d->page->state, DOORBELL_BUSY, RELEASE);
    return false;
}

int doorbell_wait(struct doorbell *d, int64_t deadline)
{
    bool in_time = RA_FUTEX_WAIT(&d->page->state, DOORBELL_WAITING, deadline);

    RA_STORE(&d->page->state, DOORBELL_BUSY, RELEASE);
    return in_time || doorbell_pending(d) ? 0 : -RAIA_ERR_TIMEOUT;
}

int doorbell_await(struct doorbell *d, int64_t deadline)
{
    if (doorbell_poll(d, deadline) || !doorbell_prepare_wait(d))
        return 0;
    d->sleeps++;
    return doorbell_wait(d, deadline);
}

void doorbell_end_wait(struct doorbell *d)
{
    RA_STORE(&d->page->state, DOORBELL_BUSY, RELEASE);
    if (d->eventfd >= 0)
        RA_EVENTFD_CLEAR(d->eventfd);
}

unsigned doorbell_state(const struct doorbell *d)
{
    return RA_LOAD(&d->page->state, ACQUIRE);
}
