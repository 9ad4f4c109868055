"""Puts the defects of one kind before the contract of that kind: `python proof.py KIND` prints JSON."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable

import anyio
from defects import DEFECTS
from flawless import Flawless

from plugmux import Model
from plugmux.testing import ProviderContract, chat
from plugmux.testing.contract import (
    CancelContract,
    ErrorContract,
    EventContract,
    LoopContract,
    SecretContract,
)

KINDS = {
    "events": EventContract,
    "cancel": CancelContract,
    "errors": ErrorContract,
    "secrets": SecretContract,
    "loop": LoopContract,
}


def contract_of(defective: type[Flawless]) -> ProviderContract:
    class Contract(ProviderContract):
        plugin = defective()
        model = Model(id="kit/echo", provider="kit")
        stop_path = "/v1/stop"

        def chunks(self) -> list[bytes]:
            return chat.chunks(chat.tokens(12))

    return Contract()


def verdict(kind: str, defective: type[Flawless]) -> str | None:
    """The first test of the kind that fails, and what it says; None when all pass."""
    contract = contract_of(defective)
    for backend in ("asyncio", "trio"):
        for name, _ in inspect.getmembers(KINDS[kind], inspect.isfunction):
            if name.startswith("test_") and (said := failure(getattr(contract, name), backend)):
                return f"{name}: {said}"
    return None


def failure(test: Callable[[], object], backend: str) -> str | None:
    try:
        anyio.run(test, backend=backend)  # type: ignore[arg-type]
    except (Exception, BaseExceptionGroup) as error:
        return f"{error!r}".splitlines()[0][:200]
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a defect may leave a mess for the collector
    kind = sys.argv[1]
    caught = {defective.__name__: verdict(kind, defective) for defective in DEFECTS[kind]}
    sys.stdout.write("\n" + json.dumps(caught))
