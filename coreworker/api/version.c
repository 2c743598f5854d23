/* What the library is; the rest of it comes from the runtime's archive. */
#include "raia/raia.h"

RAIA_API const char raia_library_version[] = "raia 0.1.0";
