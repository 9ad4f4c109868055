"""How many tokens a text has: by the model's own tokenizer where it is at hand, else by estimate.

A `tokenizer.json` comes from the Hub and may be broken, or may lie: cut every text after four tokens, find
none at all, run for minutes. So it is tried on a known text first, works in a thread of its own under a
time limit, and is given up for the estimate, with a word, at its first fault.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Count", "cached_tokenizer", "count_messages", "counter_of", "estimate_tokens"]

Count: TypeAlias = Callable[[str], int]

CHARACTERS_A_TOKEN = 3.2  # of Latin text
MAX_TOKENIZER = 64 * 1024 * 1024  # bytes
LOAD_SECONDS = 10.0
COUNT_SECONDS = 1.0
CHARACTERS_A_SECOND = 500_000

PER_MESSAGE = 4  # the tokens around a message
PER_MEDIA = 800  # about what a picture costs


def estimate_tokens(text: str) -> int:
    """About how many tokens: 3.2 Latin characters make one, as does each character of Chinese, Japanese and
    Korean; of other scripts (Cyrillic, Arabic, signs) two do."""
    if text.isascii():
        return math.ceil(len(text) / CHARACTERS_A_TOKEN)
    dense = sum(map(len, _CJK.findall(text)))
    latin = sum(map(len, _LATIN.findall(text)))
    other = len(text) - dense - latin
    return math.ceil(latin / CHARACTERS_A_TOKEN + other / 2 + dense)


def counter_of(
    tokenizer: bytes | None,
    *,
    tell: Callable[[str], None],
    load: Callable[[bytes], Count] | None = None,
    seconds: float = COUNT_SECONDS,
) -> Count:
    """A function that counts tokens.

    `tokenizer` is the content of a `tokenizer.json`. `tell` gets a sentence if it is not used although the
    `tokenizers` library is there. Loading and counting take time: call both in a worker thread.
    """
    if tokenizer is None:
        return estimate_tokens
    try:
        count = _loaded(tokenizer, load or _load, seconds)
    except ImportError:
        return estimate_tokens
    except _TokenizerError as fault:
        tell(f"the model's tokenizer is not used, tokens are estimated: {fault}")
        return estimate_tokens
    return _falling_back(count, tell, seconds)


def count_messages(messages: Any, count: Count) -> list[int]:
    """The tokens of each message in OpenAI's shape, with what stands around it."""
    return [PER_MESSAGE + _count_message(message, count) for message in messages]


def cached_tokenizer(model: str, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The model's `tokenizer.json`, if the Hugging Face libraries have it in their cache on this machine."""
    home = environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser()
    cache = Path(environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    folder = cache / f"models--{model.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text("utf-8").strip()
        file = folder / "snapshots" / revision / "tokenizer.json"
        return file.read_bytes() if file.stat().st_size <= MAX_TOKENIZER else None
    except (OSError, ValueError):
        return None


class _TokenizerError(Exception):
    """Why a tokenizer is given up."""


def _loaded(tokenizer: bytes, load: Callable[[bytes], Count], seconds: float) -> Count:
    if len(tokenizer) > MAX_TOKENIZER:
        raise _TokenizerError(f"it has more than {MAX_TOKENIZER:,} bytes")
    count: Count = _within(LOAD_SECONDS, lambda: load(tokenizer))
    found, expected = _within(seconds, lambda: count(_PROBE)), estimate_tokens(_PROBE)
    if not expected / 3 <= found <= expected * 8:
        raise _TokenizerError(f"it finds {found} tokens in a text that has about {expected}")
    return count


def _falling_back(count: Count, tell: Callable[[str], None], seconds: float) -> Count:
    current = count

    def counted(text: str) -> int:
        nonlocal current
        if current is estimate_tokens:
            return estimate_tokens(text)
        try:
            found: int = _within(seconds + len(text) / CHARACTERS_A_SECOND, lambda: count(text))
            if not found and text.strip():
                raise _TokenizerError("it finds no token in a text")
        except _TokenizerError as fault:
            current = estimate_tokens
            tell(f"the model's tokenizer was given up, tokens are estimated: {fault}")
            return estimate_tokens(text)
        return found

    return counted


def _load(tokenizer: bytes) -> Count:
    tokenizers: Any = importlib.import_module("tokenizers")
    loaded = tokenizers.Tokenizer.from_buffer(tokenizer)
    loaded.no_truncation()
    loaded.no_padding()

    def count(text: str) -> int:
        # The batch form, unlike the single one, lets other threads run meanwhile.
        return len(loaded.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    return count


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns. ImportError passes; any other failure, or none in time, is a fault."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="tokenizer", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise _TokenizerError(f"it needs more than {seconds:.1f} s")
    value, error = outcome[0]
    if isinstance(error, ImportError):
        raise error
    if error is not None:
        raise _TokenizerError(f"{type(error).__name__}: {error}") from error
    return value


def _count_message(message: Any, count: Count) -> int:
    plain = message if isinstance(message, Mapping) else message.to_dict()
    content = plain.get("content")
    parts = content if isinstance(content, list | tuple) else [{"type": "text", "text": content or ""}]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    texts += [str(call) for call in plain.get("tool_calls") or ()]
    return sum(map(count, texts)) + PER_MEDIA * sum("text" not in part for part in parts)


_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u303f\u3040-\u30ff\u3100-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+"
)
_LATIN = re.compile("[\x00-\u024f\u1e00-\u1eff\u2000-\u206f]+")
_PROBE = (
    "The quick brown fox jumps over the lazy dog, and 12 more of them watch it from the hill. "
    "Der schnelle braune Fuchs springt über den faulen Hund. def add(a, b): return a + b\n"
    "敏捷的棕色狐狸跳过懒狗。"
)
