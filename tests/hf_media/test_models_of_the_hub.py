"""From the Hub's mapping to models: both shapes, what is left out, names, and what serves without the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugmux.errors import ProviderError
from plugmux.model import Auth, Model, Task
from plugmux.modelmap import ModelMap
from plugmux_hf_media import plugin
from plugmux_hf_media._listing import models_of, static_models, video_first

T2I, T2V, TTS = Task.TEXT_TO_IMAGE, Task.TEXT_TO_VIDEO, Task.TEXT_TO_SPEECH


def served(provider: str, remote_id: str, task: str = "text-to-image", **more: Any) -> dict[str, Any]:
    return {"provider": provider, "providerId": remote_id, "status": "live", "task": task, **more}


def by_task(box: Any, rows: dict[str, Any]) -> Any:
    """The Hub's listing: an answer for each task, an error or an empty list for the rest."""

    def answer(sent: Any) -> Any:
        task = sent.url.partition("pipeline_tag=")[2].partition("&")[0]
        found = rows.get(task, [])
        return found if not isinstance(found, list) else box.json(found)

    return box.Service([answer] * 6)


async def listed(box: Any, service: Any, wanted: str | None = None) -> list[Model]:
    async with box.opened(service) as session:
        return list(await plugin.get_models(session=session, wanted=wanted))


async def test_each_upstream_is_a_model_of_its_own_video_first(box: Any) -> None:
    flux = {
        "id": "org/flux",
        "inferenceProviderMapping": [served("fal-ai", "fal-ai/flux"), served("together", "org/flux")],
    }
    wan = {"id": "org/wan", "inferenceProviderMapping": [served("novita", "wan-t2v", "text-to-video")]}
    models = await listed(box, by_task(box, {"text-to-image": [flux], "text-to-video": [wan]}))
    assert [(model.id, model.upstream, model.remote_id, model.tasks) for model in models] == [
        ("org/wan", "novita", "wan-t2v", (T2V,)),
        ("org/flux", "fal-ai", "fal-ai/flux", (T2I,)),
        ("org/flux", "together", "org/flux", (T2I,)),
    ]
    assert {(model.account, model.auth) for model in models} == {("huggingface", Auth.REQUIRED)}


async def test_the_hub_is_asked_for_what_somebody_serves_by_task(box: Any) -> None:
    service = by_task(box, {})
    assert await listed(box, service) == []
    tasks = sorted(sent.url.partition("pipeline_tag=")[2].partition("&")[0] for sent in service.sent)
    assert tasks == sorted(task.value for task in Task if task.is_media or "speech" in task.value)
    assert all("inference_provider=all&" in sent.url for sent in service.sent)
    assert all("expand[]=inferenceProviderMapping" in sent.url for sent in service.sent)


@pytest.mark.parametrize(
    "entry",
    [
        served("fal-ai", "fal-ai/flux", status="error"),
        served("fal-ai", "fal-ai/flux", status="staging"),
        served("hyperbolic", "SD2"),
        served("groq", "x", "conversational"),
        served("fal-ai", "x", "image-to-3d"),
        {"provider": "fal-ai"},
        {"provider": 7, "providerId": [], "task": None},
        "fal-ai",
        None,
    ],
)
async def test_what_cannot_be_used_is_left_out(box: Any, entry: Any) -> None:
    row = {"id": "org/flux", "inferenceProviderMapping": [entry, served("together", "org/flux")]}
    models = await listed(box, by_task(box, {"text-to-image": [row]}))
    assert [model.upstream for model in models] == ["together"]


@pytest.mark.parametrize(
    "body", [[{"id": 7}], [{"id": "o/m", "inferenceProviderMapping": None}], [None], [[]]]
)
async def test_rows_that_are_none_are_left_out(box: Any, body: Any) -> None:
    assert await listed(box, by_task(box, {"text-to-image": body})) == []


async def test_one_task_that_fails_does_not_hide_the_others(box: Any) -> None:
    row = {"id": "org/flux", "inferenceProviderMapping": [served("together", "org/flux")]}
    answers = {"text-to-image": [row], "text-to-video": box.json({"error": "busy"}, 503)}
    assert len(await listed(box, by_task(box, answers))) == 1


async def test_a_hub_that_is_down_is_an_error_so_that_the_known_models_serve(box: Any) -> None:
    service = box.Service([box.json({"error": "down"}, 503)] * 6)
    with pytest.raises(ProviderError, match="down"):
        await listed(box, service)


async def test_a_name_is_looked_up_and_its_dict_shaped_mapping_read(box: Any) -> None:
    mapping = {
        "fal-ai": {"providerId": "fal-ai/flux-lora", "status": "live", "task": "text-to-image"}
        | {"adapter": "lora", "adapterWeightsPath": "w.safetensors"},
        "replicate": {"providerId": "o/m", "status": "error", "task": "text-to-image"},
    }
    service = box.Service(
        [box.json({"id": "some/lora", "gated": "auto", "inferenceProviderMapping": mapping})]
    )
    [model] = await listed(box, service, "some/lora")
    assert (model.upstream, model.remote_id, model.extra) == (
        "fal-ai",
        "fal-ai/flux-lora",
        {"lora": "w.safetensors"},
    )
    assert (model.listed, model.gated) == (False, True)
    assert service.sent[0].url.startswith("https://huggingface.co/api/models/some/lora?expand[]=")


@pytest.mark.parametrize(
    "name", ["no-short-name", "spaces/a/b", "http://127.0.0.1/x", "a/b/c", "a/b?x=1", "/models/mine", ""]
)
async def test_what_is_no_id_of_the_hub_is_not_asked_for(box: Any, name: str) -> None:
    service = box.Service([])
    assert await listed(box, service, name) == []
    assert service.sent == []


async def test_a_short_name_is_looked_up_as_the_model_that_it_means(box: Any) -> None:
    kontext = "black-forest-labs/FLUX.1-Kontext-dev"
    mapping = [served("fal-ai", "fal-ai/kontext", "image-to-image")]
    service = box.Service([box.json({"id": kontext, "inferenceProviderMapping": mapping})])
    [model] = await listed(box, service, "kontext")
    assert (model.id, "kontext" in model.aliases) == (kontext, True)
    assert service.sent[0].url.startswith(f"https://huggingface.co/api/models/{kontext}?")


async def test_a_renamed_model_keeps_the_name_asked_for(box: Any) -> None:
    moved = box.json({}, 307, location="/api/models/new/name")
    row = {"id": "new/name", "inferenceProviderMapping": [served("fal-ai", "fal-ai/new")]}
    [model] = await listed(box, box.Service([moved, box.json(row)]), "old/name")
    assert (model.id, model.remote_id) == ("old/name", "fal-ai/new")


async def test_a_name_the_hub_does_not_know_has_no_models(box: Any) -> None:
    service = box.Service([box.json({"error": "Repository not found"}, 404)])
    assert await listed(box, service, "no/such") == []


async def test_the_listing_as_it_was_built_from_the_clients_sources(shared: Path, box: Any) -> None:
    path = shared / "recordings" / "constructed" / "hub" / "list-models-expand-mapping-list-shape.json"
    body = json.loads(path.read_text())["steps"][0]["response"]["body"]
    models = await listed(box, by_task(box, {"text-to-video": body}))
    assert [(model.id, model.upstream, model.remote_id, dict(model.extra)) for model in models] == [
        ("Wan-AI/Wan2.2-TI2V-5B", "fal-ai", "fal-ai/wan/v2.2-5b/text-to-video", {}),
        (
            "someone/some-lora",
            "fal-ai",
            "fal-ai/flux-lora",
            {"lora": "pytorch_lora_weights.safetensors"},
        ),
    ]


# (recording, entries it must give: upstream, its id, task)
RECORDED = {
    "model-mapping-4": [
        ("fal-ai", "fal-ai/flux/dev", T2I),
        ("replicate", "black-forest-labs/flux-dev", T2I),
        ("together", "black-forest-labs/FLUX.1-dev", T2I),
        ("hf-inference", "black-forest-labs/FLUX.1-dev", T2I),
    ],
    "model-mapping-5": [
        ("fal-ai", "fal-ai/whisper", Task.AUTOMATIC_SPEECH_RECOGNITION),
        ("hf-inference", "openai/whisper-large-v3", Task.AUTOMATIC_SPEECH_RECOGNITION),
    ],
    "model-mapping-7": [("hf-inference", "stabilityai/stable-diffusion-2", T2I)],
    "model-mapping-1": [],
}


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_mapping_gives_its_models(shared: Path, box: Any, name: str) -> None:
    recording = json.loads((shared / "recordings" / "inference" / "hub" / f"{name}.json").read_text())
    body = recording["response"]["body"]
    models = await listed(box, box.Service([box.json(body)]), body["id"])
    found = [(model.upstream, model.remote_id, model.tasks[0]) for model in models]
    assert [entry for entry in found if entry in RECORDED[name]] == RECORDED[name]
    assert {upstream for upstream, *_ in found} <= {
        "fal-ai",
        "replicate",
        "together",
        "hf-inference",
        "nscale",
    }


@pytest.mark.parametrize(
    ("alias", "id"),
    [
        ("flux", "black-forest-labs/FLUX.1-dev"),
        ("flux-dev", "black-forest-labs/FLUX.1-dev"),
        ("flux-schnell", "black-forest-labs/FLUX.1-schnell"),
        ("wan", "Wan-AI/Wan2.2-TI2V-5B"),
        ("whisper", "openai/whisper-large-v3"),
        ("kokoro", "hexgrad/Kokoro-82M"),
        ("flux.1-dev", "black-forest-labs/FLUX.1-dev"),
    ],
)
def test_short_names_mean_one_model_without_the_hub(alias: str, id: str) -> None:
    assert ModelMap(static_models()).resolve(alias).id == id


def test_known_models_are_video_first_and_once_each() -> None:
    models = static_models()
    assert models[0].tasks == (T2V,)
    assert len({(model.id, model.key) for model in models}) == len(models)
    assert video_first([*models, *models]) == list(models)


def test_a_model_says_what_it_reads_and_which_options_it_takes() -> None:
    from plugmux.huggingface.hub import HubModel, Served

    edit = Served(upstream="fal-ai", remote_id="fal-ai/edit", task="image-to-image")
    [model] = models_of(HubModel(id="org/edit", served=(edit,)))
    assert model.inputs == {"image"}
    assert model.options == {
        *("image", "negative_prompt", "num_inference_steps", "guidance_scale", "seed"),
        *("width", "height", "aspect_ratio"),
    }


def test_the_plugin_brings_what_plugmux_reads_beside_its_hooks() -> None:
    assert plugin.static_models == static_models()
    assert plugin.settings == ("router_url", "hub_url", "token", "bill_to", "poll_seconds")
    assert plugin.default_auth is Auth.REQUIRED
    with pytest.raises(AttributeError):
        _ = plugin.nothing_of_the_kind


async def test_two_tasks_under_one_id_are_one_model(box: Any) -> None:
    row = {
        "id": "org/flux-2",
        "inferenceProviderMapping": [
            served("together", "org/flux-2"),
            served("together", "org/flux-2", "image-to-image"),
        ],
    }
    [model] = await listed(box, box.Service([box.json(row)]), "org/flux-2")
    assert model.tasks == (T2I, Task.IMAGE_TO_IMAGE)
    assert model.inputs == {"image"}
    assert {"image", "seed"} <= (model.options or frozenset())


async def test_offline_the_hub_is_not_asked(box: Any) -> None:
    service = box.Service([])
    async with box.opened(service) as session:
        session.environ = {"HF_HUB_OFFLINE": "1"}
        for wanted in (None, "org/flux"):
            with pytest.raises(ProviderError, match="HF_HUB_OFFLINE"):
                await plugin.get_models(session=session, wanted=wanted)
    assert service.sent == []


def test_no_film_is_made_for_a_caller_who_names_no_model() -> None:
    assert not any(model.default for model in static_models())
