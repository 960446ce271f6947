#!/usr/bin/env bash
# Build the wheel into dist/, and test it in an environment with nothing but the wheel and its dependencies.
#
#     scripts/wheel.sh PYTHON
set -euo pipefail
python=$1
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rm -rf build # setuptools would include leftovers
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" .
"$python" scripts/check_wheel.py "$work"/dist/*.whl

"$python" -m venv --without-pip "$work/venv"
"$python" -m pip --python "$work/venv/bin/python" install --quiet --only-binary :all: "$work"/dist/*.whl
image=$PWD/tests/golden/tiny-multi/frame.png
cd "$work" # outside the checkout, whose package would be imported
venv/bin/edge-worker --version
venv/bin/edge-worker parse --out parsed "$image"
compgen -G 'parsed/*labels.json' >/dev/null
cd - >/dev/null
mkdir -p dist
mv "$work"/dist/*.whl dist/
