#!/bin/sh
# Make Mosquitto's password file $2/accounts of the files in directory $1: each is named as an account and holds its password.
# (mosquitto_passwd -U would cut passwords at a colon; nobody else sees the arguments of this pod's init container.)
set -eu
umask 077
: >"$2/accounts"
for secret in "$1"/*; do
    mosquitto_passwd -b "$2/accounts" "${secret##*/}" "$(cat "$secret")"
done
