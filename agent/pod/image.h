/*
 * Whether programs that were linked with libraia can run in this image: it must have glibc, and one
 * that is new enough. Found out by running one: raia-worker, which has the image's own loader.
 *
 * Threads: any. Failure: -UNSUPPORTED with what is missing, and which images will do.
 */
#ifndef POD_IMAGE_H
#define POD_IMAGE_H

#include "raia/error.h"

/* program: path of raia-worker; libraries: folder of libraia, or NULL. */
int pod_image_check(const char *program, const char *libraries, struct raia_error *e);

#endif
