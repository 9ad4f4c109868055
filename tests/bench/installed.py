"""How many distributions come with core and hf-inference, ours included.

PLUGMUX_BENCH_LEAN names an interpreter of an environment with these two alone; without it the row tells of
the environment that the bench runs in, where more is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from rows import Row

INSTALLERS = {"pip", "setuptools", "uv", "wheel"}
PROBE = """
import importlib.metadata, json
print(json.dumps([one.name for one in importlib.metadata.distributions()]))
"""


def measure() -> Iterator[Row]:
    python = os.environ.get("PLUGMUX_BENCH_LEAN")
    done = subprocess.run(
        [python or sys.executable, "-I", "-c", PROBE], check=True, stdout=subprocess.PIPE, text=True
    )
    names = sorted({name.lower() for name in json.loads(done.stdout)} - INSTALLERS)
    what = "core and hf-inference" if python else "this environment (PLUGMUX_BENCH_LEAN is not set)"
    budget = 18 if python else None
    yield Row(what=what, value=len(names), unit="distributions", budget=budget, facts={"names": names})
