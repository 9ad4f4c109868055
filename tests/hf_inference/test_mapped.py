"""Which roads the Hub's mapping opens to a model."""

from __future__ import annotations

from plugmux.huggingface.hub import model_of
from plugmux.model import Capability, Task
from plugmux_hf_inference._mapped import models_of


def found(task, *upstreams, pipeline_tag="text-generation", **facts):
    mapping = {name: {"providerId": f"{name}-id", "status": "live", "task": task} for name in upstreams}
    return model_of(
        {"id": "org/model", "pipeline_tag": pipeline_tag, "inferenceProviderMapping": mapping, **facts}
    )


def test_a_conversational_model_goes_by_the_routers_chat():
    models = models_of(found("conversational", "novita", "groq"))
    assert [(model.remote_id, model.upstream, model.reserve) for model in models] == [
        ("org/model", None, False),
        ("org/model:novita", "novita", True),
        ("org/model:groq", "groq", True),
    ]


def test_a_text_model_of_hugging_faces_own_goes_by_raw_generation():
    (model,) = models_of(found("text-generation", "hf-inference"))
    assert (model.remote_id, model.upstream, model.tasks) == (
        "hf-inference-id",
        "hf-inference",
        (Task.TEXT_GENERATION,),
    )
    assert model.extra == {"road": "text", "hub_id": "org/model"}


def test_a_flat_prompt_can_be_gone_on_with_and_takes_no_tools():
    (model,) = models_of(found("text-generation", "hf-inference"))
    assert (model.can(Capability.PREFILL), model.can(Capability.TOOLS)) == (True, False)


def test_a_text_model_elsewhere_goes_by_text_completions():
    (model,) = models_of(found("text-generation", "featherless-ai"))
    assert model.extra["road"] == "completions"


def test_a_text_model_at_an_upstream_without_a_known_route_is_left_out():
    assert models_of(found("text-generation", "cerebras")) == []


def test_pictures_are_drawn_by_the_two_upstreams_whose_wire_is_known():
    models = models_of(found("text-to-image", "fal-ai", "together", "hf-inference"))
    assert [(model.upstream, model.tasks) for model in models] == [
        ("together", (Task.TEXT_TO_IMAGE,)),
        ("hf-inference", (Task.TEXT_TO_IMAGE,)),
    ]


def test_an_adapter_is_not_drawn_by_its_base_model():
    entry = {"providerId": "x", "status": "live", "task": "text-to-image", "adapter": "lora"}
    mapping = {"together": entry | {"adapterWeightsPath": "w.safetensors"}}
    assert models_of(model_of({"id": "a/b", "inferenceProviderMapping": mapping})) == []


def test_a_retired_upstream_and_another_task_open_no_road():
    assert models_of(found("conversational", "sambanova")) == []
    assert models_of(found("feature-extraction", "hf-inference")) == []


def test_a_renamed_model_keeps_the_name_that_was_asked_for():
    (model,) = models_of(found("text-generation", "hf-inference"), "old-name")
    assert (model.id, model.extra["hub_id"]) == ("old-name", "org/model")


def test_a_gated_model_says_so():
    assert all(model.gated for model in models_of(found("conversational", "novita", gated="manual")))


def test_a_seeing_model_takes_images():
    model = models_of(found("conversational", "novita", pipeline_tag="image-text-to-text"))[0]
    assert model.inputs == {"image"}
