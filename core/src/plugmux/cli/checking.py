"""`python -m plugmux.cli.checking NAME`: load one plugin in this process, for `plugmux providers --check`.

Exits with 0 if it loads and with 4 if it is set aside; the verdict is remembered. Anything else means
that the plugin took the interpreter down.
"""

from __future__ import annotations

import os
import sys


def main(name: str) -> int:
    """Load the plugin, and say why not to standard error."""
    import anyio

    from plugmux.errors import PluginError
    from plugmux.runtime import Runtime
    from plugmux.settings import Settings

    runtime = Runtime.make(Settings.load())
    try:
        anyio.run(runtime.registry.load, name)
    except PluginError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)  # an import that never ends must not keep this process at its end
