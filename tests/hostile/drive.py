"""Runs several plugmux commands in one process, each with a home of its own, and prints how each ended."""

from __future__ import annotations

import json
import os
import sys
import traceback
from inspect import signature
from typing import Any

from click.testing import CliRunner

from plugmux.cli.app import app

_APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
"""click before 8.2 mixes standard error into standard output unless told otherwise."""


def run(arguments: list[str], home: str) -> dict[str, object]:
    os.environ["PLUGMUX_HOME"] = home
    result = CliRunner(**_APART).invoke(app, arguments)
    err = result.stderr
    if result.exc_info is not None and not isinstance(result.exception, SystemExit | None):
        err += "".join(traceback.format_exception(result.exception))
    return {"code": result.exit_code, "out": result.stdout, "err": err}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    homes = os.environ["PLUGMUX_HOME"]
    ended = {
        name: run(arguments, f"{homes}-{place}") for place, (name, arguments) in enumerate(asked.items())
    }
    sys.stdout.write("\n" + json.dumps(ended))
    sys.stdout.flush()
    os._exit(0)  # a hostile thread must not keep this process
