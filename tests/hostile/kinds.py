"""The source of every hostile plugin, by kind. Each is installed as `bad`, beside one good provider."""

from __future__ import annotations

from typing import Any

GOOD = """
from plugmux.testing import ScriptedProvider

plugin = ScriptedProvider(models=["good/model"])
"""

HEAD = """
import time
from plugmux import Finish, Model, Text, hookimpl
"""

MODELS = """
@hookimpl
async def get_models(session, wanted):
    return [Model(id="bad/model", auth="none")]
"""

STREAM = """
@hookimpl
async def create_stream(request, session):
    yield Text(text="from bad")
    yield Finish()
"""

GET_MODELS = HEAD + STREAM + "@hookimpl\nasync def get_models(session, wanted):\n    "
AUTHENTICATE = HEAD + STREAM + MODELS + "@hookimpl\nasync def authenticate(session, challenge):\n    "
CREATE_STREAM = HEAD + MODELS + "@hookimpl\nasync def create_stream(request, session):\n    "


def plain(source: str) -> str:
    """The same hook as a plain function, which fails when it is called and not when it is awaited."""
    before, _, after = source.rpartition("async def ")
    return f"{before}def {after}"


AT_IMPORT: dict[str, str] = {
    "ImportError": "raise ImportError('half of me is missing')",
    "SyntaxError": "def broken(:\n    pass",
    "SystemExit": "raise SystemExit(7)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "RecursionError": "def again():\n    again()\nagain()",
    "a missing dependency": "import no_such_library_at_all",
    "another object at its entry point": "plugin_ = 1",
    "no hook at all": "",
    "a misspelt hook": HEAD + STREAM + "\n@hookimpl\nasync def get_modles(session): ...",
    "a hook with arguments nobody gives": HEAD
    + "@hookimpl\nasync def create_stream(request, session, mood): yield",
    "a wrapper of a hook that may not be wrapped": HEAD
    + STREAM
    + "\n@hookimpl(wrapper=True)\ndef get_models(session, wanted):\n    return (yield)",
    "output at import": HEAD + STREAM + MODELS + "\nprint('buy plugmux pro')",
}
"""What goes wrong when the module is imported, or its hooks are looked at."""

ENDLESS = "while True:\n    pass"
"""An import that never ends, and never lets go of the processor."""

AT_WORK: dict[str, str] = {
    "get_models raises": GET_MODELS + "raise KeyError('x')",
    "get_models raises at once": plain(GET_MODELS) + "raise KeyError('x')",
    "get_models exits": GET_MODELS + "raise SystemExit(7)",
    "get_models gives a number": GET_MODELS + "return 42",
    "get_models gives no awaitable": plain(GET_MODELS) + "return 42",
    "get_models gives strings": GET_MODELS + "return ['m']",
    "get_models gives far too many": GET_MODELS
    + "return [Model(id=f'bad/{i}', auth='none') for i in range(150_000)]",
    "get_models never ends": GET_MODELS + "import anyio\n    await anyio.sleep(60)",
    "static models that are none": HEAD + STREAM + "static_models = (1, 'x', None)",
    "static models that are no sequence": HEAD + STREAM + "static_models = 7",
    "a default_auth that is none": HEAD + STREAM + MODELS + "default_auth = 'perhaps'",
    "authenticate raises": AUTHENTICATE + "raise KeyError('x')",
    "authenticate gives a string": AUTHENTICATE + "return 'token'",
    "create_stream raises": CREATE_STREAM + "raise KeyError('x')\n    yield",
    "create_stream raises at once": plain(CREATE_STREAM) + "raise KeyError('x')",
    "create_stream exits": CREATE_STREAM + "raise SystemExit(7)\n    yield",
    "create_stream gives a number": plain(CREATE_STREAM) + "return 42",
    "create_stream gives a coroutine": CREATE_STREAM + "return 42",
    "create_stream yields junk": CREATE_STREAM + "yield 'text'\n    yield Finish()",
    "create_stream yields nothing": CREATE_STREAM + "return\n    yield",
    "create_stream blocks for seconds": CREATE_STREAM + "time.sleep(3)\n    raise KeyError\n    yield",
}
"""What goes wrong when a hook is called."""

METADATA: dict[str, dict[str, Any]] = {
    "a newer core demanded": {"requires": ["plugmux>=99"]},
    "an older core demanded": {"requires": ["plugmux<0.1"]},
    "a requirement that is none": {"requires": ["plugmux>=>=1"]},
    "two distributions with one name": {"twin": True},
    "an entry point that is none": {
        "entry_points": "[plugmux]\nbad-an-entry-point-that-is-none = !!not:an:object!!\n"
    },
    "entry points that cannot be read": {"entry_points": "[plugmux\nbad"},
    "no metadata beside its name": {"metadata": "Name: plugmux-bad\n"},
}
"""What is wrong before anything is imported; the source itself is fine."""
