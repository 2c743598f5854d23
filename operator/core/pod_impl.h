/*
 * Private to pod*.c.
 */
#ifndef OPERATOR_POD_IMPL_H
#define OPERATOR_POD_IMPL_H

#include "core/pod.h"

#define POD_SERVE "ray.io/enable-serve-service" /* annotation of a cluster */

/* What one Ray container is made with. */
struct pod_work {
    const struct pod_site *site;   /* as given */
    const struct ray_group *group; /* as given */
    struct json *spec;             /* of the pod */
    struct json *container;        /* the Ray container in it */
    char *host;                    /* of the head service; mem_free */
    struct json *params;           /* start_params */
    char *line;                    /* start_line; mem_free */
    bool overwrite;                /* the user's command is left alone */
};

int pod_set_metadata__(struct json *pod, const struct pod_site *s, const struct ray_group *g,
                       const struct pod_place *at);
/* Command and arguments of the Ray container. */
int pod_set_command__(struct pod_work *w);
/* Variables of the Ray container, and of the init containers. */
int pod_set_env__(struct pod_work *w);

#endif
