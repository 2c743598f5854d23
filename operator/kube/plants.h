/*
 * Private to kube/: bugs that the simulation plants, to see whether it would find them. Only its
 * own copy of the sources has them.
 */
#ifndef KUBE_PLANTS_H
#define KUBE_PLANTS_H

#ifdef KUBE_PLANTS
enum kube_plant {
    KUBE_PLANT_NONE,
    KUBE_PLANT_NO_SWEEP,   /* what a relist does not show stays in the store */
    KUBE_PLANT_NUMBER,     /* resourceVersions are compared as numbers */
    KUBE_PLANT_LOST_KEY,   /* a key added while it is handled is forgotten */
    KUBE_PLANT_LEAK,       /* an expectation that is never seen stays for ever */
    KUBE_PLANT_IGNORE_410, /* 410 is taken for any other failure */
    KUBE_PLANTS_END
};
extern enum kube_plant kube_planted;
#define KUBE_PLANTED(bug) (kube_planted == (bug))
#else
#define KUBE_PLANTED(bug) 0
#endif

#endif
