#!/bin/bash
# After a whole run: the operators of the charts needed exactly the rights that the chart gives them, by the API
# server's audit log. Last of all tests; `run` keeps the log where it makes the cluster.
#
# RAIA_E2E_AUDIT=FILE   the log, by audit.yaml; without it, this is skipped
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${RAIA_E2E_AUDIT-}" ] || skip "only in a whole run that makes its cluster"
need_packages /usr/lib/python3/dist-packages/yaml=python3-yaml
need_tools
helm template raia "$tree/charts/raia-operator" --kube-version 1.35.4 --set useKubernetesProxy=true >"$work/chart.yaml" 2>"$work/err" || { cat "$work/err" >&2; fail "helm template"; }
python "$tree/e2e/kube/rights.py" "$RAIA_E2E_AUDIT" "$work/chart.yaml" || fail "rights (above)"
