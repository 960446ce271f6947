#!/bin/sh
# Create a virtual environment with Home Assistant, for the test in which it shows and commands a worker.
#
#     scripts/home_assistant.sh DIRECTORY      PYTHON=/path/to/python3.12 if it is not on the PATH
#
# 0.7 GB on disk. The version depends on the Python; the newer one also needs the system's libturbojpeg.
set -eu
venv=$1
python=${PYTHON:-python3.12}

# With the packages that its MQTT and camera integrations would install on setup.
case $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) in
3.12) packages="homeassistant==2025.1.4 paho-mqtt==1.6.1 av==13.1.0 PyTurboJPEG==1.7.5" ;;
3.14) packages="homeassistant==2026.11.0 paho-mqtt==2.1.0 av==19.0.0 PyTurboJPEG==1.8.3 numpy==2.3.2 aiohasupervisor==0.8.1" ;;
*)
    echo "$python is not Python 3.12 or 3.14; name one: make home-assistant PYTHON=/path/to/python3.12" >&2
    exit 1
    ;;
esac
"$python" -m venv "$venv"
# shellcheck disable=SC2086 - several packages
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages
