#!/bin/sh
# Make a virtual environment with Home Assistant, for the test that has it show and command a worker.
#
#     scripts/home_assistant.sh DIRECTORY      PYTHON=/path/to/python3.12 where it is not on the PATH
#
# 0.7 GB on disk. Newer versions of Home Assistant need Python 3.13.
set -eu
venv=$1
python=${PYTHON:-python3.12}

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
    echo "$python is not Python 3.12; name one: make home-assistant PYTHON=/path/to/python3.12" >&2
    exit 1
fi
"$python" -m venv "$venv"
# With what its integrations MQTT and camera would install when they are set up.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check homeassistant==2025.1.4 paho-mqtt==1.6.1 \
    av==13.1.0 PyTurboJPEG==1.7.5
