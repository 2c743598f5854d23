#!/bin/bash
# Prints docs/cli.md: what the programs in BIN say of themselves, with an example for each verb.
#
#   docs/cli.sh BIN >docs/cli.md
set -euo pipefail
raia=$1/raia

verb() { # name; the example is standard input
    printf '\n## raia %s\n\n```\n' "$1"
    "$raia" help "$1"
    printf '```\n\nFor example:\n\n'
    sed 's/^/    /'
}

cat <<'TEXT'
# The command line

`raia VERB [ARG ...]`. Results go to standard output, everything said about them to standard error. Tables are for people; `--format json` is for programs (lists are
arrays). Exit status: 0 done; 1 it failed; 2 the command line is wrong; 130 interrupted; `raia up` and `raia job submit` return their entrypoint's.

State and logs of a cluster are under `/tmp/raia-UID/CLUSTER/` (`RAIA_STATE_DIR` names another root). Commands about a cluster take the newest that runs,
unless they are told which, or `RAIA_CLUSTER` or `RAIA_ADDRESS` says it.
TEXT
verb up <<'TEXT'
$ raia up -f e2e/samples/raycluster-minimal.yaml --detach
no meaning on one machine, ignored: template (but the first container's resources)
cluster 'minimal' is up: 1 node in 0.1 s, API http://127.0.0.1:8265
TEXT
verb down <<'TEXT'
$ raia down minimal
cluster 'minimal' is down; its logs stay under /tmp/raia-1000/minimal/nodes
TEXT
verb start <<'TEXT'
head$ raia start --head --node-ip-address 10.0.0.1
head$ scp /tmp/raia-1000/local/join.json other:
other$ raia start --address join.json --node-ip-address 10.0.0.2
TEXT
verb stop <<'TEXT'
other$ raia stop
TEXT
verb status <<'TEXT'
$ raia status
cluster minimal, API http://127.0.0.1:8265, GCS 127.0.0.1:6379

NODE  STATE  NODE_ID                           TOTAL                    AVAILABLE
head  ALIVE  2b2f09474314e630499ea93eecf563eb  CPU 2, memory 16.48 GiB  CPU 2, memory 16.48 GiB

resources in use:
  0 of 2 CPU
  0.00 GiB of 16.48 GiB memory
TEXT
verb job <<'TEXT'
$ raia job submit --submission-id hello -- sh -c 'echo hello; exit 3'
submitted as hello
hello
job hello: FAILED: Job entrypoint command failed with exit code 3; see its log.
$ echo $?
3
$ raia job list --format json
TEXT
verb list <<'TEXT'
$ raia list nodes --format json | jq -r '.[].node_id'
2b2f09474314e630499ea93eecf563eb
$ raia list tasks --filter state=RUNNING
TASK_ID                                           NAME  STATE    TYPE         NODE  PID    SINCE                JOB
7d8edf3598b51338c647b3361e32cd4f0000000000000006  nap   RUNNING  NORMAL_TASK  head  14058  2026-11-22 17:16:21  00000001
7d8edf3598b51338c647b3361e32cd4f000000000000000a  nap   RUNNING  NORMAL_TASK  w-0   14080  2026-11-22 17:16:21  00000001
TEXT
verb get <<'TEXT'
$ raia get nodes 2b2f
TEXT
verb summary <<'TEXT'
$ raia summary tasks
FUNCTION  TYPE         STATES
nap       NORMAL_TASK  RUNNING 4, SUBMITTED_TO_WORKER 1
after     NORMAL_TASK  PENDING_ARGS_AVAIL 1
TEXT
verb logs <<'TEXT'
$ raia logs
NODE                  BYTES  CHANGED              FILE
head                    198  2026-11-22 16:41:26  agent.log
head                    249  2026-11-22 16:41:26  raylet.log
$ raia logs raylet.log --node head --follow
TEXT
verb bench <<'TEXT'
$ raia bench --quick single_client_get_calls
TEXT
