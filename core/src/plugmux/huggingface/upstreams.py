"""The names of those who compute behind the router, and the words that let the router choose.

Both official clients list them so; what the router names beyond them is taken as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ACCOUNT", "POLICIES", "RETIRED", "ROUTED", "is_upstream", "split_name", "suffixes"]

ACCOUNT = "huggingface"
"""Who pays for everything that goes through the router: the token's owner (or `bill_to`)."""

ROUTED = frozenset(
    {
        "baseten",
        "cerebras",
        "cohere",
        "deepinfra",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        "hf-inference",
        "novita",
        "nscale",
        "ovhcloud",
        "publicai",
        "replicate",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    }
)
"""Routed today."""

RETIRED = frozenset(
    {"black-forest-labs", "centml", "clarifai", "hyperbolic", "nebius", "nvidia", "sambanova"}
)
"""Once routed; models may still be asked for by their names."""

POLICIES = frozenset({"fastest", "cheapest", "preferred"})
"""`id:fastest` and its like leave the choice to the router (documented)."""


def suffixes(listed: Iterable[str] = ()) -> frozenset[str]:
    """What the router takes behind an id: a policy, or an upstream (documented). Those `listed` have models
    of their own; any other is left to the router, whose list may be old or name nobody."""
    return POLICIES | ROUTED.difference(listed)


def is_upstream(name: str) -> bool:
    """Whether `name` is known to compute, or to have computed, behind the router."""
    return name in ROUTED or name in RETIRED


def split_name(name: str) -> tuple[str, str | None]:
    """`id:suffix` split at its last colon, if the suffix is known; else the whole name and None."""
    model, colon, suffix = name.rpartition(":")
    if colon and model and (is_upstream(suffix) or suffix in POLICIES):
        return model, suffix
    return name, None
