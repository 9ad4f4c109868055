"""Tokens are counted by the model's tokenizer, or estimated where it is missing, broken or lying."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugmux.messages import Message
from plugmux_hf_inference._tokens import (
    cached_tokenizer,
    count_messages,
    counter_of,
    estimate_tokens,
)

Count = Callable[[str], int]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("x" * 32, 10),
        ("ü" * 32, 10),
        ("你好世界", 4),
        ("こんにちは", 5),
        ("안녕", 2),
        ("你好, x" + "x" * 29, 12),
        ("привет", 3),
    ],
)
def test_the_estimate(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_messages_count_their_text_their_calls_and_what_is_around_them() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    messages = [
        Message(role="user", content="hello"),
        Message(role="user", content=({"type": "text", "text": "hi"}, picture)),
        Message(role="assistant", content=None, tool_calls=({"id": "1"},)),
    ]
    assert count_messages(messages, len) == [9, 806, 4 + len("{'id': '1'}")]


def words(text: str) -> int:
    return len(text.split()) + 20 * text.count("敏")


def test_a_good_tokenizer_is_used() -> None:
    said: list[str] = []
    count = counter_of(b"{}", tell=said.append, load=lambda _: words)
    assert (count("one two three four five six seven eight"), said) == (8, [])


def test_without_a_tokenizer_or_its_library_tokens_are_estimated_in_silence() -> None:
    def missing(_: bytes) -> Count:
        raise ImportError("tokenizers")

    said: list[str] = []
    assert counter_of(None, tell=said.append) is estimate_tokens
    assert counter_of(b"{}", tell=said.append, load=missing) is estimate_tokens
    assert said == []


def broken(_: bytes) -> Count:
    raise ValueError("Model missing")


class PanicError(BaseException):
    """Like a panic in Rust: no Exception."""


def panicking(_: bytes) -> Count:
    raise PanicError("regex")


def hanging(text: str) -> int:
    threading.Event().wait(20)
    return 1


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (broken, "Model missing"),
        (panicking, "PanicError"),
        (lambda _: lambda text: 0, "finds 0 tokens"),
        (lambda _: lambda text: 4, "finds 4 tokens"),
        (lambda _: lambda text: 100_000, "finds 100000 tokens"),
        (lambda _: hanging, "needs more than"),
    ],
)
def test_a_tokenizer_that_is_broken_or_lies_is_not_used_and_that_is_said(load: Any, why: str) -> None:
    said: list[str] = []
    count = counter_of(b"{}", tell=said.append, load=load, seconds=0.1)
    assert count("x" * 32) == 10
    assert len(said) == 1
    assert why in said[0]


def test_a_tokenizer_of_absurd_size_is_not_even_loaded() -> None:
    said: list[str] = []
    counter_of(b" " * (64 * 1024 * 1024 + 1), tell=said.append, load=broken)
    assert "bytes" in said[0]


@pytest.mark.parametrize("fault", ["none", "raise", "hang"])
def test_a_tokenizer_that_fails_later_is_given_up_once(fault: str) -> None:
    def failing(text: str) -> int:
        if "trap" not in text:
            return words(text)
        if fault == "raise":
            raise PanicError("retry limit")
        return hanging(text) if fault == "hang" else 0

    said: list[str] = []
    count = counter_of(b"{}", tell=said.append, load=lambda _: failing, seconds=0.1)
    assert count("a trap " * 32) == 70
    assert count("x" * 32) == 10
    assert len(said) == 1


def test_a_tokenizer_is_found_where_the_hugging_face_libraries_keep_it(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--acme--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc\n")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "tokenizer.json").write_bytes(b"{}")
    assert cached_tokenizer("acme/model", {"HF_HOME": str(tmp_path)}) == b"{}"
    assert cached_tokenizer("acme/model", {"HF_HUB_CACHE": str(tmp_path / "hub")}) == b"{}"
    assert cached_tokenizer("acme/other", {"HF_HOME": str(tmp_path)}) is None


def tokenizer_file(**changes: Any) -> bytes:
    alphabet = {chr(code): code for code in range(32, 127)}
    model = {"type": "WordLevel", "vocab": alphabet | {"[UNK]": 0}, "unk_token": "[UNK]"}
    split = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    plain = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    plain |= {"pre_tokenizer": split, "post_processor": None, "decoder": None, "model": model}
    return json.dumps(plain | changes).encode()


def test_the_real_library_counts_and_is_not_cut_short_by_the_file() -> None:
    pytest.importorskip("tokenizers")
    said: list[str] = []
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    count = counter_of(tokenizer_file(truncation=cut), tell=said.append)
    assert (count("twelve chars"), said) == (12, [])


@pytest.mark.parametrize("file", [b"", b"{}", b"[1]", b"\xff", tokenizer_file(model={"type": "Magic"})])
def test_the_real_library_and_a_broken_file(file: bytes) -> None:
    pytest.importorskip("tokenizers")
    said: list[str] = []
    assert counter_of(file, tell=said.append) is estimate_tokens
    assert len(said) == 1


def test_the_real_library_and_a_file_that_explodes() -> None:
    pytest.importorskip("tokenizers")
    said: list[str] = []
    bomb = {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 20_000}
    assert counter_of(tokenizer_file(normalizer=bomb), tell=said.append, seconds=0.2)("x" * 32) == 10
    assert len(said) == 1
