"""Options into parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from plugmux.errors import InvalidRequestError
from plugmux.model import Task
from plugmux_hf_space._app import Component, Slot, app_of
from plugmux_hf_space._binding import Bound, Given, bind
from plugmux_hf_space._settings import Override
from plugmux_hf_space._tasks import judge
from plugmux_hf_space._values import MisfitError, fit, unset

Part = tuple[str, str, dict[str, Any]]
FILE = {"path": "/tmp/in.png", "meta": {"_type": "gradio.FileData"}}


def slot(kind: str, **props: Any) -> Slot:
    return Slot(component=Component(id=1, kind=kind, props=props), name="p")


NUMBERS = [
    (slot("slider", minimum=32, maximum=2048, step=32), 500, 512),
    (slot("slider", minimum=32, maximum=2048, step=32), 99999, 2048),
    (slot("slider", minimum=32, maximum=2048, step=32), 1, 32),
    (slot("slider", minimum=0, maximum=1, step=0.05), 0.33, 0.35),
    (slot("slider", minimum=0.3, maximum=8.5, step=0.1), 20.0, 8.5),
    (slot("slider", minimum=1, maximum=15, step=0.1), 3.5, 3.5),
    (slot("slider", minimum=0, maximum=2147483647, step=1), 7, 7),
    (slot("slider", minimum=1, maximum=10, step=4), 10, 9),
    (slot("slider", minimum=None, maximum=None, step=None), 7, 7.0),
    (slot("slider", minimum=0, maximum=10, step=0.1), 1e308, 10.0),
    (slot("slider", minimum=0, maximum=10, step=-1), 4.0, 4),
    (slot("slider", minimum=0, maximum=10, step=1e-300), 4.0, 4.0),
    (slot("slider", minimum=0, maximum=1e300, step=1), 4.0, 4),
    (slot("number", precision=0), 7.0, 7),
    (slot("number"), 7.25, 7.25),
    (slot("number", minimum=0, maximum=5), 9, 5.0),
]


@pytest.mark.parametrize(("place", "value", "fitted"), NUMBERS)
def test_a_number_is_brought_within_its_bounds_and_on_its_steps(place: Slot, value: Any, fitted: Any) -> None:
    assert fit(place, value) == fitted
    assert type(fit(place, value)) is type(fitted)


@pytest.mark.parametrize("value", [10**400, "many", None, float("nan"), float("inf"), [1]])
def test_what_is_no_number_does_not_fit(value: Any) -> None:
    with pytest.raises(MisfitError):
        fit(slot("slider", minimum=0, maximum=5, step=1), value)


VOICES = slot("dropdown", choices=[["Heart (f)", "af_heart"], ["Adam (m)", "am_adam"]])
RATIOS = slot("radio", choices=["1:1 (1024x1024)", "16:9 (1344x768)", "9:16"])
CHOICES = [
    (VOICES, "af_heart", "af_heart"),
    (VOICES, "Adam (m)", "am_adam"),
    (VOICES, "AM_ADAM", "am_adam"),
    (VOICES, "heart", "af_heart"),
    (VOICES, "soul", None),
    (RATIOS, "16:9", "16:9 (1344x768)"),
    (RATIOS, "1:1", "1:1 (1024x1024)"),
    (RATIOS, "1", None),
    (slot("dropdown", choices=["5s", "10s"]), 5, "5s"),
    (slot("dropdown", choices=[["small", 512], ["large", 1024]]), 1024, 1024),
]


@pytest.mark.parametrize(("place", "value", "chosen"), CHOICES)
def test_a_choice_is_made_by_value_by_label_or_by_how_it_begins(place: Slot, value: Any, chosen: Any) -> None:
    if chosen is None:
        with pytest.raises(MisfitError, match="choices"):
            fit(place, value)
    else:
        assert fit(place, value) == chosen


def test_a_dropdown_that_takes_anything_takes_anything() -> None:
    assert fit(slot("dropdown", choices=["a"], allow_custom_value=True), "b") == "b"


TAGS = slot("dropdown", choices=[["Ink", "ink"], ["Oil", "oil"], ["Wax", "wax"]], multiselect=True)
MARKS = slot("checkboxgroup", choices=["x", "y"])
SEVERAL = [
    (TAGS, ["ink", "Wax"], ["ink", "wax"]),
    (TAGS, ("oil",), ["oil"]),
    (TAGS, "oil", ["oil"]),
    (TAGS, [], []),
    (TAGS, None, []),
    (MARKS, "x", ["x"]),
    (MARKS, ["x", "Y"], ["x", "y"]),
    (slot("dropdown", choices=["a"], multiselect=True, allow_custom_value=True), ["a", "b"], ["a", "b"]),
]


@pytest.mark.parametrize(("place", "value", "chosen"), SEVERAL)
def test_where_several_may_be_chosen_each_is_and_one_is_a_list_of_one(
    place: Slot, value: Any, chosen: list[str]
) -> None:
    assert fit(place, value) == chosen


def test_one_of_several_that_is_no_choice_is_named() -> None:
    with pytest.raises(MisfitError, match="'chalk' is not among its choices: 'ink'"):
        fit(TAGS, ["ink", "chalk"])


def test_nothing_is_chosen_where_several_may_be_and_the_page_chooses_none() -> None:
    assert unset(TAGS) == unset(MARKS) == []


SWITCHES = [(True, True), (0, False), ("false", False), ("On", True), (" no ", False), ("maybe", None)]


@pytest.mark.parametrize(("value", "on"), SWITCHES)
def test_a_switch_understands_words(value: Any, on: bool | None) -> None:
    if on is None:
        with pytest.raises(MisfitError, match="neither true nor false"):
            fit(slot("checkbox"), value)
    else:
        assert fit(slot("checkbox"), value) is on


FLUX: list[Part] = [
    ("textbox", "prompt", {}),
    ("slider", "seed", {"minimum": 0, "maximum": 2147483647, "step": 1, "value": 0}),
    ("checkbox", "randomize_seed", {"value": True}),
    ("slider", "width", {"minimum": 32, "maximum": 2048, "step": 32, "value": 1024}),
    ("slider", "height", {"minimum": 32, "maximum": 2048, "step": 32, "value": 1024}),
    ("state", "", {}),
    ("slider", "num_inference_steps", {"minimum": 1, "maximum": 50, "step": 1, "value": 28}),
]


@pytest.fixture
def bound(script: Any) -> Callable[..., Bound]:
    def make(
        given: Given,
        inputs: list[Part] = FLUX,
        task: Task = Task.TEXT_TO_IMAGE,
        override: Override | None = None,
    ) -> Bound:
        described = evolve(script, inputs=inputs, outputs=[("image", "Result", {})])
        verdict = judge(app_of("http://app", described.config(), described.info()), override)[0]
        return bind(verdict, task, given, override)

    return make


def test_what_is_not_given_is_sent_as_the_page_has_it(bound: Callable[..., Bound]) -> None:
    assert bound(Given(prompt="a fox")) == Bound(data=("a fox", 0, True, 1024, 1024, None, 28))


def test_a_given_seed_switches_the_dice_off(bound: Callable[..., Bound]) -> None:
    assert bound(Given(prompt="a fox", options={"seed": 7})).data[1:3] == (7, False)


def test_what_had_to_be_changed_is_said(bound: Callable[..., Bound]) -> None:
    found = bound(Given(prompt="a fox", options={"width": 5000}))
    assert found.data[3] == 2048
    (notice,) = found.notices
    assert (notice.code, notice.option) == ("option-adjusted", "width")
    assert "2048" in notice.message


def test_what_the_app_cannot_take_is_said(bound: Callable[..., Bound]) -> None:
    (notice,) = bound(Given(prompt="a fox", options={"fps": 24})).notices
    assert (notice.code, notice.option) == ("option-ignored", "fps")
    assert notice.message == "the app has no parameter for fps"


def test_an_aspect_ratio_becomes_a_size_of_the_same_area(bound: Callable[..., Bound]) -> None:
    found = bound(Given(prompt="a fox", options={"aspect_ratio": "16:9"}))
    assert found.data[3:5] == (1376, 768)
    assert found.notices == ()


def test_an_aspect_ratio_beside_a_size_is_told_to_be_ignored(bound: Callable[..., Bound]) -> None:
    found = bound(Given(prompt="a fox", options={"aspect_ratio": "16:9", "width": 512}))
    assert found.data[3:5] == (512, 1024)
    assert [notice.option for notice in found.notices] == ["aspect_ratio"]


@pytest.mark.parametrize("ratio", ["wide", "16", "0:0", ""])
def test_an_aspect_ratio_that_is_none_does_no_harm(bound: Callable[..., Bound], ratio: str) -> None:
    assert len(bound(Given(prompt="a fox", options={"aspect_ratio": ratio})).data) == len(FLUX)


KONTEXT: list[Part] = [("image", "input_image", {}), *FLUX]


def test_an_image_goes_where_the_image_goes(bound: Callable[..., Bound]) -> None:
    found = bound(Given(prompt="edit", images=[FILE]), KONTEXT, Task.IMAGE_TO_IMAGE)
    assert found.data[:2] == (FILE, "edit")


def test_a_missing_image_is_named(bound: Callable[..., Bound]) -> None:
    with pytest.raises(InvalidRequestError, match="input_image") as caught:
        bound(Given(prompt="edit"), KONTEXT, Task.IMAGE_TO_IMAGE)
    assert caught.value.param == "image"


def test_a_second_image_is_told_to_be_left_out(bound: Callable[..., Bound]) -> None:
    found = bound(Given(prompt="edit", images=[FILE, FILE]), KONTEXT, Task.IMAGE_TO_IMAGE)
    assert [notice.option for notice in found.notices] == ["image"]


def test_an_image_for_an_app_without_a_place_for_it_is_told(bound: Callable[..., Bound]) -> None:
    (notice,) = bound(Given(prompt="a fox", images=[FILE])).notices
    assert (notice.code, notice.option) == ("option-ignored", "image")


IMAGE_VALUES = [
    ("gallery", [{"image": FILE, "caption": None}]),
    ("imageeditor", {"background": FILE, "layers": [], "composite": FILE}),
    ("image", FILE),
]


@pytest.mark.parametrize(("kind", "value"), IMAGE_VALUES)
def test_each_component_has_its_own_shape_of_an_image(
    bound: Callable[..., Bound], kind: str, value: Any
) -> None:
    parts: list[Part] = [(kind, "image", {}), ("textbox", "prompt", {})]
    assert bound(Given(prompt="x", images=[FILE]), parts, Task.IMAGE_TO_IMAGE).data[0] == value


def test_a_multimodal_text_box_takes_text_and_files(bound: Callable[..., Bound]) -> None:
    parts: list[Part] = [("multimodaltextbox", "message", {"value": {"text": "", "files": []}})]
    found = bound(Given(prompt="look", images=[FILE]), parts)
    assert found.data == ({"text": "look", "files": [FILE]},)


def test_the_app_makes_one_since_the_core_counts(bound: Callable[..., Bound]) -> None:
    parts: list[Part] = [
        ("textbox", "prompt", {}),
        ("slider", "num_images", {"minimum": 1, "maximum": 4, "step": 1, "value": 4}),
    ]
    assert bound(Given(prompt="x"), parts).data == ("x", 1)


def test_the_apps_own_parameters_go_by_name(bound: Callable[..., Bound]) -> None:
    parts: list[Part] = [
        ("textbox", "prompt", {}),
        ("radio", "style", {"choices": ["ink", "oil"], "value": "ink"}),
    ]
    assert bound(Given(prompt="x", extra={"style": "oil"}), parts).data == ("x", "oil")
    (ignored,) = bound(Given(prompt="x", extra={"style": "wax"}), parts).notices
    assert "wax" in ignored.message
    (unknown,) = bound(Given(prompt="x", extra={"colour": "red"}), parts).notices
    assert "style" in unknown.message


def test_fixed_values_of_an_override_are_sent(bound: Callable[..., Bound]) -> None:
    parts: list[Part] = [("textbox", "prompt", {}), ("textbox", "style", {"value": "ink"})]
    override = Override(values={"style": "oil"})
    assert bound(Given(prompt="x"), parts, override=override).data == ("x", "oil")


def test_a_voice_that_is_not_there_is_told_with_those_that_are(bound: Callable[..., Bound]) -> None:
    parts: list[Part] = [
        ("textbox", "text", {}),
        ("dropdown", "voice", {"choices": ["a", "b"], "value": "a"}),
    ]
    found = bound(Given(prompt="x", options={"voice": "nobody"}), parts)
    assert found.data == ("x", "a")
    assert "'b'" in found.notices[0].message
