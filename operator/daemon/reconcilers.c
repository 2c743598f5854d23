/*
 * The reconcilers, made and freed.
 */
#include "daemon/reconcilers.h"

#include "base/err.h"
#include "base/mem.h"
#include "core/raycluster.h"
#include "core/rayjob.h"
#include "keys/keys.h"

int reconcilers_new(const struct operator_config *config, struct reconcilers *ret,
                    struct raia_error *e)
{
    ret->all[ret->n++] = raycluster_reconciler(config, keys_maker());
    ret->all[ret->n++] = rayjob_reconciler(config);
    if (!ret->all[0] || !ret->all[1])
        return err_set(e, RAIA_ERR_NOMEM, "out of memory for the reconcilers");
    return 0;
}

void reconcilers_done(struct reconcilers *all)
{
    raycluster_free(all->all[0]);
    mem_free(all->all[1]);
    *all = (struct reconcilers){0};
}
