#!/bin/sh
# Before Mosquitto starts in a container: prepare.sh SECRETS RUN ACL…
# Makes RUN/accounts of the files in SECRETS, each named as an account and holding its password, and RUN/acl of the rest.
# (mosquitto_passwd -U would cut passwords at a colon; nobody outside the container sees these arguments.)
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
