"""`python -m plugmux.cli.checking NAME`: load one plugin in this process, for `plugmux providers --check`.

Says "ok" and exits with 0 if it loads, says why not and exits with 4 if it is set aside; the verdict is
remembered where that can be. Anything else means that the plugin took the interpreter down.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout


def main(name: str) -> int:
    """Load the plugin and write what came of it to standard output, which it cannot print to itself."""
    import anyio

    from plugmux.errors import PluginError
    from plugmux.runtime import Runtime
    from plugmux.settings import Settings

    runtime = Runtime.make(Settings.load())
    verdict = "ok"
    with redirect_stdout(sys.stderr):
        try:
            anyio.run(runtime.registry.load, name)
        except PluginError as error:
            verdict = str(error)
    sys.stdout.write(verdict)
    return 0 if verdict == "ok" else 4


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # an import that never ends must not keep this process at its end
