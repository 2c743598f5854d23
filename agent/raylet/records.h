/*
 * The records of processes, checked: from bytes to values. All input is hostile: what does not fit
 * is -RAIA_ERR_PROTOCOL, and nothing is read beyond `size`. Pure; `data` was copied out of shared
 * memory before.
 */
#ifndef RAYLET_RECORDS_H
#define RAYLET_RECORDS_H

#include "core/resources.h"
#include "proto/record.h"

struct records_class {
    uint32_t number;
    bool spread;
    struct res_set need;
};
/* Names are interned; -LIMIT when there are too many. */
int records_class(const void *data, size_t size, struct res_names *names,
                  struct records_class *ret_class);

struct records_demand {
    struct rec_demand d;
    bool has_prefer;
    uint8_t prefer[16];
};
int records_demand(const void *data, size_t size, struct records_demand *ret_demand);

/* A record that is one struct, or a struct and a text after it. */
int records_fixed(const void *data, size_t size, void *ret_struct, size_t want);
int records_running(const void *data, size_t size, struct rec_running *ret_running, char *ret_name,
                    size_t room);

#endif
