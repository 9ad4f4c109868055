from __future__ import annotations

import pickle
from typing import Any

from attrs import evolve, field, frozen

from plugmux.value import Value


@frozen(kw_only=True, eq=False, repr=False)
class Point(Value):
    x: int
    label: str = ""
    secret: str = field(default="", repr=False)
    seen: int = field(default=0, eq=False)
    facts: dict[str, Any] = field(factory=dict, hash=False)


@frozen(kw_only=True, eq=False, repr=False)
class Place(Value):
    x: int
    label: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Nothing(Value):
    pass


class Exact(Place):
    pass


def test_values_of_one_class_with_equal_fields_are_equal() -> None:
    assert Point(x=1, label="a") == Point(x=1, label="a")
    assert Point(x=1) != Point(x=2)
    assert Nothing() == Nothing()


def test_another_class_is_never_equal() -> None:
    assert Point(x=1) != Place(x=1)
    assert Place(x=1) != Exact(x=1)
    assert Exact(x=1) != Place(x=1)
    assert Place(x=1) != (1, "")


def test_a_number_that_is_not_itself_is_compared_by_identity_as_in_a_tuple() -> None:
    nan = float("nan")
    assert Point(x=1, facts={"n": nan}) == Point(x=1, facts={"n": nan})


def test_fields_can_be_left_out_of_equality_hash_and_text() -> None:
    one, other = Point(x=1, seen=1, secret="s"), Point(x=1, seen=2, secret="s")
    assert one == other
    assert hash(one) == hash(other)
    assert hash(Point(x=1, facts={"a": 1})) == hash(Point(x=1))
    assert repr(one) == "Point(x=1, label='', seen=1, facts={})"


def test_equal_values_are_one_key() -> None:
    assert len({Point(x=1), Point(x=1), Place(x=1), Nothing(), Nothing()}) == 3


def test_a_changed_copy_and_a_pickled_one() -> None:
    point = Point(x=1, label="a", secret="s")
    assert evolve(point, x=2) == Point(x=2, label="a", secret="s")
    assert pickle.loads(pickle.dumps(point)) == point


def test_instances_hold_nothing_beside_their_fields() -> None:
    assert not hasattr(Point(x=1), "__dict__")
