#!/bin/bash
# Runs the word count on a local cluster of a head and two workers, and says how to look around.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/build/bin
echo "starting a head and two workers, and counting the words of /usr/share/doc"
"$bin/raia" up -f e2e/samples/rayjob-wordcount.yaml
cat <<EOF

The cluster is still up. Look around, then stop it:
    build/bin/raia status
    build/bin/raia job list
    build/bin/raia down
Next: docs/guide.md writes a first program; make test runs the tests.
EOF
