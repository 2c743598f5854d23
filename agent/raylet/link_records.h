/*
 * What raylets say to each other over a link, besides what their stores say (store/link_records.h).
 * Fields are packed without padding, little-endian; texts and lists as base/buf.h writes them.
 *
 * A view is {u64 version, resources}; resources are {u32 n, n x {i64 quantity, str name}}.
 * Channels are named by numbers that each side chooses; 0 is none.
 */
#ifndef RAYLET_LINK_RECORDS_H
#define RAYLET_LINK_RECORDS_H

#define LINK_RECORD_MAX (64u << 10) /* bytes of a record, but data of channels and stores */

enum link_record_type {
    /* leases: core/sched.h */
    LINK_ASK = 1, /* u32 request, u32 count, u8[4] job, u8 spread, resources */
    LINK_GRANT,   /* u32 request, u64 lease, u8[16] worker */
    LINK_REJECT,  /* u32 request, u32 count, i32 status, str text, view */
    LINK_RETURN,  /* u64 lease, u8 broken */
    LINK_RECLAIM, /* u64 lease */
    LINK_LOST,    /* u64 lease, i32 status, i32 exit status, str text */
    LINK_ROOM,    /* view */

    /* channels: peers.c */
    LINK_CH_OPEN = 16, /* u32 mine, address from, address to, u64 credit */
    LINK_CH_OPENED,    /* u32 yours, u32 mine, u64 credit */
    LINK_CH_CLOSED,    /* u32 yours, i32 status: the process is dead, or closed it */
    LINK_CH_DATA,      /* u32 yours, bytes */
    LINK_CH_CREDIT,    /* u32 yours, u64 bytes */

    LINK_LOG = 32,   /* u8[16] the driver's worker id, the payload of a REC_LOG */
    LINK_OWNER_GONE, /* address: a process of the sender died */
};

#endif
