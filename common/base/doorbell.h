/*
 * Doorbells: how a process sleeps on all its rings at once, and how its peers wake it.
 *
 * Each process (in a daemon: each thread that reads rings) owns one doorbell page in shared memory,
 * which its peers map too. The page says what the owner is doing (BUSY, POLLING, WAITING) and which
 * of its pairs have records: a bitmap of DOORBELL_BITS, one bit for each pair, given out by the
 * owner. Whoever adds a record sets the bit, and wakes the owner if it is WAITING: a busy owner
 * costs its producers no system call.
 *
 *     // owner, once: `mem` is DOORBELL_PAGE_BYTES of zeroed MAP_SHARED memory
 *     doorbell_page_init(mem, 0);
 *     doorbell_open(&d, mem, -1);
 *
 *     // owner's loop
 *     for (;;) {
 *         while (doorbell_take(&d, &bit))       // fair: no bit twice before the others had a turn
 *             drain(pairs[bit]);                // until empty, or doorbell_mark(&d, bit)
 *         if (doorbell_await(&d, deadline) < 0) // spins while that pays, then sleeps
 *             break;                            // -RAIA_ERR_TIMEOUT
 *     }
 *
 * An event loop (daemons) makes its page with DOORBELL_EVENTFD and gives the same eventfd
 * (EFD_NONBLOCK | EFD_CLOEXEC) to doorbell_open and to each peer. Before it sleeps in epoll it
 * calls doorbell_prepare_wait (false: something is there already: use a timeout of 0), after it
 * doorbell_end_wait, and then takes the bits.
 *
 * A process without DOORBELL_EVENTFD may give its peers an eventfd all the same: it is then
 * written for urgent records only, when the owner is not WAITING, so that a thread of its own that
 * polls the descriptor can look after cancels and the like while user code runs. That thread
 * empties the eventfd and takes the bits as any other.
 *
 * A bit means "look there", no more: it may be set with nothing to read (so ignore bits of pairs
 * that are gone), but never missing for long: if a record is there, then its bit is set, or the
 * producer is about to set it, or the owner has taken it and not yet looked.
 *
 * Trust: peers can write to the page. A mad one can cause needless wake-ups, or none for itself.
 * A producer killed in the middle of ringing can lose its own wake-up (its death is told by other
 * means), never another's.
 * Ownership: the caller owns memory and descriptors; handles need no destructor.
 * Threads: `struct doorbell` belongs to one thread at a time; only doorbell_kick may be called by
 * any thread of the process while another one waits. doorbell_ring: any.
 * Time: deadlines as in base/clock.h; CLOCK_NEVER: none.
 */
#ifndef BASE_DOORBELL_H
#define BASE_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOORBELL_PAGE_BYTES 4096u
#define DOORBELL_SPARE      2048u /* bytes from here on are left to whoever owns the page */
#define DOORBELL_BITS       4096u
#define DOORBELL_KICK       (DOORBELL_BITS - 1) /* the bit of doorbell_kick: give it to no pair */
#define DOORBELL_SPIN_NS    30000u              /* the longest spin, by default */

/* Flags of doorbell_page_init. */
#define DOORBELL_EVENTFD 1u /* the owner sleeps on an eventfd, not on the futex */

/* What an owner is doing: `state` in the page. */
enum doorbell_state {
    DOORBELL_BUSY,     /* running: it will look at the bits before it sleeps */
    DOORBELL_POLLING,  /* the same, and it is looking at the bits now */
    DOORBELL_WAITING,  /* asleep, or about to be: who sets a bit must wake it */
    DOORBELL_NOTIFIED, /* as WAITING, and someone has begun to wake it */
};

struct doorbell_page; /* shared; private */

/* The owner's handle. */
struct doorbell {
    struct doorbell_page *page; /* shared */
    int eventfd;                /* -1: none */
    uint32_t word;              /* the word of the bitmap that `batch` was taken from */
    uint64_t batch;             /* bits taken from the page and not yet handed out */
    uint32_t spin_max_ns;       /* the longest spin; 0: never spin */
    uint32_t hit_ns;            /* running mean of how long the spins that paid took */
    uint32_t credit;            /* grows with spins that paid, halves with others; 0: do not spin */
    uint32_t backoff;           /* waits between two trial spins while credit is 0 */
    uint32_t skip;              /* waits left before the next trial spin */
    uint64_t spins;             /* statistics: spins begun */
    uint64_t spin_hits;         /* statistics: those that found something in time */
    uint64_t sleeps;            /* statistics: waits that went to sleep */
};

/* How to ring someone else's doorbell for one pair. A plain value. */
struct doorbell_peer {
    struct doorbell_page *page; /* the peer's page, mapped here; NULL: nobody is rung */
    int eventfd;                /* the peer's eventfd, our copy of it; -1: none */
    uint32_t bit;               /* the bit that the peer gave to this pair */
};

/* Prepares a zeroed page, aligned to 64 bytes. Once, by the owner, before peers know of it. */
void doorbell_page_init(void *mem, unsigned flags);
/*
 * Makes the owner's handle. eventfd: see above; -1: none. It spins up to DOORBELL_SPIN_NS, while
 * that pays (where all share one CPU it soon stops): set d->spin_max_ns to change it, 0: never.
 */
void doorbell_open(struct doorbell *d, void *mem, int eventfd);

/*
 * Producer: something was added to the pair of p->bit. Sets the bit and, if the owner is WAITING,
 * wakes it (by its eventfd if the page says so, else by futex). With `urgent` also an owner that
 * is not WAITING is told, by its eventfd, if it gave one. ring_commit calls this.
 */
void doorbell_ring(const struct doorbell_peer *p, bool urgent);

/* Takes the next pair to look at: true and its bit (< DOORBELL_BITS), or false: none. */
bool doorbell_take(struct doorbell *d, unsigned *ret_bit);
/* Sets a bit of one's own page: look there again later. */
void doorbell_mark(struct doorbell *d, unsigned bit);
/* True if doorbell_take would find something. */
bool doorbell_pending(const struct doorbell *d);
/* Wakes the waiting thread of one's own process; shows as the bit DOORBELL_KICK. Any thread. */
void doorbell_kick(const struct doorbell *d);

/*
 * Waits until something is pending: looks, spins while recent spins have paid, sleeps. 0, or
 * -RAIA_ERR_TIMEOUT. Not for pages with DOORBELL_EVENTFD. 0 may be a false alarm.
 */
int doorbell_await(struct doorbell *d, int64_t deadline);

/* The steps of doorbell_await, for those who have something to do in between: */

/* Spins as long as recent spins make it worth while; true if something is pending. */
bool doorbell_poll(struct doorbell *d, int64_t deadline);
/*
 * Announces sleep and looks once more: true: nothing is there, go to sleep (doorbell_wait, or epoll
 * on the eventfd); false: something is, and the owner is BUSY again.
 */
bool doorbell_prepare_wait(struct doorbell *d);
/*
 * Sleeps on the futex until rung or the deadline; only after doorbell_prepare_wait gave true. The
 * owner is BUSY afterwards. 0 (also by a false alarm or a signal) or -RAIA_ERR_TIMEOUT.
 */
int doorbell_wait(struct doorbell *d, int64_t deadline);
/* The end of a sleep elsewhere (epoll): BUSY again; empties the eventfd. Harmless if not asleep. */
void doorbell_end_wait(struct doorbell *d);

/* What the owner of a page is doing: an enum doorbell_state (for `status` and tests). */
unsigned doorbell_state(const struct doorbell *d);

#endif
