"""The grammar of model names, and the one rule for short ones.

    provider::name      pins a provider; `name` is then passed through even if nobody lists it
    name:suffix         `suffix` counts only if it is a known upstream or `fastest`, `cheapest`, `preferred`
    name                a Hub id, an alias, a short name, a path or a URL

Everything else is literal: `llama3.1:8b`, `/models/mine`, `http://127.0.0.1:7860`.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from plugmux.value import Value

__all__ = ["SELECTORS", "UPSTREAMS", "ModelName", "parse_name", "short_name"]

SELECTORS = {"fastest": "throughput", "cheapest": "price", "preferred": None}
"""Suffixes that choose among upstreams, and the sort order each stands for."""

UPSTREAMS = frozenset(
    {
        "baseten",
        "black-forest-labs",
        "cerebras",
        "clarifai",
        "cohere",
        "deepinfra",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        "hf-inference",
        "hyperbolic",
        "nebius",
        "novita",
        "nscale",
        "nvidia",
        "openai",
        "ovhcloud",
        "publicai",
        "replicate",
        "sambanova",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    }
)
"""Inference providers behind Hugging Face, the gone ones included: a pinned one gets a reason."""


@frozen(eq=False, repr=False)
class ModelName(Value):
    """A name as the caller wrote it (`text`), and its parts."""

    text: str
    id: str
    provider: str | None = None
    suffix: str | None = None


def parse_name(text: str, upstreams: Collection[str] = UPSTREAMS) -> ModelName:
    """The parts of a model name. `upstreams` are the suffixes that name one."""
    provider, pinned, rest = text.partition("::")
    if not pinned or "/" in provider:  # http://[::1]:7860
        provider, rest = "", text
    name, colon, suffix = rest.rpartition(":")
    if colon and name and (suffix in upstreams or suffix in SELECTORS):
        return ModelName(text, name, provider or None, suffix)
    return ModelName(text, rest, provider or None)


_TAGS = ("-instruct", "-chat", "-it", "-hf")


def short_name(id: str) -> str:
    """The short name of an id: its last part in lower case, without one final `-instruct`, `-chat`,
    `-it` or `-hf`. `meta-llama/Llama-3.3-70B-Instruct` → `llama-3.3-70b`."""
    name = id.rsplit("/", 1)[-1].lower()
    return name.rpartition("-")[0] if name.endswith(_TAGS) else name
