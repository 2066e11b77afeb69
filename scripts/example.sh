#!/usr/bin/env bash
# Makes studies/example anew: a real study of search_spaces/quick.yaml with its report, of which only what `show` and
# `report` read is kept. Needs a machine on which nothing else runs. Arguments go to the study, such as --minutes 8.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
study=$made/example
.venv/bin/python -m autotune --space quick --name example --studies "$made" "$@"

rm -f "$study"/study.db* "$study/lock"
for contest in "$study"/confirmation/*/; do # of the sittings those of the finalists, and any that the claim names
    name=$(basename "$contest")
    [[ $name == finalists-* ]] || grep -q "$name" "$study/confirmation.json" || rm -r "$contest"
done
rm -f "$study"/trials/*/latencies.npy
find "$study" \( -name job.json -o -name spec.json -o -name '*.log' \) -delete
find "$study" -mindepth 1 -type d -empty -delete
# Where this checkout lies is nobody's business.
find "$study" -name '*.json' -exec sed -i "s|$PWD/|/srv/autotune/|g; s|$HOME/|/home/user/|g" {} +

rm -rf studies/example
mkdir -p studies
mv "$study" studies/example
.venv/bin/python -m autotune report studies/example
du -sh studies/example
