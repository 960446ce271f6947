#!/bin/sh
# Run every check and test on each supported Python that is installed, each in its own environment.
#
#     scripts/test_all.sh [ARGS for pytest]      make test-all ARGS="-k decoder"
set -eu
cd "$(dirname "$0")/.."
tried=
for version in 3.11 3.12 3.13; do
    if ! "python$version" -c '' 2>/dev/null; then # not `command -v`: pyenv's commands are there without the version
        printf 'Python %s: skipped, no python%s in PATH\n' "$version" "$version" >&2
        continue
    fi
    printf 'Python %s\n' "$version" >&2
    make test VENV=".venv-$version" PYTHON="python$version" ARGS="$*"
    tried="$tried $version"
done
if [ -z "$tried" ]; then
    echo "none of python3.11, python3.12, python3.13 is in PATH: install one (Debian: apt-get install python3 python3-venv)" >&2
    exit 1
fi
echo "passed on Python$tried" >&2
