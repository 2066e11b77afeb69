#!/usr/bin/env bash
# Makes .venv with everything autotune uses. The Makefile calls it when .venv is older than what it is made from.
#
#   PYTHON         the interpreter to make .venv with, 3.11 or later (python3)
#   TORCH_INDEX    a package index to take torch and torchvision from first, such as PyTorch's CPU index
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX:-}

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }
pip() { .venv/bin/python -m pip -qq --no-input --disable-pip-version-check "$@" </dev/null; }

other="choose another with PYTHON=..., such as 'make setup PYTHON=python3.12'"
command -v "$PYTHON" >/dev/null || fail "autotune needs Python 3.11 or later; '$PYTHON' was not found; $other"
version=$("$PYTHON" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
    fail "autotune needs Python 3.11 or later; '$PYTHON' does not run; $other"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "autotune needs Python 3.11 or later; '$PYTHON' is $version; $other"

PYTHON=$PYTHON scripts/system.sh

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say ".venv with Python $version"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$PYTHON' has no venv module; ask for the package python${version%.*}-venv, or $other"
    "$PYTHON" -m venv .venv
fi
if [ -n "$TORCH_INDEX" ]; then
    say "torch and torchvision from the index given"
    pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch torchvision # the rest comes next
fi
say "Python packages (some minutes the first time)"
pip install -c constraints.txt -e '.[torch,onnxruntime,openvino,models,openmp,dev]'
say "done; try 'make tune'"
