"""What a provider is tested with: the contract, a scripted provider, and a server that fails to order.

    from plugmux.testing import FaultServer, ProviderContract, ScriptedProvider, replies

Everything works on asyncio and on trio, opens sockets on 127.0.0.1 only, and needs nothing beyond plugmux
itself; `ProviderContract` alone needs pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugmux.testing import chat, replies
    from plugmux.testing.contract import ProviderContract
    from plugmux.testing.replies import Close, Dribble, Hang, Reply, Reset, Send, Wait
    from plugmux.testing.scripted import ScriptedAttempt, ScriptedProvider, installed
    from plugmux.testing.server import FaultServer, SeenRequest

_HOMES = {
    "plugmux.testing.contract": ("ProviderContract",),
    "plugmux.testing.replies": ("Close", "Dribble", "Hang", "Reply", "Reset", "Send", "Wait"),
    "plugmux.testing.scripted": ("ScriptedAttempt", "ScriptedProvider", "installed"),
    "plugmux.testing.server": ("FaultServer", "SeenRequest"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("chat", "replies")

__all__ = [
    "Close",
    "Dribble",
    "FaultServer",
    "Hang",
    "ProviderContract",
    "Reply",
    "Reset",
    "ScriptedAttempt",
    "ScriptedProvider",
    "SeenRequest",
    "Send",
    "Wait",
    "chat",
    "installed",
    "replies",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"plugmux.testing.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'plugmux.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)
