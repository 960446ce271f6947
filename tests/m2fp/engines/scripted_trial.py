"""Stands in for a trial process: ends, crawls or answers as ``TRIAL_SCRIPT`` says for each engine and precision.

The script is JSON, ``engine precision`` → the name of a signal, ``hang``, seconds, or a problem; what it does not name
is quick. Each order is noted in ``TRIAL_LOG``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

order = json.loads(sys.stdin.readline())
name = f"{order['engine']} {order['options']['precision']}".strip()
with Path(os.environ["TRIAL_LOG"]).open("a", encoding="utf-8") as log:
    log.write(name + "\n")
what = json.loads(os.environ["TRIAL_SCRIPT"]).get(name, 0.001)
if what == "hang":
    time.sleep(600)
elif isinstance(what, str) and what.startswith("SIG"):
    os.kill(os.getpid(), getattr(signal, what))
sys.stdout.write(json.dumps({"seconds": what} if isinstance(what, float) else {"problem": what}) + "\n")
