/*
 * Bugs that the RayCluster simulation plants on purpose. In programs there are none.
 */
#ifndef OPERATOR_RAYCLUSTER_PLANTS_H
#define OPERATOR_RAYCLUSTER_PLANTS_H

#include <stdbool.h>

enum raycluster_plant {
    RAYCLUSTER_PLANT_NONE,
    RAYCLUSTER_PLANT_RANDOM_NAMES,  /* a pod's name is new each time it is asked for */
    RAYCLUSTER_PLANT_ORPHANS,       /* pods of a removed group stay */
    RAYCLUSTER_PLANT_STALE_STATUS,  /* the counts of the status are kept once it is ready */
    RAYCLUSTER_PLANT_TWO_HEADS,     /* a head is made while the one before it is going */
    RAYCLUSTER_PLANT_SUSPEND_EARLY, /* suspended is said while pods are there */
    RAYCLUSTER_PLANT_OLD_SERVICE,   /* a service that is there stays as it is */
    RAYCLUSTER_PLANTS_END
};

#ifdef RAYCLUSTER_PLANTS
extern enum raycluster_plant raycluster_plant;
#define RAYCLUSTER_PLANTED(what) (raycluster_plant == (what))
#else
#define RAYCLUSTER_PLANTED(what) false
#endif

#endif
