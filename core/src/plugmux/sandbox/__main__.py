"""`python -m plugmux.sandbox --port N`: run the sandbox and print what points plugmux at it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from plugmux.errors import ConfigurationError
from plugmux.sandbox.log import SeenRequest
from plugmux.sandbox.server import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted. The export lines go to stdout, everything else to stderr."""
    parser = argparse.ArgumentParser(prog="python -m plugmux.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8017, help="0 takes a free one (default: %(default)s)")
    port = parser.parse_args(arguments).port
    try:
        with Sandbox(port=port, on_request=_say) as box:
            sys.stdout.write("\n".join(box.exports()) + "\n")
            sys.stdout.flush()
            sys.stderr.write(f"{box.describe()}\nCtrl-C ends it.\n")
            box.wait()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    return 0


def _say(entry: SeenRequest) -> None:
    sys.stderr.write(f"{entry.method} {entry.path}\n")


if __name__ == "__main__":
    raise SystemExit(main())
