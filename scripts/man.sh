#!/usr/bin/env bash
# Write the manual page, made from the parsers of the command line, to standard output.
#
#     scripts/man.sh VENV
#
# With Python 3.11: what argparse says of an option differs from version to version.
set -euo pipefail

# Neither the day nor the width of the terminal may change it.
export SOURCE_DATE_EPOCH=0 COLUMNS=80
"$1/bin/argparse-manpage" --module edge_worker.cli --function parser --prog edge-worker --project-name edge-worker \
    --manual-title edge-worker --description 'human parsing over MQTT' --format single-commands-section
