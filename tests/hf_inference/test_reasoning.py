"""Thinking inside the answer's text is told apart, wherever its tags are cut."""

from __future__ import annotations

import itertools

import pytest

from plugmux.events import Reasoning, Text
from plugmux_hf_inference._reasoning import ThinkSplitter


def split(*pieces: str) -> tuple[str, str]:
    splitter = ThinkSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()
    assert all(event.text for event in events)
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    return thought, "".join(event.text for event in events if isinstance(event, Text))


ANSWERS = [
    ("<think>\nHm, <b>?\n\nYes.\n</think>\n\nPlainly 4.\n", "Hm, <b>?\n\nYes.", "Plainly 4.\n"),
    ("\n<think>Hm</think>4", "Hm", "4"),
    ("<think></think>4", "", "4"),
    ("<think>\n\n</think>\n\n4", "", "4"),
    ("  An answer with <think>a word</think> on it", "", "  An answer with <think>a word</think> on it"),
    ("<thinking is hard", "", "<thinking is hard"),
    ("<thin", "", "<thin"),
    ("<think>never ended </thi", "never ended </thi", ""),
    ("<think>a</think><think>b</think>", "a", "<think>b</think>"),
    ("4", "", "4"),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "thought", "answer"), ANSWERS)
def test_an_answer_in_one_piece_is_split(text, thought, answer):
    assert split(text) == (thought, answer)


@pytest.mark.parametrize(("text", "thought", "answer"), ANSWERS)
def test_an_answer_in_single_characters_is_split_the_same(text, thought, answer):
    assert split(*text) == (thought, answer)


@pytest.mark.parametrize(("text", "thought", "answer"), ANSWERS)
def test_an_answer_cut_at_any_two_places_is_split_the_same(text, thought, answer):
    for one, two in itertools.combinations(range(len(text) + 1), 2):
        assert split(text[:one], text[one:two], text[two:]) == (thought, answer)


def test_thinking_comes_as_soon_as_it_is_certain():
    splitter = ThinkSplitter()
    splitter.feed("<think>")
    assert splitter.feed("Hm") == [Reasoning(text="Hm")]


def test_an_answer_without_a_tag_comes_at_once():
    assert ThinkSplitter().feed("Hello") == [Text(text="Hello")]
