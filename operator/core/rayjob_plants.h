/*
 * Private to the RayJob reconciler: bugs that its simulation plants, to see whether it would find
 * them. Only its own copy of the sources has them.
 */
#ifndef OPERATOR_RAYJOB_PLANTS_H
#define OPERATOR_RAYJOB_PLANTS_H

#ifdef RAYJOB_PLANTS
enum rayjob_plant {
    RAYJOB_PLANT_NONE,
    RAYJOB_PLANT_FRESH_NAME,  /* names are new each time, and not written before they are used */
    RAYJOB_PLANT_TWO_IDS,     /* each submission has another id */
    RAYJOB_PLANT_LOST_END,    /* what the submitter said is taken for nothing */
    RAYJOB_PLANT_COUNT_TWICE, /* a failure is counted when it is seen and when it is cleared up */
    RAYJOB_PLANT_RESUBMIT,    /* a job that its head forgot is submitted again */
    RAYJOB_PLANT_OLD_ANSWER,  /* answers of an earlier attempt are taken for this one's */
    RAYJOB_PLANT_HASTY,       /* a lost head ends the attempt, whatever a submitter has seen */
    RAYJOB_PLANT_OLD_HEAD,    /* the next attempt takes the last one's head for its own */
    RAYJOB_PLANTS_END
};
extern enum rayjob_plant rayjob_planted;
#define RAYJOB_PLANTED(bug) (rayjob_planted == (bug))
#else
#define RAYJOB_PLANTED(bug) 0
#endif

#endif
