#!/usr/bin/env bash
# Runs the checks of `make lint` beside the tests; the output of each comes in one piece, at the end a line with the time.
# Its arguments are pytest's. A test file runs in one worker, so that what its tests share is made once.
set -uo pipefail
cd "$(dirname "$0")/.."

BUDGET_S=360
unset PYTHONDONTWRITEBYTECODE # hundreds of processes would compile the same files anew
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

make --no-print-directory lint >"$report/lint.txt" 2>&1 &
lint=$!
.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10 --junitxml="$report/tests.xml" "$@"
tests=$?
wait "$lint"
checks=$?
cat "$report/lint.txt"

count() { grep -om1 "$1=\"[0-9]*\"" "$report/tests.xml" 2>/dev/null | tr -dc 0-9 | grep . || echo 0; }
failed=$(($(count failures) + $(count errors)))
passed=$(($(count tests) - failed - $(count skipped)))
[ "$failed" = 0 ] && failed="" || failed=", $failed failed"
[ "$checks" = 0 ] || failed="$failed, lint failed"
echo "check: $passed passed$failed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
[ "$SECONDS" -le "$BUDGET_S" ] || echo "check: that is more than $((BUDGET_S / 60)) minutes; ARGS=--durations=60 names the slowest tests"
[ "$tests" = 0 ] && [ "$checks" = 0 ]
