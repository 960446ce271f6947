#!/bin/sh
# Create a virtual environment for ModelScope's published M2FP pipeline, the reference of the engines' contract test and
# of the benchmark. docs/reference.md explains the versions.
#
#     scripts/reference.sh DIRECTORY      PYTHON=/path/to/python3.10 if it is not on the PATH
#
# Needs Python 3.10 with its headers and a C++ compiler. Downloads 3.4 GB with PyPI's torch, which includes CUDA; set
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu for the 0.2 GB build without CUDA.
set -eu
venv=$1
here=$(dirname "$0")
python=${PYTHON:-python3.10}

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then
    echo "$python is not Python 3.10, the last one these versions run on; name one: make reference PYTHON=/path/to/python3.10" >&2
    exit 1
fi
"$python" -m venv "$venv"

install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

install 'pip<25' 'setuptools<70' wheel
install torch==1.13.1 torchvision==0.14.1 'numpy<2'
# With its operators, without which mmcv.ops cannot be imported. Compiles for about five minutes.
MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-2} install --no-build-isolation mmcv-full==1.7.1
# mmcv installs a second OpenCV, for numpy 2, in the same folder.
"$venv/bin/python" -m pip uninstall --quiet --yes opencv-python
install opencv-python-headless==4.8.0.76 modelscope==1.9.5 timm==0.9.16 addict \
    datasets==2.13.0 'pyarrow<15' 'fsspec<2023.10' 'numpy<2'
# This project without its own requirements (it requires a newer OpenCV and Python; its engine for the published network
# runs on these), and the other packages it needs.
install --no-deps --ignore-requires-python --editable "$here/.."
install 'numpy<2' msgspec pillow pydantic pyyaml structlog typing-extensions
