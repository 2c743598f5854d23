/*
 * A cluster for tests: real raia-agent, raia-gcs and raia-raylet, each node in a folder of its own
 * under a fresh temporary one. What goes wrong fails the test.
 */
#ifndef TEST_CLUSTER_H
#define TEST_CLUSTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "client.h"

#define CLUSTER_NODES 4

struct cluster_t {
    char dir[64];
    int n;
    pid_t agent[CLUSTER_NODES];
};

struct json;

void cluster_start(struct cluster_t *c);
/* One more node; flags: "--num-cpus=2 ..." by blanks. The first one is the head. */
int cluster_add(struct cluster_t *c, const char *flags);
void cluster_stop(struct cluster_t *c);
/* The path of a file in a node's folder; a static buffer. */
const char *cluster_path(const struct cluster_t *c, int node, const char *file);
/* A driver on this node, whose workers are fake_worker. Waits until the node serves. */
struct client *cluster_driver(const struct cluster_t *c, int node);
/* The node's status; json_free. */
struct json *cluster_status(const struct cluster_t *c, int node);
/* Waits until a number in it is this; false: it was not within 30 s. */
bool cluster_until(const struct cluster_t *c, int node, const char *path, double value);
/* pid of the raylet, from its node's process tree. */
pid_t cluster_raylet(const struct cluster_t *c, int node);

#endif
