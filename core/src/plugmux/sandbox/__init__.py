"""A local server with plainly synthetic answers and nameable faults (extra `plugmux[sandbox]`).

    with Sandbox() as box:
        os.environ |= box.environment()      # points every provider at the sandbox
        …

or `python -m plugmux.sandbox --port 8017`, which prints the variables to export. Each plugin brings the
routes of its own service by the entry-point group `plugmux.sandbox`, which names an object (a module will
do) with

    routes(box) -> list[starlette.routing.BaseRoute]     mounted as they are: put them below `/name/`
    environment(url) -> dict[str, str]                   what points the provider at the sandbox

A route asks `box.fault(model_id)`, or simply gives its answer to `box.reply`, which plays the fault that
the model's name asks for: `sandbox/fault-429`, `sandbox/fault-cut`; `FAULTS` holds them all. Every answer
has the header `x-plugmux-sandbox: 1`.
"""

from __future__ import annotations

from plugmux.sandbox.faults import FAULTS, Fault, Timings, fault_models
from plugmux.sandbox.log import SeenRequest
from plugmux.sandbox.samples import answer, picture, pieces, sound
from plugmux.sandbox.server import Routes, Sandbox

__all__ = [
    "FAULTS",
    "Fault",
    "Routes",
    "Sandbox",
    "SeenRequest",
    "Timings",
    "answer",
    "fault_models",
    "picture",
    "pieces",
    "sound",
]
