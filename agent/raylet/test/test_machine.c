/* What the cgroup says. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "raylet/machine.h"

/* The line of the right controller is found in both versions, alone or among others; what is not
 * there, or makes no sense, is the root. */
Test(machine, cgroup)
{
    static const char v1[] = "11:cpuset:/set\n4:cpu,cpuacct:/kube/a:b/c\n3:memory:/mem\n"
                             "1:name=systemd:/x\n0::/two\n";
    static const struct {
        const char *text, *controller, *path;
    } of[] = {{v1, "cpu", "/kube/a:b/c"},  {v1, "cpuacct", "/kube/a:b/c"},
              {v1, "memory", "/mem"},      {v1, NULL, "/two"},
              {v1, "cpus", "/"},           {v1, "pids", "/"},
              {"0::/\n", NULL, "/"},       {"0::/pod/ray", NULL, "/pod/ray"},
              {"0::/pod\n", "cpu", "/"},   {"", NULL, "/"},
              {"\n\n::\n:", "memory", "/"}};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        _cleanup_(mem_freep) char *path = machine_cgroup(of[i].text, of[i].controller);
        cr_assert_str_eq(path, of[i].path, "%zu", i);
    }
    cr_assert_geq(machine_cpus(), 10000);
    cr_assert_gt(machine_memory(), 1 << 20);
}
