"""One flat prompt: by the model's template with repairs, by its family, or plain."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from plugmux.errors import InvalidRequestError
from plugmux.messages import Message
from plugmux_hf_inference._prompts import PromptFacts, build_prompt, format_prompt
from plugmux_hf_inference._templates import TemplateLimitError, TemplateRenderError

SYSTEM = {"role": "system", "content": "Be brief."}
HI = {"role": "user", "content": "Hi!"}
HELLO = {"role": "assistant", "content": "Hello!"}
MORE = {"role": "user", "content": "More."}
PARTS = [{"type": "text", "text": "Part one."}, {"type": "text", "text": " Part two."}]
CALL = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<{{ m.role }}>{{ m['content'] + '' }}{% endfor %}"
)
DEAF = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"
READER = "{% for m in messages %}{% for p in m.content %}({{ p.text }}){% endfor %}{% endfor %}"
TOOLS = (
    "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
    "{% for name, value in c.function.arguments.items() %}{{ name }}={{ value }}{% endfor %}"
    "{% endfor %}{% endfor %}"
)


def noon() -> datetime:
    return datetime(2026, 7, 26, 12)


def facts(template: str | None, **more: Any) -> PromptFacts:
    return PromptFacts(id="acme/model", template=template, **more)


@pytest.mark.parametrize(
    ("template", "messages", "text", "repairs"),
    [
        (PLAIN, [HI], "<user>Hi!", ()),
        (PLAIN, [{"role": "user", "content": PARTS}], "<user>Part one. Part two.", ("text parts joined",)),
        (READER, [{"role": "user", "content": PARTS}], "(Part one.)( Part two.)", ()),
        (STRICT, [SYSTEM, HI], "<user>Be brief.\n\nHi!", None),
        (STRICT, [HI, MORE], "<user>Hi!\n\nMore.", ("neighbours of one role merged",)),
        (STRICT, [HI, HELLO, SYSTEM, MORE], "<user>Hi!<assistant>Hello!<user>Be brief.\n\nMore.", None),
        (STRICT, [HELLO, MORE], "<user><assistant>Hello!<user>More.", ("an empty user message put first",)),
        (DEAF, [SYSTEM, HI], "<user>Be brief.\n\nHi!", None),
        (TOOLS, [HI, {"role": "assistant", "content": "", "tool_calls": [CALL]}], "Hi!a=1", None),
        (
            STRICT,
            [HI, {"role": "assistant", "content": None}],
            "<user>Hi!<assistant>",
            ("missing content filled",),
        ),
        (PLAIN, [{"role": "developer", "content": "Be brief."}, HI], "<system>Be brief.<user>Hi!", ()),
        ("{% for t in tools %}{% endfor %}" + PLAIN, [HI], "<user>Hi!", ()),
    ],
)
def test_messages_are_repaired_until_the_template_takes_them(
    template: str, messages: list[Any], text: str, repairs: tuple[str, ...] | None
) -> None:
    prompt = build_prompt(facts(template), messages)
    assert prompt.text == text
    assert prompt.source == "template"
    assert repairs is None or prompt.repairs == repairs


def test_media_that_a_template_cannot_read_is_left_out_and_said() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    prompt = build_prompt(facts(PLAIN), [{"role": "user", "content": [picture, *PARTS]}])
    assert prompt.text == "<user>Part one. Part two."
    assert prompt.repairs == ("media left out",)


def test_what_no_repair_helps_is_the_first_error_of_the_template() -> None:
    with pytest.raises(TemplateRenderError) as raised:
        format_prompt(facts("{{ raise_exception('only for ' + messages|length|string) }}"), [SYSTEM, HI])
    assert (raised.value.kind, raised.value.reason) == ("TemplateError", "only for 2")


@pytest.mark.parametrize(
    "template", ["{{ 'a' * 10 ** 9 }}", "{% for i in range(99999) %}{{ 'a' * 999 }}{% endfor %}"]
)
def test_a_hostile_template_is_not_tried_again(template: str) -> None:
    with pytest.raises(TemplateLimitError):
        format_prompt(facts(template), [SYSTEM, HI])


def test_a_slow_refusal_is_not_repeated_for_each_repair() -> None:
    loops = "{% for i in range(100000) %}{% for j in range(5) %}{% endfor %}{% endfor %}"
    slow = loops + "{{ raise_exception('no') }}"
    began = time.thread_time()
    with pytest.raises(TemplateRenderError):
        format_prompt(facts(slow), [SYSTEM, HELLO, HI, MORE])
    assert time.thread_time() - began < 2.5


def test_the_callers_messages_are_not_changed_by_repairs() -> None:
    messages = [SYSTEM, {"role": "user", "content": PARTS}, {"role": "assistant", "tool_calls": [CALL]}]
    before = json.dumps(messages)
    build_prompt(facts(TOOLS), messages)
    assert json.dumps(messages) == before


@pytest.mark.parametrize("template", [PLAIN, None])
def test_only_the_assistants_message_can_be_continued(template: str | None) -> None:
    with pytest.raises(InvalidRequestError, match="assistant"):
        format_prompt(facts(template), [HI], continue_final=True)


def test_the_reference_templates_take_all_but_what_no_repair_can_help(shared: Path) -> None:
    references = json.loads((shared / "chat_templates" / "reference_renderings.json").read_text("utf-8"))
    failed = []
    for model, known in references["models"].items():
        source = (shared / "chat_templates" / f"{model}.jinja").read_bytes().decode("utf-8")
        for name in known["renderings"]:
            conversation = references["meta"]["conversations"].get(name, {})
            if not conversation or conversation.get("add_generation_prompt") is False:
                continue
            try:
                build_prompt(
                    PromptFacts(id=model, template=source, special_tokens=known["variables"]),
                    conversation["messages"],
                    tools=conversation.get("tools"),
                    continue_final=conversation.get("continue_final_message", False),
                    now=noon,
                    **conversation.get("kwargs", {}),
                )
            except TemplateRenderError:
                failed.append(f"{model}: {name}")
    unwilling = {name.partition(":")[0] for name in failed}
    assert unwilling == {
        "fireworks-ai-firefunction-v1",  # demands a message of its own role "functions"
        "moonshotai-Kimi-K2-Instruct",  # both change a list, which the sandbox forbids
        "moonshotai-Kimi-K2-Thinking-2",
        "Ollama-library-command-a-111b",  # these three know no answer with a tool call
        "Ollama-library-command-r7b-7b",
        "Ollama-library-command-r7b-arabic-7b",
    }
    assert all("tools_" in name for name in failed if not name.startswith("fireworks"))


def test_arguments_as_text_give_the_prompt_of_arguments_as_data(shared: Path) -> None:
    references = json.loads((shared / "chat_templates" / "reference_renderings.json").read_text("utf-8"))
    conversation = references["meta"]["conversations"]["tools_round_string_arguments"]
    checked = 0
    for model, known in references["models"].items():
        expected = known["renderings"].get("tools_round", {}).get("text")
        if expected is None or "Mistral-7B-Instruct-v0.3" in model or "Mistral-Nemo" in model:
            continue  # those drop the system message, which is repaired
        source = (shared / "chat_templates" / f"{model}.jinja").read_bytes().decode("utf-8")
        known_facts = PromptFacts(id=model, template=source, special_tokens=known["variables"])
        text = build_prompt(known_facts, conversation["messages"], tools=conversation["tools"], now=noon).text
        assert text == expected, model
        checked += 1
    assert checked > 50


def test_plugmux_messages_are_taken_as_they_are() -> None:
    messages = [Message(role="system", content="Be brief."), Message(role="user", content=tuple(PARTS))]
    assert format_prompt(facts(PLAIN), messages) == "<system>Be brief.<user>Part one. Part two."
