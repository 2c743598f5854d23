/*
 * The binary records between a process (driver or worker) and its raylet.
 *
 * They travel in two lanes, with the same 16-byte header (struct record_head):
 *   ring    the process's pair 0 (base/ring.h): everything without descriptors and up to
 *           RECORD_PAYLOAD_MAX bytes;
 *   socket  the raylet's unix stream socket, header then payload: what carries descriptors (sent
 *           with the header's first byte), protobuf, or is larger (up to RECORD_SOCKET_MAX).
 * The order between the two lanes is fixed only where this page says so: after each message that
 * the raylet puts on the socket (but REC_HELLO_REPLY) it writes REC_SOCKET_READY into the ring; the
 * process then reads one message from the socket before it goes on with the ring. So what comes
 * down is one sequence. What goes up needs no order between lanes.
 *
 * Layout: little-endian, packed by hand to natural alignment, every reserved field zero. Unknown
 * types are a protocol error. Receivers copy a record before they check it.
 *
 * A `status` is 0 or a negative -RAIA_ERR_*; a record with a failed status may carry, after its
 * struct, a text (not terminated) that reaches to the end of the record.
 *
 * Peers. A process reaches another process by number: REC_PEER_OPEN asks for it, the answer is
 * either a shared ring pair (same node: REC_PEER_PAIR on the socket) or a channel (other node:
 * REC_CHANNEL_OPENED). What processes say to each other (coreworker/core/wire.h) is opaque here. On
 * a channel a record travels inside REC_CHANNEL_DATA. Both kinds are FIFO, and break as a pair,
 * after a delivered prefix, with REC_PEER_CLOSED to the side that lives. Two processes have at most
 * one pair or channel: an OPEN that crosses the peer's own is answered with the same number, a
 * PeerPair then without descriptors.
 */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include <stdint.h>
#include <string.h>

#define RECORD_PROTOCOL    1u
#define RECORD_PAYLOAD_MAX 8192u       /* bytes after the header, in a ring */
#define RECORD_PAIRS_MAX   4094u       /* pair numbers are below; 4094 is a process's own loop */
#define RECORD_SOCKET_MAX  (16u << 20) /* bytes after the header, on the socket */

struct record_head {
    uint32_t size;  /* bytes, header included, not rounded */
    uint16_t type;  /* enum record_type */
    uint16_t flags; /* by type */
    uint64_t tag;   /* chosen by the asker, returned in the answer */
};

struct record_address {
    uint8_t node[16];
    uint8_t worker[16];
};

enum record_type {
    /* socket: protobuf of agent.proto */
    REC_HELLO = 1,       /* up: Hello */
    REC_HELLO_REPLY = 2, /* down: HelloReply + fds */
    REC_PEER_PAIR = 3,   /* down: PeerPair + fds */
    REC_SEGMENT = 4,     /* down: Segment + fd */

    /* either lane: u16 method (enum record_gcs_method), then a packed gcs.proto request; the reply
     * has a struct rec_status before the packed reply */
    REC_GCS_REQUEST = 5,     /* up; flags: the method */
    REC_GCS_REPLY = 6,       /* down */
    REC_GCS_PUBLICATION = 7, /* down: gcs.proto Publication, of what REC_SUBSCRIBE asked for */
    REC_SUBSCRIBE = 8,       /* up: gcs.proto Subscribe */

    /* actors, socket (up: either lane): protobuf of gcs.proto. The raylet has leased this worker
     * to the actor: it becomes the actor, and says so. */
    REC_ACTOR_CREATE = 40, /* down, to a worker: CreateActor */
    REC_ACTOR_KILL = 41,   /* down, to the actor's worker: KillActor: fail what waits, then leave */
    REC_ACTOR_EVENT = 42,  /* up: ActorEvent: ALIVE, CREATE_FAILED, or DIED (it leaves by itself) */

    /* ring */
    REC_SOCKET_READY = 10, /* down: no payload; read one message from the socket now */
    REC_EXIT = 11,         /* down: struct rec_exit: leave, when idle or at once */
    REC_LOG = 12,     /* down, to drivers: struct rec_log + text: a line of a worker's output */
    REC_RUNNING = 13, /* up: struct rec_running: what this worker runs now (for listings) */
    REC_LIST = 14,    /* down, urgent: tag = listing; struct rec_list: what have you got? */
    REC_LISTED = 15,  /* up, either lane: the tag; raylet.proto List...Reply: the answer, in time */

    /* peers, ring */
    REC_PEER_OPEN = 20, /* up: struct record_address */
    REC_CHANNEL_OPENED =
        21,                /* down: struct rec_channel: answer to OPEN, or (tag 0) the peer asked */
    REC_CHANNEL_DATA = 22, /* both: tag = channel number; payload: record_head + payload */
    REC_CHANNEL_CREDIT = 23, /* down: tag = channel number; struct rec_credit: the other node's
                              * raylet has put that much into its process's ring */
    REC_PEER_CLOSED = 24,    /* down: struct rec_peer_closed; tag = the OPEN's tag if it failed */
    REC_PEER_CLOSE = 25,     /* up: struct rec_peer_close */

    /* leases, ring; see struct rec_demand */
    REC_CLASS = 30,         /* up: struct rec_class + resources: defines a scheduling class */
    REC_DEMAND = 31,        /* up: struct rec_demand */
    REC_LEASE = 32,         /* down: struct rec_lease: granted */
    REC_LEASE_RETURN = 33,  /* up: struct rec_lease_return: by the owner */
    REC_LEASE_RECLAIM = 34, /* down: tag = lease id; u8 node[16], the worker's: others wait; return
                             * it after what is in flight */
    REC_LEASE_LOST = 35,    /* down: struct rec_lease_lost: the worker died */
    REC_DEMAND_FAILED =
        36,           /* down: struct rec_demand_failed: can never be met (or not now: a warning) */
    REC_BLOCKED = 37, /* up, by a worker: it waits for others; its CPU may be lent */
    REC_UNBLOCKED = 38, /* up, by a worker */

    /* objects, ring; see the struct comments */
    REC_STORE_CREATE = 50,  /* up: struct rec_store_create */
    REC_STORE_CREATED = 51, /* down: struct rec_store_at */
    REC_STORE_SEAL = 52,    /* up: struct rec_object */
    REC_STORE_ABORT = 53,   /* up: struct rec_object */
    REC_STORE_GET = 54,     /* up: struct rec_store_get */
    REC_STORE_GOT = 55,     /* down: struct rec_store_at */
    REC_STORE_GET_CANCEL =
        56, /* up: tag = the GET's; it is answered with CANCELED if not answered yet */
    REC_STORE_RELEASE = 57,  /* up: struct rec_object: one GOT (or CREATED) less is being read */
    REC_STORE_FREE = 58,     /* up, by the owner: struct rec_store_free */
    REC_STORE_LOST = 59,     /* down, to owners: struct rec_store_lost: the primary copy is gone */
    REC_SEGMENT_GONE = 60,   /* down: struct rec_segment: unmap it and close its descriptor */
    REC_STORE_STRAY = 61,    /* down, to owners: struct rec_store_stray: did you take it? */
    REC_STORE_STRAY_IS = 62, /* up, by owners: struct rec_store_stray: yes or no; or unasked: no */
    REC_STORE_DOUBT = 63,    /* up, by the maker: struct rec_object: its owner may not hear of it */
    REC_STORE_GIVE = 64, /* up, by the owner: struct rec_store_give: it is another's from now on */
};

/* The rpcs of gcs.proto that a process may send through its raylet. */
enum record_gcs_method {
    GCS_KV_PUT = 1,
    GCS_KV_GET = 2,
    GCS_KV_DEL = 3,
    GCS_KV_KEYS = 4,
    GCS_LIST_NODES = 5,
    GCS_REGISTER_ACTOR = 6,
    GCS_GET_ACTOR = 7,
    GCS_LIST_ACTORS = 8,
    GCS_KILL_ACTOR = 9,
    GCS_ACTOR_OUT_OF_SCOPE = 10,
    GCS_GET_JOB = 11,
};

struct rec_status {
    int32_t status; /* 0 or -RAIA_ERR_*; then, if failed, the text */
    uint32_t reserved;
};

struct rec_exit {
    uint32_t force; /* 0: when idle; 1: now */
    uint32_t reserved;
};

struct rec_log {
    struct record_address from;
    int32_t pid;
    uint32_t is_stderr;
    /* then u16 length of the name, the name ("task word_count", "actor Counter"), the line */
};

struct rec_running {
    uint8_t task[24]; /* worker id of the owner + counter; zero: idle */
    uint8_t job[4];
    uint32_t reserved;
    /* then the function's name */
};

enum rec_list_what { LIST_TASKS = 1, LIST_OBJECTS = 2 };
#define LIST_ROWS_MAX 10000u /* rows of one answer */

struct rec_list {
    uint32_t what;  /* enum rec_list_what; unknown ones are not answered */
    uint32_t limit; /* rows at most, up to LIST_ROWS_MAX */
};

/* ---- peers */

struct rec_channel {
    uint32_t channel; /* number, unique in the life of the process; never a pair's number */
    uint32_t reserved;
    uint64_t credit; /* bytes of REC_CHANNEL_DATA payload that may be sent before a CREDIT */
    struct record_address peer;
};

struct rec_credit {
    uint64_t bytes; /* more payload of REC_CHANNEL_DATA that may be sent now. Processes send none:
                     * what a process does not take out of its ring stays with its raylet, and holds
                     * back the sender of that process's channels only. Sending beyond the credit is
                     * a protocol error, and closes the channel */
};

struct rec_peer_closed {
    uint32_t number; /* of the pair or channel; 0: the OPEN failed */
    int32_t status;  /* -RAIA_ERR_WORKER_CRASHED: the process is dead, for sure;
                      * -RAIA_ERR_NODE_DIED: its node is dead; -RAIA_ERR_UNAVAILABLE: the link broke,
                      * the process may live; 0: it ended it */
    struct record_address peer;
};

/* flags of struct rec_peer_close */
#define REC_PEER_AGREED                                                                            \
    1u /* both have agreed to give the pair back: it is free when both have said so, and nobody is \
          told. Without it the pair ends now, and the other is told */

struct rec_peer_close {
    uint32_t number;
    uint32_t serial; /* of the pair (PeerPair); 0 for channels */
    uint32_t flags;  /* REC_PEER_AGREED */
    uint32_t reserved;
};

/* ---- leases
 *
 * Demand is a level, not a list of requests: "for class C I could use `want` more leases than I
 * hold or than were granted to me since". The owner states it again whenever it changes; the raylet
 * meets as much of it as it can, here or on other nodes (it asks their raylets itself), with one
 * REC_LEASE each. Each grant lowers the raylet's copy of `want` by one; `granted_seen` (grants that
 * the owner had received when it wrote this) lets the raylet subtract those under way. A demand of
 * 0 cancels.
 */
struct rec_class {
    uint32_t number; /* chosen by the process, from 1; defined once, before its first demand */
    uint16_t nresources;
    uint16_t strategy; /* 0: hybrid (pack to the threshold, then spread); 1: spread */
    /* then nresources x {int64 quantity (1/10000); u16 length; name}, each padded to 8 bytes */
};

struct rec_demand {
    uint32_t number; /* class */
    uint32_t want;
    uint64_t granted_seen; /* REC_LEASE of this class received so far */
    /* then, optional: u8 node[16]: prefers the node that holds the arguments */
};

struct rec_lease {
    uint64_t lease;  /* unique in the node that granted it */
    uint32_t number; /* class */
    uint32_t reserved;
    struct record_address worker; /* who executes; REC_PEER_OPEN reaches it */
};

struct rec_lease_return {
    uint64_t lease;
    uint8_t node[16]; /* the worker's */
    uint32_t broken;  /* 1: the worker misbehaved: do not reuse it */
    uint32_t reserved;
};

struct rec_lease_lost {
    uint64_t lease;
    struct record_address worker;
    int32_t status;      /* -WORKER_CRASHED or -NODE_DIED; then the text: how it died */
    int32_t exit_status; /* of the process: 0..255 or 128 + signal; -1: unknown */
};

struct rec_demand_failed {
    uint32_t number;
    int32_t
        status; /* -UNSCHEDULABLE: no node of the cluster has such resources (a warning: a node may
                 * still come); -RUNTIME_ENV, -LIMIT (no more workers): final for what waits now */
};

/* ---- objects
 *
 * CREATE gives memory in a segment that this process may write (REC_SEGMENT comes first if it has
 * not got the segment's descriptor yet). It writes the bytes there and SEALs: from then on the
 * object is immutable, this raylet keeps it as the primary copy until FREE, and the creator still
 * reads it until RELEASE (or seals and releases in one, with REC_OBJECT_RELEASE). ABORT gives the
 * memory back instead, or ends a CREATE that waits (which is then answered CANCELED). An object
 * that is here already, or being created, gives -EXISTS.
 *
 * GET answers once the object is here and sealed: from this store, or pulled from one of the nodes
 * named. It pins the copy until RELEASE. One that names no node waits for the object to be made
 * here.
 *
 * FREE is said by the owner when nobody can refer to the object any more. The raylet frees it here,
 * and tells the nodes named and those to which copies went. Memory is reused when the last reader
 * has released it. A FREE of an object that is still being made takes effect when it is sealed.
 *
 * Mappings. A segment keeps its number, size and descriptor until REC_SEGMENT_GONE, which comes
 * only when nothing of this process lies in it: so map a segment once, whole (read-write if
 * `writable`, with MADV_DONTFORK and, worth a try, MADV_HUGEPAGE), and keep it mapped; extents come
 * and go in it. Fresh pages cost ten times what used ones cost: the store gives a process the
 * memory that it freed last, so that put, free, put stays in the same bytes.
 *
 * An object may serve as an arena for payloads between processes: its creator seals it at once and
 * goes on writing; peers GET it once, and then exchange offsets in it.
 *
 * Ids are the processes' affair, which the stores only compare. That of a value is the worker id of
 * its owner, the counter of the task, and the index, both big-endian: rec_object_id and its readers.
 */
#define REC_OBJECT_RELEASE 1u  /* rec_object.flags, SEAL: and the creator reads it no longer */
#define STORE_NODES_MAX    64u /* node ids in a GET or FREE */

static inline void rec_object_id(uint8_t ret_id[28], const uint8_t worker[16], uint64_t counter,
                                 uint32_t index)
{
    memcpy(ret_id, worker, 16);
    for (int i = 0; i < 8; i++)
        ret_id[16 + i] = (uint8_t)(counter >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        ret_id[24 + i] = (uint8_t)(index >> (24 - 8 * i));
}

static inline uint64_t rec_object_counter(const uint8_t id[28])
{
    uint64_t counter = 0;

    for (int i = 0; i < 8; i++)
        counter = counter << 8 | id[16 + i];
    return counter;
}

static inline uint32_t rec_object_index(const uint8_t id[28])
{
    uint32_t index = 0;

    for (int i = 0; i < 4; i++)
        index = index << 8 | id[24 + i];
    return index;
}

struct rec_object {
    uint8_t object[28];
    uint32_t flags; /* SEAL: REC_OBJECT_RELEASE; else 0 */
};

struct rec_store_create {
    uint8_t object[28];
    uint32_t flags;       /* 0 */
    uint64_t size;        /* bytes */
    uint32_t deadline_ms; /* wait this long for memory, then STORE_FULL; 0: do not wait */
    uint32_t reserved;
    struct record_address owner; /* to be told if the primary copy is lost */
};

struct rec_store_at {
    uint8_t object[28];
    int32_t status;
    uint32_t segment;
    uint32_t reserved;
    uint64_t offset; /* in the segment */
    uint64_t size;
};

struct rec_store_get {
    uint8_t object[28];
    uint32_t nnodes;      /* node ids that follow: where copies are, best first; may be 0 */
    uint32_t deadline_ms; /* then -TIMEOUT; UINT32_MAX: none */
    uint32_t priority;    /* 0 get, 1 wait, 2 task argument */
    struct record_address owner;
    /* then nnodes x u8[16] */
};

struct rec_store_free {
    uint8_t object[28];
    uint32_t nnodes; /* node ids that follow */
    /* then nnodes x u8[16] */
};

struct rec_store_lost {
    uint8_t object[28];
    int32_t status;   /* -NODE_DIED, -OBJECT_LOST */
    uint8_t node[16]; /* where that copy was */
};

/* A result that was made for another process, and whose answer may not have come there: the store
 * asks the owner, until it says whether that copy is the value of the object. While the task may be
 * tried again the owner says nothing. */
struct rec_store_stray {
    uint8_t object[28];
    uint32_t flags;   /* REC_STRAY_TAKEN: it is the value; 0: it is not, and never will be */
    uint8_t node[16]; /* where that copy is */
};
#define REC_STRAY_TAKEN 1u

struct rec_store_give {
    uint8_t object[28];
    uint32_t flags; /* 0 */
    struct record_address owner;
};

struct rec_segment {
    uint32_t segment;
    uint32_t reserved;
};

_Static_assert(sizeof(struct record_head) == 16, "layout");
_Static_assert(sizeof(struct rec_lease) == 48, "layout");
_Static_assert(sizeof(struct rec_store_at) == 56, "layout");
_Static_assert(sizeof(struct rec_store_get) == 72, "layout");
_Static_assert(sizeof(struct rec_store_create) == 80, "layout");
_Static_assert(sizeof(struct rec_store_lost) == 48, "layout");

#endif
