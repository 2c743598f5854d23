/*
 * A model server (model_server.h) behind our own HTTP server: what the real client and the real
 * program are tested against.
 *
 *     kube_model_http_new(model, NULL, &h);
 *     ... http://127.0.0.1:PORT, with kube_model_http_port(h) ...
 *     while (...)
 *         kube_model_http_step(h);
 *     kube_model_http_free(h);
 *
 * Ownership: the model and the token are the caller's and outlive it. Threads: one at a time, that of
 * the steps, which is also the only one that may touch the model meanwhile. Failure: ends the test
 * program.
 */
#ifndef KUBE_SIM_MODEL_HTTP_H
#define KUBE_SIM_MODEL_HTTP_H

#include "kube/sim/model_server.h"

struct kube_model_http;

/* token: requests without it are refused with 401; NULL: none is asked for. */
void kube_model_http_new(struct kube_model *m, const char *token, struct kube_model_http **ret_h);
void kube_model_http_free(struct kube_model_http *h); /* accepts NULL */
unsigned kube_model_http_port(const struct kube_model_http *h);
/* Serves what there is, and waits a little for it. */
void kube_model_http_step(struct kube_model_http *h);

#endif
