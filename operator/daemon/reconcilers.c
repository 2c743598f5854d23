/*
 * The reconcilers, made and freed.
 */
#include "daemon/reconcilers.h"

#include "base/err.h"
#include "base/mem.h"
#if __has_include("core/raycluster.h") && __has_include("keys/keys.h")
#include "core/raycluster.h"
#include "keys/keys.h"
#define HAVE_CLUSTERS 1
#else
#define HAVE_CLUSTERS 0
#endif
#if __has_include("core/rayjob.h")
#include "core/rayjob.h"
#define HAVE_JOBS 1
#else
#define HAVE_JOBS 0
#endif

int reconcilers_new(const struct operator_config *config, struct reconcilers *ret,
                    struct raia_error *e)
{
    bool bad = false;
    (void)config, (void)ret;
#if HAVE_CLUSTERS
    ret->all[ret->n] = raycluster_reconciler(config, keys_maker());
    bad |= !ret->all[ret->n++];
#endif
#if HAVE_JOBS
    ret->all[ret->n] = rayjob_reconciler(config);
    bad |= !ret->all[ret->n++];
#endif
    return bad ? err_set(e, RAIA_ERR_NOMEM, "out of memory for the reconcilers") : 0;
}

void reconcilers_done(struct reconcilers *all)
{
    size_t i = 0;
    (void)i;
#if HAVE_CLUSTERS
    raycluster_free(all->all[i++]);
#endif
#if HAVE_JOBS
    mem_free(all->all[i++]);
#endif
    *all = (struct reconcilers){0};
}
