#!/usr/bin/env bash
# Deploy a release to a host, and roll back if it does not work there.
#
#     deploy/rollout.sh HOST WHEEL        HOST as for ssh, with sudo there; or "here", as root
#
# Installs the release beside the running one, checks the configuration with it (check --connect), switches the symlink
# /opt/edge-worker and restarts the service. Then /readyz must succeed and one frame must be parsed, otherwise the previous
# release is restored. The frame is sent and its result read with the account of /etc/edge-worker/rollout.yaml, if it exists.
#
# Exit code 0: the new release runs. 1: the old one still runs. 2: wrong usage. 3: neither runs.
#
# Environment variables, with their defaults:
#     INSTALL='python3 -m venv "$1" && "$1/bin/pip" install --quiet "$2"'   directory and wheel; for instance with --no-index
#     NOTIFY='logger --tag edge-worker-rollout'                             command that receives a line of text
#     READY_URL=http://127.0.0.1:9109/readyz                                of ops.http, which must be enabled
#     PATIENCE_S=60                                                         for readiness, and for the frame
set -euo pipefail

: "${INSTALL:=python3 -m venv \"\$1\" && \"\$1/bin/pip\" install --quiet \"\$2\"}"
: "${NOTIFY:=logger --tag edge-worker-rollout}"
: "${READY_URL:=http://127.0.0.1:9109/readyz}"
: "${PATIENCE_S:=60}"

current=/opt/edge-worker
releases=/opt/edge-worker-releases
settings=/etc/edge-worker
service=edge-worker.service

tell() {
    echo "rollout: $*" >&2
    $NOTIFY "$(uname -n): $*" || echo "rollout: nobody could be notified" >&2
}

# Run the script on the host, with the same settings.
elsewhere() {
    local host=$1 wheel=$2 folder
    folder=$(ssh "$host" mktemp -d)
    scp -q "$0" "$wheel" "$host:$folder/"
    printf -v command '%q ' sudo env INSTALL="$INSTALL" NOTIFY="$NOTIFY" READY_URL="$READY_URL" PATIENCE_S="$PATIENCE_S" \
        bash "$folder/${0##*/}" here "$folder/${wheel##*/}"
    local code=0
    ssh "$host" "$command" || code=$?
    ssh "$host" rm -r "$folder"
    return "$code"
}

with_password() {
    local secret=/etc/credstore/edge-worker.mqtt-password
    if [[ -e $secret ]]; then
        EDGE_WORKER__MQTT__PASSWORD_FILE=$secret "$@"
    else
        "$@"
    fi
}

switch_to() {
    ln -sfn "$1" "$current.new"
    mv -T "$current.new" "$current"
}

restart() { timeout 400 systemctl restart "$service"; }

is_ready() {
    "$current/bin/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$READY_URL" 2>/dev/null
}

becomes_ready() {
    local deadline=$((SECONDS + PATIENCE_S))
    until is_ready; do
        ((SECONDS < deadline)) || { echo "rollout: $READY_URL does not say yes" >&2; return 1; }
        sleep 0.5
    done
}

# The rendered scene is published until a result arrives.
parses_a_frame() {
    local folder config=$settings/edge_worker.yaml deadline=$((SECONDS + PATIENCE_S)) camera=rollout-test code=0
    local as=(with_password)
    [[ -e $settings/rollout.yaml ]] && config=$settings/rollout.yaml as=()
    folder=$(mktemp -d)
    "${as[@]}" "$current/bin/edge-worker" watch --save "$folder" -c "$config" >"$folder/log" 2>&1 &
    local watching=$!
    "${as[@]}" "$current/bin/edge-worker" camera scene --fps 1 --qos 1 --camera "$camera" -c "$config" >>"$folder/log" 2>&1 &
    local sending=$!
    until compgen -G "$folder/*$camera*labels.json" >/dev/null; do
        ((SECONDS < deadline)) || { echo "rollout: no frame was parsed: $(tail -3 "$folder/log")" >&2; code=1; break; }
        sleep 0.2
    done
    kill "$watching" "$sending" 2>/dev/null || true
    wait "$watching" "$sending" 2>/dev/null || true
    rm -r "$folder"
    return "$code"
}

works() { restart && becomes_ready && parses_a_frame; }

# Remove all but the running and the previous release.
prune() {
    local folder
    for folder in "$releases"/edge_worker-*; do
        [[ $folder == "$1" || $folder == "$2" ]] || rm -rf "$folder"
    done
}

here() {
    local wheel=$1 name before=''
    name=$(basename "$wheel" .whl)-$(sha256sum "$wheel" | cut -c1-12)
    local release=$releases/$name
    mkdir -p "$releases"
    trap "" HUP # a lost connection must not leave a release untested
    exec 9>"$releases/lock"
    flock --nonblock 9 || { echo "rollout: another one is under way" >&2; return 1; }
    if [[ -L $current ]]; then
        before=$(readlink -f "$current")
    elif [[ -e $current ]]; then
        echo "rollout: $current is no symlink. Move it: mv $current $releases/first && ln -s $releases/first $current" >&2
        return 1
    fi
    [[ $before == "$release" ]] && { echo "rollout: $name runs already" >&2; return 0; }
    rm -rf "$release"
    if ! bash -euc "$INSTALL" install "$release" "$wheel" 9>&-; then
        rm -rf "$release"
        tell "$name cannot be installed; nothing has changed"
        return 1
    fi
    if ! with_password "$release/bin/edge-worker" check -c "$settings/edge_worker.yaml" --connect 9>&-; then
        rm -rf "$release"
        tell "$name refuses the configuration or is refused by the broker; nothing has changed"
        return 1
    fi
    switch_to "$release"
    if works 9>&-; then
        prune "$release" "$before"
        echo "rollout: $name runs" >&2
    elif [[ -n $before ]]; then
        switch_to "$before"
        if restart 9>&- && becomes_ready 9>&-; then
            tell "$name does not work; $(basename "$before") is back"
            return 1
        fi
        tell "$name does not work, and neither does $(basename "$before")"
        return 3
    else
        tell "$name does not work, and there is no release before it"
        return 3
    fi
}

if (($# != 2)) || [[ ! -f $2 ]]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
elif [[ $1 == here ]]; then
    here "$2"
else
    elsewhere "$1" "$2"
fi
