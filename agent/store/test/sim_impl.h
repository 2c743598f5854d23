/* What the files of the simulated stores share: sim.c (nodes, links), sim_host.c (what the cores ask
 * for), sim_process.c (processes, the end). */
#ifndef STORE_TEST_SIM_IMPL_H
#define STORE_TEST_SIM_IMPL_H

#include "sim.h"

/* The first one counts. */
void sim_fail__(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The bytes that a process holds are those of the object. */
void sim_look__(struct sim *s, const struct sim_client *c, const struct sim_held *h);
extern const struct store_core_ops sim_ops__;

static inline struct store_core *core_of(struct sim *s, int client)
{
    return s->nodes[s->clients[client].node].core;
}

#endif
