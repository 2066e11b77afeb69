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
pip() {
    PYTHONUNBUFFERED=1 PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off \
        .venv/bin/python -m pip --no-input --disable-pip-version-check "$@" </dev/null | progress
}

# What pip does, from its output: a line that is rewritten on a terminal, else one every 15 s.
progress() {
    local line doing="looking for packages" begun=$SECONDS told=$SECONDS every=15
    [ -t 1 ] && every=1
    while true; do
        if IFS= read -r -t 1 line; then
            case $line in
            Collecting\ *) doing=${line#Collecting } doing="looking for ${doing%% *}" ;;
            *Downloading\ *) doing="downloading ${line##*Downloading }" ;;
            Installing\ collected*) doing="installing $(tr -cd , <<<"$line" | wc -c | xargs expr 1 +) packages" ;;
            esac
        elif [ $? -le 128 ]; then # the end; a timeout is more
            break
        fi
        [ $((SECONDS - told)) -lt "$every" ] && continue
        told=$SECONDS
        if [ -t 1 ]; then
            printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "setup: $((SECONDS - begun)) s, $doing"
        else
            say "$((SECONDS - begun)) s, $doing"
        fi
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

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
