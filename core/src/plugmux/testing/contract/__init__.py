"""`ProviderContract`: what every provider promises, as a pytest class to subclass.

    class TestAcme(ProviderContract):
        plugin = plugmux_acme.plugin
        model = Model(id="acme/echo")

        def settings(self, url):
            return {"base_url": url}

        def chunks(self):                                  # a whole answer of the service, event by event
            return chat.chunks("Hello there")

Every test plays the service on a real socket and asks the plugin's hooks directly, on asyncio and on trio
(where it is installed). See `Bench` for what else a service may need to say about itself.
"""

from __future__ import annotations

from plugmux.testing.contract.bench import Bench
from plugmux.testing.contract.blocking import LoopContract
from plugmux.testing.contract.closing import CancelContract
from plugmux.testing.contract.events import EventContract
from plugmux.testing.contract.failing import ErrorContract
from plugmux.testing.contract.secrets import SecretContract

__all__ = [
    "Bench",
    "CancelContract",
    "ErrorContract",
    "EventContract",
    "LoopContract",
    "ProviderContract",
    "SecretContract",
]


class ProviderContract(EventContract, CancelContract, ErrorContract, SecretContract, LoopContract):
    """Everything a provider promises. Subclass it and say how your service answers."""
