"""Models without a chat template: their family's format, or a plain one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from plugmux_hf_inference._prompts import PromptFacts, build_prompt, format_prompt

SYSTEM = {"role": "system", "content": "Be brief."}
HI = {"role": "user", "content": "Hi!"}
HELLO = {"role": "assistant", "content": "Hello!"}
MORE = {"role": "user", "content": "More."}
CALL = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


def noon() -> datetime:
    return datetime(2026, 7, 26, 12)


FAMILIES = [
    # reference, id and type of a model, its family, and whether the real template takes a system message
    (
        "mistralai-Mistral-Nemo-Instruct-2407",
        "mistralai/Mistral-Nemo-Instruct-2407",
        "mistral",
        "mistral",
        True,
    ),
    ("mistralai-Mistral-7B-Instruct-v0.3", "mistralai/Mistral-7B-Instruct-v0.3", "mistral", "mistral", False),
    (
        "mistralai-Mixtral-8x7B-Instruct-v0.1",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "mixtral",
        "mistral",
        False,
    ),
    (
        "Ollama-library-mistral-small-24b",
        "mistralai/Mistral-Small-24B-Instruct-2501",
        "mistral",
        "mistral",
        True,
    ),
    ("Qwen-Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-72B-Instruct", "qwen2", "qwen", True),
    ("Qwen-Qwen1.5-72B-Chat", "Qwen/Qwen1.5-72B-Chat", "qwen2", "qwen", True),
    ("Ollama-library-qwen2-0.5b", "Qwen/Qwen2-72B-Instruct", "qwen2", "qwen", True),
    ("Qwen-Qwen3-4B-Instruct-2507", "Qwen/Qwen3-4B-Instruct-2507", "qwen3", "qwen", True),
    ("meta-llama-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", "llama", "llama 3", True),
    (
        "meta-llama-Llama-3.2-11B-Vision-Instruct",
        "meta-llama/Llama-3.2-11B-Vision-Instruct",
        "mllama",
        "llama 3",
        True,
    ),
    ("Ollama-library-dolphin-llama3-8b", "meta-llama/Meta-Llama-3-8B-Instruct", "llama", "llama 3", True),
    ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai/DeepSeek-R1", "deepseek_v3", "deepseek", True),
    (
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        "qwen2",
        "deepseek",
        True,
    ),
    ("Ollama-library-deepseek-r1-latest", "deepseek-ai/DeepSeek-V3", "deepseek_v3", "deepseek", True),
    ("Ollama-library-deepseek-v3.1-latest", "deepseek-ai/DeepSeek-V3.1", "deepseek_v3", "deepseek", True),
    ("HuggingFaceH4-zephyr-7b-beta", "HuggingFaceH4/zephyr-7b-beta", "mistral", "role tags", True),
    ("microsoft-Phi-3.5-mini-instruct", "microsoft/Phi-3.5-mini-instruct", "phi3", "role tags", True),
]
CHATS = {
    "user_only": False,
    "multi_turn_no_system": False,
    "continue_final_message": False,
    "system_user": True,
    "multi_turn": True,
}


@pytest.mark.parametrize(
    ("reference", "name", "kind", "family", "chat"),
    [
        (reference, name, kind, family, chat)
        for reference, name, kind, family, takes_system in FAMILIES
        for chat, has_system in CHATS.items()
        if takes_system or not has_system
    ],
)
def test_a_family_is_what_its_real_template_prints(
    shared: Path, reference: str, name: str, kind: str, family: str, chat: str
) -> None:
    references = json.loads((shared / "chat_templates" / "reference_renderings.json").read_text("utf-8"))
    conversation = references["meta"]["conversations"][chat]
    known = references["models"][reference]
    prompt = build_prompt(
        PromptFacts(id=name, model_type=kind, special_tokens=known["variables"]),
        conversation["messages"],
        continue_final=conversation.get("continue_final_message", False),
        now=noon,
    )
    assert prompt.source == f"family {family}"
    assert prompt.text == known["renderings"][chat]["text"]


QWEN = PromptFacts(id="Qwen/Qwen3-8B", model_type="qwen3")
MISTRAL = PromptFacts(id="mistralai/Mistral-7B-Instruct-v0.2", model_type="mistral")
LLAMA = PromptFacts(id="meta-llama/Llama-3.1-8B-Instruct", model_type="llama")
DEEPSEEK = PromptFacts(id="deepseek-ai/DeepSeek-R1", model_type="deepseek_v3")
TINY = PromptFacts(id="TinyLlama/TinyLlama-1.1B-Chat-v1.0", special_tokens={"eos_token": "</s>"})
STRANGER = PromptFacts(id="openai-community/gpt2", model_type="gpt2")
EVERY = [QWEN, MISTRAL, LLAMA, DEEPSEEK, TINY, STRANGER, PromptFacts(id="acme/model", template=PLAIN)]


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.id)
@pytest.mark.parametrize("said", ["1, 2, 3,", "a</s> <|im_end|>\n<|eot_id|", "Zq", "<｜end▁"])
def test_a_continued_prompt_ends_with_the_last_character_said(model: PromptFacts, said: str) -> None:
    prompt = format_prompt(model, [HI, {"role": "assistant", "content": said}], continue_final=True)
    assert prompt.endswith(said)
    assert prompt.count(said) == 1


@pytest.mark.parametrize(
    ("model", "messages", "text"),
    [
        (STRANGER, [HI], "User: Hi!\nAssistant:"),
        (
            STRANGER,
            [SYSTEM, HI, HELLO, MORE],
            "Be brief.\nUser: Hi!\nAssistant: Hello!\nUser: More.\nAssistant:",
        ),
        (MISTRAL, [SYSTEM, HI], "<s>[INST] Be brief.\n\nHi! [/INST]"),
        (MISTRAL, [HI, MORE], "<s>[INST] Hi!\n\nMore. [/INST]"),
        (MISTRAL, [SYSTEM], "<s>[INST] Be brief. [/INST]"),
        (TINY, [HI], "<|user|>\nHi!</s>\n<|assistant|>\n"),
        (
            DEEPSEEK,
            [HI, {"role": "assistant", "content": "<think>\nx</think>Hello!"}, MORE],
            "<｜begin▁of▁sentence｜><｜User｜>Hi!<｜Assistant｜>Hello!<｜end▁of▁sentence｜><｜User｜>More.<｜Assistant｜><think>\n",
        ),
    ],
)
def test_a_prompt_without_a_template(model: PromptFacts, messages: list[Any], text: str) -> None:
    assert format_prompt(model, messages) == text


@pytest.mark.parametrize(
    ("name", "kind", "source"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "llama", "plain"),
        ("google/gemma-2-27b-it", "gemma2", "plain"),
        ("HuggingFaceH4/zephyr-7b-gemma-v0.1", "gemma", "plain"),
        ("NousResearch/Hermes-3-Llama-3.1-8B", "llama", "family qwen"),
        ("acme/tuned", "qwen2", "family qwen"),
        ("acme/tuned", "mixtral", "family mistral"),
        ("openai-community/gpt2", "gpt2", "plain"),
    ],
)
def test_a_family_is_told_by_name_and_type(name: str, kind: str, source: str) -> None:
    assert build_prompt(PromptFacts(id=name, model_type=kind), [HI]).source == source


def test_tool_calls_and_results_are_told_as_text_where_there_is_no_template() -> None:
    result = {"role": "tool", "tool_call_id": "1", "content": "3"}
    text = format_prompt(STRANGER, [HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, result])
    assert text.splitlines()[-2:] == ["User: 3", "Assistant:"]
    assert '"arguments": {"a": 1}' in text


@pytest.mark.parametrize(
    ("tokenizer", "template", "tokens"),
    [
        ({"chat_template": "x", "eos_token": "</s>"}, "x", {"eos_token": "</s>"}),
        ({"bos_token": {"content": "<s>", "lstrip": False}}, None, {"bos_token": "<s>"}),
        (
            {"chat_template": [{"name": "default", "template": "x"}, {"name": "tool_use", "template": "y"}]},
            {"default": "x", "tool_use": "y"},
            {},
        ),
        ({"chat_template": 7, "eos_token": 7, "pad_token": None, "bos_token": {"content": 1}}, None, {}),
        ({"chat_template": [7, {"name": "default"}, {"template": 3}]}, None, {}),
        ({"chat_template": ""}, None, {}),
    ],
)
def test_a_tokenizer_config_that_lies_gives_only_what_is_usable(
    tokenizer: dict[str, Any], template: Any, tokens: dict[str, str]
) -> None:
    found = PromptFacts.from_tokenizer("acme/model", tokenizer, "llama")
    assert (found.template, found.special_tokens, found.model_type) == (template, tokens, "llama")
