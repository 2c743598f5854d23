#!/bin/bash
# The counts as coreutils give them: coreutils-wordcount.sh FOLDER ... ; "COUNT WORD" lines, words in byte order.
set -euo pipefail
export LC_ALL=C
find "$@" -type f -print0 | while IFS= read -r -d '' f; do
    zcat -f "$f" 2>/dev/null | tr A-Z a-z | tr -cs a-z '\n' || true
    echo # a word ends with its file
done | sed '/^$/d' | sort | uniq -c | awk '{print $1, $2}'
