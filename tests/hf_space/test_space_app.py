"""What an app says of itself, and which endpoint does what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from plugmux.errors import MalformedResponseError, ModelNotFoundError
from plugmux.model import Task
from plugmux_hf_space._app import App, app_of, base_of
from plugmux_hf_space._settings import Override
from plugmux_hf_space._tasks import History, Verdict, judge, pick

URL = "http://127.0.0.1:7860"

Part = tuple[str, str, dict[str, Any]]


@pytest.fixture
def app(script: Any) -> Callable[..., App]:
    def make(inputs: list[Part], outputs: list[Part], **more: Any) -> App:
        described = evolve(script, inputs=inputs, outputs=outputs, **more)
        return app_of(URL, described.config(), described.info())

    return make


def text(name: str, **props: Any) -> Part:
    return ("textbox", name, props)


def one(app: App) -> Verdict:
    (verdict,) = judge(app)
    return verdict


IMAGE: Part = ("image", "Result", {})
IN: Part = ("image", "input_image", {})
SHAPES: list[tuple[str, list[Part], list[Part], list[str]]] = [
    ("text to image", [text("prompt")], [IMAGE, ("slider", "Seed", {})], ["text-to-image"]),
    ("text to gallery", [text("prompt")], [("gallery", "out", {})], ["text-to-image"]),
    ("image and text to image", [IN, text("prompt")], [IMAGE], ["image-to-image"]),
    (
        "an image that may be left out",
        [("image", "image", {"value": None}), text("prompt")],
        [IMAGE],
        ["text-to-image", "image-to-image"],
    ),
    ("text to video", [text("prompt")], [("video", "v", {})], ["text-to-video"]),
    ("image to video", [IN, text("prompt")], [("video", "v", {})], ["image-to-video"]),
    ("text to speech", [text("text")], [("audio", "a", {})], ["text-to-speech"]),
    ("speech to text", [("audio", "mic", {})], [text("said")], ["automatic-speech-recognition"]),
    ("image to text", [IN, text("question")], [("markdown", "m", {})], ["image-text-to-text"]),
    ("text to text", [text("x")], [text("y")], ["text-generation"]),
    ("sound to sound", [("audio", "a", {})], [("audio", "b", {})], []),
    ("labels", [IN], [("label", "l", {})], []),
    ("parameters only", [("radio", "mode", {"value": "a"})], [("slider", "s", {})], []),
    ("a seed alone", [("slider", "seed", {"value": 1})], [IMAGE], []),
    ("a picture passed on", [IN], [IMAGE], []),
    ("a text it cannot fill", [text("prompt"), text("address of a webhook")], [IMAGE], []),
]


@pytest.mark.parametrize(
    ("inputs", "outputs", "tasks"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
)
def test_inputs_and_outputs_tell_the_task(
    app: Callable[..., App], inputs: list[Part], outputs: list[Part], tasks: list[str]
) -> None:
    verdict = one(app(inputs, outputs))
    assert [task.value for task in verdict.tasks] == tasks
    assert verdict.why


def test_a_parameter_that_nobody_can_fill_is_named(app: Callable[..., App]) -> None:
    verdict = one(app([text("prompt"), text("webhook")], [IMAGE]))
    assert "'webhook'" in verdict.why


@pytest.mark.parametrize(
    "name", ["lambda", "clear_chat", "update_ui", "on_load", "stop", "_undo_3", "get_seed"]
)
def test_helpers_are_known_by_name(app: Callable[..., App], name: str) -> None:
    assert one(app([text("prompt")], [IMAGE], endpoint=name)).tasks == ()


def test_a_function_that_only_a_change_starts_is_a_helper(script: Any) -> None:
    config = script.config()
    config["dependencies"][0]["targets"] = [[0, "change"]]
    verdict = one(app_of(URL, config, script.info()))
    assert verdict.tasks == ()
    assert "change" in verdict.why


def test_an_override_beats_the_rules(app: Callable[..., App]) -> None:
    described = app([text("prompt"), text("webhook")], [IMAGE], endpoint="update_it")
    assert judge(described)[0].tasks == ()
    (verdict,) = judge(described, Override(endpoint="/update_it", values={"webhook": "none"}))
    assert verdict.tasks == (Task.TEXT_TO_IMAGE,)
    assert verdict.options == {"prompt": 0}
    (verdict,) = judge(described, Override(endpoint="update_it", parameters={"webhook": "negative_prompt"}))
    assert verdict.options == {"prompt": 0, "negative_prompt": 1}


def test_an_override_names_the_task_too(app: Callable[..., App]) -> None:
    described = app([text("prompt")], [("json", "out", {})])
    (verdict,) = judge(described, Override(endpoint="run", task="conversational"))
    assert verdict.tasks == (Task.CONVERSATIONAL,)


def test_a_chat_interface_keeps_its_history_by_session(app: Callable[..., App]) -> None:
    parts: list[Part] = [text("message"), ("state", "", {}), text("System message", value="be kind")]
    verdict = one(app(parts, [("json", "Response", {}), ("state", "", {})], mode="chat_interface"))
    assert verdict.tasks == (Task.CONVERSATIONAL,)
    assert verdict.history is History.SESSION
    assert verdict.options == {"prompt": 0, "system": 2}
    assert verdict.answer == (0,)


def test_a_chatbot_in_and_out_has_its_history_in_the_request(app: Callable[..., App]) -> None:
    parts: list[Part] = [text("message"), ("chatbot", "history", {"value": []})]
    verdict = one(app(parts, [text("message"), ("chatbot", "history", {})]))
    assert verdict.history is History.REQUEST
    assert verdict.answer == (1,)


def test_hidden_outputs_are_not_the_answer(script: Any) -> None:
    described = evolve(script, outputs=[IMAGE, ("image", "second", {})])
    config = described.config()
    config["components"][1]["skip_api"] = True
    assert one(app_of(URL, config, described.info())).answer == (1,)


def test_names_are_looked_up_without_blanks_and_dashes(app: Callable[..., App]) -> None:
    parts: list[Part] = [
        text("Prompt"),
        text("Negative-Prompt", value=""),
        ("slider", "Number of inference steps", {"value": 28}),
        ("slider", "CFG scale", {"value": 3.5}),
        ("checkbox", "Randomize seed", {"value": True}),
        ("dropdown", "Aspect ratio", {"value": "1:1", "choices": [["1:1", "1:1"]]}),
    ]
    assert one(app(parts, [IMAGE])).options == {
        "prompt": 0,
        "negative_prompt": 1,
        "num_inference_steps": 2,
        "guidance_scale": 3,
        "randomize_seed": 4,
        "aspect_ratio": 5,
    }


def test_a_name_counts_only_where_its_component_fits(app: Callable[..., App]) -> None:
    verdict = one(app([text("prompt"), text("image", value="")], [IMAGE]))
    assert "image" not in verdict.options


def test_the_named_endpoint_is_picked_and_no_other(app: Callable[..., App]) -> None:
    verdicts = judge(app([text("prompt")], [IMAGE]))
    assert pick(verdicts, Task.TEXT_TO_IMAGE, "run") is verdicts[0]
    assert pick(verdicts, Task.TEXT_TO_IMAGE, "walk") is None
    assert pick(verdicts, Task.TEXT_TO_SPEECH) is None
    assert pick(verdicts, None) is verdicts[0]


def test_the_signature_changes_when_a_caller_would_notice(app: Callable[..., App]) -> None:
    before = app([text("prompt")], [IMAGE])
    assert app([text("prompt")], [IMAGE], run_id=99).signature == before.signature
    assert app([text("prompt"), text("style", value="x")], [IMAGE]).signature != before.signature
    assert app([text("prompt")], [("video", "v", {})]).signature != before.signature


def test_an_old_gradio_is_told_to_be_too_old(script: Any) -> None:
    config = {**script.config(), "version": "3.50.2", "protocol": "ws"}
    with pytest.raises(ModelNotFoundError, match=r"gradio too old.*3\.50\.2"):
        app_of(URL, config, script.info())


@pytest.mark.parametrize("config", [None, [], "x", {}, {"dependencies": 3}, {"dependencies": None}])
def test_what_describes_no_app_is_malformed(config: Any) -> None:
    with pytest.raises(MalformedResponseError):
        app_of(URL, config, {})


BENT = [
    ("an input that is no component", {"inputs": [77]}),
    ("outputs that are no list", {"outputs": 5}),
    ("a target that is no pair", {"targets": [7]}),
]


@pytest.mark.parametrize("change", [row[1] for row in BENT], ids=[row[0] for row in BENT])
def test_a_bent_description_is_malformed(script: Any, change: dict[str, Any]) -> None:
    config = script.config()
    config["dependencies"][0] |= change
    with pytest.raises(MalformedResponseError):
        app_of(URL, config, script.info())


@pytest.mark.parametrize("info", [None, [], {}, {"named_endpoints": []}, {"named_endpoints": {"/run": 3}}])
def test_an_app_without_a_usable_description_has_nothing_to_call(script: Any, info: Any) -> None:
    assert app_of(URL, script.config(), info).candidates == ()


def test_the_address_is_where_the_description_was_found_in_the_end() -> None:
    assert base_of("https://own.domain/config", "https://a.hf.space") == "https://own.domain"
    assert base_of("https://own.domain/else", "https://a.hf.space") == "https://a.hf.space"


APPS = {
    "a_text2image": {"infer": ["text-to-image"]},
    "b_chat": {"chat|respond": ["conversational"]},
    "b2_chat_multimodal": {"chat|respond": ["conversational", "image-text-to-text"]},
    "b3_chat_blocks": {"bot": ["conversational"]},
    "c_kontext": {"infer": ["image-to-image"]},
    "d_video": {"generate_video": ["text-to-video"]},
    "f_queue": {"work": ["text-generation"]},
    "g_private": {
        "public_fn": ["text-generation"],
        "public_fn_1": ["text-generation"],
        "named": ["text-generation"],
    },
    "i_tts": {
        "tts": ["text-to-speech"],
        "tts_stream": ["text-to-speech"],
        "asr": ["automatic-speech-recognition"],
    },
    "k_misc": {
        "gallery": ["text-to-image"],
        "stateful": ["text-generation"],
        "caption": ["image-text-to-text"],
        "compose": ["text-to-image", "image-to-image"],
    },
}
"""By hand, from the apps' own source: what a person would use each endpoint for."""


def recorded_app(shared: Path, version: str, name: str) -> App:
    folder = shared / "recordings" / "spaces" / f"gradio-{version}"
    files = [folder / f"{name}.{kind}.json" for kind in ("config", "info")]
    if not all(file.exists() for file in files):
        pytest.skip(f"{name} was not recorded whole for {version}")
    return app_of(URL, *(json.loads(file.read_bytes()) for file in files))


@pytest.mark.parametrize("version", ["4.44.1", "5.50.0", "6.31.0"])
@pytest.mark.parametrize("name", APPS)
def test_recorded_apps_do_the_same_on_every_version(shared: Path, version: str, name: str) -> None:
    verdicts = [v for v in judge(recorded_app(shared, version, name)) if v.tasks]
    expected = {spelling: tasks for names, tasks in APPS[name].items() for spelling in names.split("|")}
    assert {v.endpoint.name for v in verdicts} <= set(expected)
    assert len(verdicts) == len(APPS[name])
    for verdict in verdicts:
        assert [task.value for task in verdict.tasks] == expected[verdict.endpoint.name]


def test_recorded_tts_prefers_the_whole_sound_to_the_one_in_pieces(shared: Path) -> None:
    assert judge(recorded_app(shared, "6.31.0", "i_tts"))[0].endpoint.name == "tts"
