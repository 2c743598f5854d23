/*
 * Tests of the public functions against a real node. with_cluster.sh starts one and sets
 * RAIA_ADDRESS. The test program is the workers' program too: session.c serves when it is
 * started as a worker; each test is a driver of its own.
 */
#ifndef TEST_SESSION_H
#define TEST_SESSION_H

#include <criterion/criterion.h>

#include "raia/raia.h"

/* raia_init, and raia_shutdown: for .init and .fini. */
void session_begin(void);
void session_end(void);

#endif
