"""What is served when nothing better is known: a short list, and the short names people use.

Short names must resolve to the model they name. A list ages: the router's own comes before this one.
"""

from __future__ import annotations

from plugmux.huggingface.images import IMAGE_OPTIONS
from plugmux.huggingface.upstreams import ACCOUNT, suffixes
from plugmux.model import Auth, Model, Task

__all__ = [
    "ALIASES",
    "CHAT_OPTIONS",
    "COMPLETIONS",
    "DEFAULT_MODEL",
    "RAW",
    "STATIC_MODELS",
    "TEXT_OPTIONS",
    "aliases_of",
]

DEFAULT_MODEL = "openai/gpt-oss-120b"

RAW = "hf-inference"
"""The upstream that takes TGI's `{"inputs", "parameters"}` at `/models/{id}`."""
COMPLETIONS = {
    "deepinfra": "/v1/openai/completions",
    "featherless-ai": "/v1/completions",
    "groq": "/openai/v1/completions",
    "novita": "/v3/openai/completions",
    "ovhcloud": "/v1/completions",
    "scaleway": "/v1/completions",
    "together": "/v1/completions",
}
"""Upstreams with OpenAI's text completions, and their routes (by both official clients' source)."""

CHAT_OPTIONS = frozenset(
    {
        "action",
        "image",
        "max_tokens",
        "reasoning_effort",
        "response_format",
        "seed",
        "shorten",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)

TEXT_OPTIONS = frozenset({"action", "max_tokens", "seed", "shorten", "stop", "temperature", "top_p"})

ALIASES = {
    "command-r-plus": "CohereLabs/c4ai-command-r-plus-08-2024",
    "deepseek-r1": "deepseek-ai/DeepSeek-R1",
    "gemma-2-27b": "google/gemma-2-27b-it",
    "llama-3": "meta-llama/Llama-3.3-70B-Instruct",
    "llama-3.2-11b": "meta-llama/Llama-3.2-11B-Vision-Instruct",
    "llama-3.3-70b": "meta-llama/Llama-3.3-70B-Instruct",
    "mistral-nemo": "mistralai/Mistral-Nemo-Instruct-2407",
    "nemotron-70b": "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
    "phi-3.5-mini": "microsoft/Phi-3.5-mini-instruct",
    "qvq-72b": "Qwen/QVQ-72B-Preview",
    "qwen-2-72b": "Qwen/Qwen2-72B-Instruct",
    "qwen-2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct",
    "qwen-2.5-72b": "Qwen/Qwen2.5-72B-Instruct",
    "qwen-2.5-coder-32b": "Qwen/Qwen2.5-Coder-32B-Instruct",
    "qwq-32b": "Qwen/QwQ-32B",
    "flux": "black-forest-labs/FLUX.1-dev",
    "flux-dev": "black-forest-labs/FLUX.1-dev",
    "flux-schnell": "black-forest-labs/FLUX.1-schnell",
}

_CHAT = (
    DEFAULT_MODEL,
    "openai/gpt-oss-20b",
    "meta-llama/Llama-3.3-70B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "CohereLabs/c4ai-command-r-plus-08-2024",
    "deepseek-ai/DeepSeek-R1",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    "google/gemma-2-27b-it",
    "microsoft/Phi-3.5-mini-instruct",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "moonshotai/Kimi-K2-Instruct-0905",
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
    "NousResearch/Hermes-3-Llama-3.1-8B",
    "Qwen/QwQ-32B",
    "Qwen/Qwen2-72B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen2.5-Coder-32B-Instruct",
)
_SEEING = (
    "meta-llama/Llama-3.2-11B-Vision-Instruct",
    "Qwen/QVQ-72B-Preview",
    "Qwen/Qwen2-VL-7B-Instruct",
)
_DRAWN_BY = {
    "black-forest-labs/FLUX.1-dev": ("together",),
    "black-forest-labs/FLUX.1-schnell": ("together", "hf-inference"),
}


def aliases_of(id: str) -> tuple[str, ...]:
    """The short names that mean `id`."""
    return tuple(alias for alias, target in ALIASES.items() if target == id)


def _chat(id: str, *, sees: bool = False) -> Model:
    return Model(
        id=id,
        tasks=(Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT) if sees else (Task.CONVERSATIONAL,),
        inputs=("image",) if sees else (),
        options=CHAT_OPTIONS,
        auth=Auth.REQUIRED,
        account=ACCOUNT,
        aliases=aliases_of(id),
        default=id == DEFAULT_MODEL,
        selectors=suffixes(),
    )


def _picture(id: str, upstream: str) -> Model:
    return Model(
        id=id,
        upstream=upstream,
        tasks=(Task.TEXT_TO_IMAGE,),
        options=IMAGE_OPTIONS,
        auth=Auth.REQUIRED,
        account=ACCOUNT,
        aliases=aliases_of(id),
        extra={"road": "image"},
    )


STATIC_MODELS = (
    *(_chat(name) for name in _CHAT),
    *(_chat(name, sees=True) for name in _SEEING),
    *(_picture(name, upstream) for name, upstreams in _DRAWN_BY.items() for upstream in upstreams),
)
