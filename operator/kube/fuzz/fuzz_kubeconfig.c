/*
 * Any text as a kubeconfig: understood or refused with a reason; what is understood can be used.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_config cfg = {0};
    struct raia_error e = {0};
    int r = kube_config_parse((const char *)data, size, "conf", "/folder", NULL, &cfg, &e);
    if (r < 0 && (!e.code || !e.text[0] || cfg.server))
        abort();
    if (r == 0 && (!cfg.server || !cfg.ns || strncmp(cfg.server, "http", 4) != 0))
        abort();
    if (r == 0 && strncmp(cfg.server, "http:", 5) == 0 && (cfg.token || cfg.key || cfg.token_file))
        abort();
    kube_config_done(&cfg);
    return 0;
}
