"""Edits in place of whole values."""

from __future__ import annotations

from typing import Any

import pytest

from plugmux_hf_space._diffs import BrokenDiffError, apply_edits
from plugmux_hf_space._results import Replay

EDITS = [
    ("a text grows", "[0 ", [["append", [], "hello "]], "[0 hello "),
    ("a text is replaced", "boo 1", [["replace", [], "boo 2"]], "boo 2"),
    ("nothing changed", "same", [], "same"),
    ("inside an object", {"url": "a", "path": "p"}, [["replace", ["url"], "b"]], {"url": "b", "path": "p"}),
    (
        "deep inside a chat",
        [{"role": "user"}, {"content": [{"text": "hi "}]}],
        [["append", [1, "content", 0, "text"], "you"]],
        [{"role": "user"}, {"content": [{"text": "hi you"}]}],
    ),
    ("a list gets an item", {"a": [1, 2]}, [["add", ["a", 2], 3]], {"a": [1, 2, 3]}),
    ("an item comes in between", [1, 3], [["add", [1], 2]], [1, 2, 3]),
    ("an object gets a key", {}, [["add", ["b"], 1]], {"b": 1}),
    ("a key goes", {"a": 1, "b": 2}, [["delete", ["b"], None]], {"a": 1}),
    ("several in order", [1, 2, 3], [["delete", [1], None], ["delete", [1], None]], [1]),
    ("from nothing", None, [["replace", [], {"path": "x"}]], {"path": "x"}),
]


@pytest.mark.parametrize(
    ("before", "edits", "after"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS]
)
def test_edits_give_the_next_value(before: Any, edits: Any, after: Any) -> None:
    assert apply_edits(before, edits) == after


def test_the_old_value_stays_as_it_was() -> None:
    before = {"a": [{"b": "x"}]}
    apply_edits(before, [["append", ["a", 0, "b"], "y"]])
    assert before == {"a": [{"b": "x"}]}


BROKEN = [
    ("indices that were not shifted", [1, 2, 3, 4], [["delete", [i], None] for i in (1, 2, 3)]),
    ("no such key", {}, [["replace", ["a", "b"], 1]]),
    ("into a text", "abc", [["replace", ["a"], 1]]),
    ("append to a number", 3, [["append", [], "x"]]),
    ("no triple", "a", [["append", []]]),
    ("an unknown action", "a", [["explode", [], 1]]),
    ("no list at all", "a", "b"),
    ("a path that is a number", "a", [["append", 5, "x"]]),
    ("a path into a place that is its own", {"a": {}}, [["append", ["a"] * 5000, "x"]]),
]


@pytest.mark.parametrize(("value", "edits"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_edits_that_do_not_fit_are_one_kind_of_error(value: Any, edits: Any) -> None:
    with pytest.raises(BrokenDiffError):
        apply_edits(value, edits)


def test_a_replay_gives_the_values_of_a_generator() -> None:
    replay = Replay()
    assert replay.feed(["a", 1]) == ["a", 1]
    assert replay.feed([[["append", [], "b"]], []]) == ["ab", 1]
    assert replay.feed([[], [["replace", [], 2]]]) == ["ab", 2]


def test_a_broken_diff_ends_the_replay_and_nothing_else() -> None:
    replay = Replay()
    replay.feed([[1, 2, 3, 4]])
    assert replay.feed([[["delete", [i], None] for i in (1, 2, 3)]]) is None
    assert replay.feed([[["add", [0], 9]]]) is None


def test_sse_v1_sends_whole_values_every_time() -> None:
    replay = Replay(whole=True)
    assert replay.feed(["a"]) == ["a"]
    assert replay.feed(["ab"]) == ["ab"]


def test_a_lost_message_ends_the_replay() -> None:
    replay = Replay()
    replay.feed(["a"])
    replay.lose()
    assert replay.feed([[["append", [], "c"]]]) is None
