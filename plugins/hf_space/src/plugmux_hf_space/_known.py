"""The Spaces that are listed from the start: the model that each stands for, and its aliases.

The explicit table for "a Space serves a model id": such an entry is in reserve, so that a service that
serves the model itself is asked first.
"""

from __future__ import annotations

from attrs import evolve, frozen

from plugmux.model import Auth, Model, Task
from plugmux_hf_space._places import space_address
from plugmux_hf_space._zerogpu import ACCOUNT

__all__ = ["KNOWN", "Known", "entries", "static_models"]


@frozen(kw_only=True)
class Known:
    """A Space, the model it runs, what else that model is called, and what the Space takes."""

    space: str
    model: str
    aliases: tuple[str, ...]
    task: Task
    options: frozenset[str]


_SAMPLING = frozenset({"seed", "num_inference_steps", "guidance_scale"})
_SIZE = frozenset({"width", "height", "aspect_ratio"})

KNOWN = (
    Known(
        space="black-forest-labs/FLUX.1-dev",
        model="black-forest-labs/FLUX.1-dev",
        aliases=("flux", "flux-dev", "flux.1-dev"),
        task=Task.TEXT_TO_IMAGE,
        options=_SAMPLING | _SIZE,
    ),
    Known(
        space="black-forest-labs/FLUX.1-Kontext-Dev",
        model="black-forest-labs/FLUX.1-Kontext-dev",
        aliases=("flux-kontext", "flux-kontext-dev", "flux.1-kontext-dev"),
        task=Task.IMAGE_TO_IMAGE,
        options=_SAMPLING | {"image"},
    ),
    Known(
        space="stabilityai/stable-diffusion-3.5-large",
        model="stabilityai/stable-diffusion-3.5-large",
        aliases=("sd-3.5", "sd-3.5-large", "stable-diffusion-3.5-large"),
        task=Task.TEXT_TO_IMAGE,
        options=_SAMPLING | _SIZE | {"negative_prompt"},
    ),
)


def entries(space: Model, model: str, aliases: tuple[str, ...] = ()) -> tuple[Model, Model]:
    """A Space's own entry, and the one under the id of the model it stands for."""
    return space, evolve(space, id=model, aliases=aliases, reserve=True)


def static_models() -> tuple[Model, ...]:
    """All of them, as they are known without asking anybody."""
    found: list[Model] = []
    for known in KNOWN:
        found += entries(_model(known), known.model, known.aliases)
    return tuple(found)


def _model(known: Known) -> Model:
    return Model(
        id=f"spaces/{known.space}",
        upstream=f"spaces/{known.space}",
        tasks=(known.task,),
        inputs={"image"} if known.task is Task.IMAGE_TO_IMAGE else (),
        options=known.options,
        auth=Auth.OPTIONAL,
        account=ACCOUNT,
        extra={"space": known.space, "guess": space_address(known.space)},
    )
