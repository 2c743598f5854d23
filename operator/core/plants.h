/*
 * Private to core/: bugs that the simulation plants, to see whether it would find them. Only its
 * own copy of the sources has them.
 */
#ifndef OPERATOR_PLANTS_H
#define OPERATOR_PLANTS_H

#ifdef OPERATOR_PLANTS
enum operator_plant {
    OPERATOR_PLANT_NONE,
    OPERATOR_PLANT_NO_EXPECT,     /* creations are not waited for */
    OPERATOR_PLANT_NO_STALE,      /* plans are made on an object older than our own last write */
    OPERATOR_PLANT_NO_LOCK,       /* the status is written without the version that was seen */
    OPERATOR_PLANT_NEW_NAME,      /* a creation of unknown outcome is tried again by another name */
    OPERATOR_PLANT_NO_CHILD,      /* a child's removal does not wake its owner */
    OPERATOR_PLANT_GO_ON,         /* after a failure the next stages are done all the same */
    OPERATOR_PLANT_FORGET,        /* a key that failed does not come again */
    OPERATOR_PLANT_NO_FENCE,      /* writes go on when leading has ended */
    OPERATOR_PLANT_FORGET_STATUS, /* nothing wakes a key whose status waits */
    OPERATOR_PLANTS_END
};
extern enum operator_plant operator_planted;
#define OPERATOR_PLANTED(bug) (operator_planted == (bug))
#else
#define OPERATOR_PLANTED(bug) 0
#endif

#endif
