#!/usr/bin/env bash
# Installs, where the user may, the system packages that widen the search. A package that cannot be had is no
# error: it is named, and the search goes on without it. Prompts for nothing.
#
#   PYTHON             the interpreter the environment is made with (python3)
#   SYSTEM_PACKAGES    `no` installs nothing and only names what is missing
#   TEST_PACKAGES      `yes` also installs what the tests of pages need, a browser
set -euo pipefail

PYTHON=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin

say() { echo "setup: $*"; }
has_command() { command -v "$1" >/dev/null 2>&1; }
has_library() { ldconfig -p 2>/dev/null | grep -E "/lib($1)\.so" >/dev/null; }
has_headers() { "$PYTHON" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'; }
has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

# What is missing, one line each: a pattern of package names, best first where several would do.
missing() {
    local version
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    has_library 'tcmalloc|tcmalloc_minimal' || echo 'libtcmalloc-minimal4(t64)?|libgoogle-perftools4(t64)?'
    has_library 'jemalloc' || echo 'libjemalloc2'
    has_library 'mimalloc' || echo 'libmimalloc[0-9.]+(t64)?'
    has_command numactl || echo 'numactl'
    has_command g++ || echo 'g\+\+'
    has_headers || echo "python${version}-dev" # torch.compile's kernels include Python.h
    has_venv || echo "python${version}-venv"
    if [ "${TEST_PACKAGES:-no}" = yes ]; then
        has_command chromium || echo 'chromium'
        has_command chromedriver || echo 'chromium-driver'
    fi
}

# The newest name that apt knows for a pattern of alternatives; the alternatives in order.
package() {
    local pattern name
    IFS='|' read -ra alternatives <<<"$1"
    for pattern in "${alternatives[@]}"; do
        name=$(apt-cache pkgnames | grep -xE "$pattern" | sort -V | tail -n 1 || true)
        if [ -n "$name" ]; then
            echo "$name"
            return
        fi
    done
}

# A pattern as a person would ask for it: libmimalloc, g++, libtcmalloc-minimal4.
spoken() { sed -E 's/\|.*//; s/\(t64\)\?//; s/\[0-9\.\]\+//; s/\\//g' <<<"$1"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=1 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@" </dev/null >>"$log" 2>&1
}

mapfile -t wanted < <(missing)
[ ${#wanted[@]} -gt 0 ] || exit 0

names=()
for pattern in "${wanted[@]}"; do names+=("$(spoken "$pattern")"); done
without() { say "without ${names[*]}: $1; the search goes on without what needs them"; }

if [ "${SYSTEM_PACKAGES:-yes}" = no ]; then
    without "SYSTEM_PACKAGES=no"
    exit 0
fi
if ! has_command apt-get || ! has_command apt-cache; then
    without "no apt-get here, so install your system's packages of these names by hand"
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! { has_command sudo && sudo -n true 2>/dev/null; }; then
    without "ask an administrator for 'apt-get install' of these, then run 'make system'"
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "system packages: ${names[*]}"
apt update || say "apt-get update failed; going on with the package lists there are"
packages=()
for pattern in "${wanted[@]}"; do
    found=$(package "$pattern")
    if [ -n "$found" ]; then
        packages+=("$found")
    else
        say "without $(spoken "$pattern"): apt knows no such package here"
    fi
done
[ ${#packages[@]} -gt 0 ] || exit 0
if apt install -y --no-install-recommends "${packages[@]}"; then
    exit 0
fi
for name in "${packages[@]}"; do # one package that cannot be installed must not take the others with it
    apt install -y --no-install-recommends "$name" || say "without $name: $(grep -E '^E: ' "$log" | tail -n 1)"
done
