"""What a provider says of a model: yes, no or unknown, and unknown is not no."""

from __future__ import annotations

import pytest

from plugmux.model import Auth, Capability, Model, Pricing, Task


def test_a_capability_that_nobody_stated_is_unknown() -> None:
    model = Model(id="m", capabilities={"tools": True, "vision": False})
    assert model.can(Capability.TOOLS) is True
    assert model.can(Capability.VISION) is False
    assert model.can(Capability.REASONING) is None


def test_the_remote_id_is_the_id_unless_given() -> None:
    assert Model(id="m").remote_id == "m"
    assert Model(id="m", remote_id="r").remote_id == "r"


def test_words_are_taken_for_tasks_and_auth_in_their_order_once() -> None:
    model = Model(id="m", tasks=["text-to-image", "conversational", "text-to-image"], auth="none")
    assert model.tasks == (Task.TEXT_TO_IMAGE, Task.CONVERSATIONAL)
    assert model.auth is Auth.NONE


@pytest.mark.parametrize(
    "facts",
    [
        {"id": 7},
        {"tasks": ["dance"]},
        {"auth": "maybe"},
        {"capabilities": {"fly": True}},
    ],
)
def test_a_fact_outside_the_vocabulary_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Model(**{"id": "m", **facts})  # type: ignore[arg-type]


def test_a_model_can_be_put_into_a_set() -> None:
    models = {Model(id="m", capabilities={"tools": True}, pricing=Pricing(input=1.0)) for _ in range(2)}
    assert len(models) == 1


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task.TEXT_TO_IMAGE, True),
        (Task.TEXT_TO_SPEECH, True),
        (Task.CONVERSATIONAL, False),
        (Task.AUTOMATIC_SPEECH_RECOGNITION, False),
        (Task.IMAGE_TEXT_TO_TEXT, False),
    ],
)
def test_media_tasks_are_those_whose_answer_is_media(task: Task, expected: bool) -> None:
    assert task.is_media is expected
