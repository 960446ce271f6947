#!/usr/bin/env bash
# Write the manual page, generated from the command-line parsers, to standard output.
#
#     scripts/man.sh VENV
#
# With Python 3.11: argparse's help output differs between versions.
set -euo pipefail

# It must not depend on the date or the width of the terminal.
export SOURCE_DATE_EPOCH=0 COLUMNS=80
"$1/bin/argparse-manpage" --module edge_worker.cli --function parser --prog edge-worker --project-name edge-worker \
    --manual-title edge-worker --description 'human parsing over MQTT' --format single-commands-section
