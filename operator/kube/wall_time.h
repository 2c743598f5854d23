/*
 * Times as Kubernetes writes them (RFC 3339, UTC).
 *
 * Threads: any. Failure: none.
 */
#ifndef KUBE_WALL_TIME_H
#define KUBE_WALL_TIME_H

#include <stdint.h>

#define KUBE_WALL_TIME_SIZE 40

/* "2026-11-22T17:00:00Z": metav1.Time. Returns `to`. */
char *kube_wall_time(int64_t unix_ms, char to[KUBE_WALL_TIME_SIZE]);
/* "2026-11-22T17:00:00.123000Z": metav1.MicroTime. */
char *kube_wall_time_micro(int64_t unix_ms, char to[KUBE_WALL_TIME_SIZE]);
/* Reads either. -INVALID. */
int kube_wall_time_read(const char *text, int64_t *ret_unix_ms);

#endif
