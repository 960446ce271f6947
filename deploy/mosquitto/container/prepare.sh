#!/bin/sh
# Prepare the files of a Mosquitto container: prepare.sh SECRETS RUN ACL…
# Writes RUN/accounts from the files in SECRETS (name: account, content: password), and RUN/acl from the other arguments.
# (mosquitto_passwd -U would cut passwords at a colon; the arguments are not visible outside the container.)
set -eu
secrets=$1
run=$2
shift 2
umask 077
: >"$run/accounts"
for secret in "$secrets"/*; do
    mosquitto_passwd -b "$run/accounts" "${secret##*/}" "$(cat "$secret")"
done
cat "$@" >"$run/acl"
