#!/bin/sh
# Create or update a virtual environment with this project, editable, and one of its extras.
#
#     scripts/venv.sh DIRECTORY EXTRA      PYTHON=/path/to/python3 overrides the search for an interpreter
#
# Needs only Python 3.11 or newer and a package index: no pip, ensurepip or virtualenv.
set -eu
venv=$1
extra=$2
here=$(dirname "$0")

say() { printf '%s\n' "$*" >&2; }

works() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "no Python of 3.11 or newer found (looked for: ${PYTHON:-python3, python3.13 … python3.11})."
    say "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make … PYTHON=/path/to/python3"
    exit 1
}

# On Debian and Ubuntu ensurepip is a separate package; without it, pip comes from the system's pip or from the index.
make_venv() {
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    if "$python" -c 'import ensurepip' 2>/dev/null && "$python" -m venv --clear "$venv"; then
        return
    fi
    "$python" -m venv --clear --without-pip "$venv"
    if ! "$python" -m pip --python "$venv/bin/python" install --quiet pip 2>/dev/null; then
        "$venv/bin/python" "$here/fetch_pip.py"
    fi
}

# On a slow line downloads often break off; the second attempt reuses what the first has cached.
install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" && return
    say "that did not work; trying once more"
    "$venv/bin/python" -m pip install --disable-pip-version-check "$@"
}

"$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
say "installing edge-worker[$extra] into $venv; the first time this downloads for some minutes"
install "pip>=23.1" # editable installs from pyproject.toml alone need a newer pip than some Pythons include
install --editable "$here/..[$extra]"
