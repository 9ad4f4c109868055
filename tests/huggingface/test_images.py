"""The wire of the image routes."""

from __future__ import annotations

import base64
import json

import pytest

from plugmux.errors import InvalidInputError, MalformedResponseError
from plugmux.huggingface.images import (
    hf_inference_request,
    image_of,
    openai_request,
    size_of,
    together_request,
)
from plugmux.media import Media
from plugmux.requests import Options

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
B64 = base64.b64encode(PNG).decode()


def test_hf_inference_takes_the_prompt_as_inputs():
    asked = hf_inference_request("org/model", "a fox", Options())
    assert asked.path == "hf-inference/models/org/model"
    assert asked.body == {"inputs": "a fox"}


def test_hf_inference_takes_the_options_by_their_own_names():
    options = Options(width=512, height=128, num_inference_steps=10, negative_prompt="blurry", seed=3)
    assert hf_inference_request("m", "a fox", options).body["parameters"] == {
        "width": 512,
        "height": 128,
        "num_inference_steps": 10,
        "negative_prompt": "blurry",
        "seed": 3,
    }


def test_together_has_a_word_of_its_own_for_steps():
    asked = together_request("m", "a fox", Options(num_inference_steps=4))
    assert asked.path == "together/v1/images/generations"
    assert asked.body == {"model": "m", "prompt": "a fox", "response_format": "base64", "steps": 4}


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, {}),
        ({"width": 512, "height": 128}, {"size": "512x128"}),
        ({"height": 128}, {"size": "128x128"}),
        ({"aspect_ratio": "1:1"}, {"size": "1024x1024"}),
    ],
)
def test_openais_shape_has_one_size(given, size):
    asked = openai_request("m", "a fox", Options(seed=1, **given))
    assert asked.path == "images/generations"
    assert asked.body == {"model": "m", "prompt": "a fox", "response_format": "b64_json", **size}
    assert asked.ignored == ("seed",)


def test_an_option_that_no_picture_takes_is_named():
    assert together_request("m", "a fox", Options(temperature=1)).ignored == ("temperature",)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("1:1", (1024, 1024)), ("16:9", (1376, 768)), ("9:16", (768, 1376)), ("3/2", (1248, 832))],
)
def test_a_ratio_becomes_a_size_of_about_a_megapixel(ratio, size):
    assert size_of(ratio) == size


@pytest.mark.parametrize("ratio", ["", "16", "0:1", "1:0", "a:b", "1:2:3", "100:1", "nan:1"])
def test_what_is_no_ratio_is_refused_by_name(ratio):
    with pytest.raises(InvalidInputError, match="aspect_ratio"):
        size_of(ratio)


def test_a_given_side_keeps_its_length_beside_a_ratio():
    body = together_request("m", "a fox", Options(width=640, aspect_ratio="4:3")).body
    assert (body["width"], body["height"]) == (640, 480)


def test_both_given_sides_win_over_a_ratio():
    body = together_request("m", "a fox", Options(width=640, height=640, aspect_ratio="4:3")).body
    assert (body["width"], body["height"]) == (640, 640)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PNG, "image/jpeg"),
        (PNG, ""),
        (json.dumps({"data": [{"b64_json": B64}]}), "application/json"),
        (json.dumps({"data": [{"b64_json": B64}]}), ""),
    ],
)
def test_a_picture_is_found_and_named_by_its_content(answer_of, body, kind):
    media = image_of(answer_of(200, body, content_type=kind), prompt="a fox")
    assert isinstance(media, Media)
    assert (media.data, media.mime_type, media.prompt) == (PNG, "image/png", "a fox")


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"url": "https://cdn.example/1.png"}]},
        {"output": ["https://cdn.example/1.png"]},
        {"output": "https://cdn.example/1.png"},
        {"images": [{"url": "https://cdn.example/1.png"}]},
    ],
)
def test_a_picture_that_is_elsewhere_is_given_by_its_address(answer_of, body):
    found = image_of(answer_of(200, json.dumps(body), content_type="application/json"))
    assert found == "https://cdn.example/1.png"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "image/png"),
        (b"<html></html>", "text/html"),
        (b"{}", "application/json"),
        (b'{"data": []}', "application/json"),
        (b'{"data": [{"b64_json": "!"}]}', "application/json"),
        (b'{"data": [{"b64_json": ""}]}', "application/json"),
        (b'{"data": ', "application/json"),
    ],
)
def test_an_answer_without_a_picture_is_malformed(answer_of, body, kind):
    with pytest.raises(MalformedResponseError):
        image_of(answer_of(200, body, content_type=kind))


@pytest.mark.parametrize("provider", ["hf-inference", "together"])
def test_every_recorded_picture_is_found(shared, answer_of, provider):
    for path in sorted((shared / "recordings" / "inference" / provider).glob("text-to-image-[0-9].json")):
        recorded = json.loads(path.read_text())["response"]
        body = recorded.get("body")
        content = base64.b64decode(recorded["bodyBase64"]) if body is None else body
        label = {name.lower(): value for name, value in recorded["headers"].items()}["content-type"]
        content = content if isinstance(content, bytes | str) else json.dumps(content)
        media = image_of(answer_of(200, content, content_type=label))
        assert isinstance(media, Media), path.name
        assert media.mime_type == "image/jpeg", path.name
