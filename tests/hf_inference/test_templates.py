"""A model's own template renders as the transformers library renders it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from plugmux.messages import Message
from plugmux_hf_inference._templates import TemplateRenderError, pick_template, render, render_with_spans

CHATML = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = CHATML.replace("m['content']", "m['content'] | trim")
USER = {"role": "user", "content": "Count."}
PREFIX = "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\n"


def noon() -> datetime:
    return datetime(2026, 7, 26, 12)


def test_every_reference_rendering_is_reproduced(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, count = [], 0
    for name, expected, rendered in _rendered_references(shared / "chat_templates"):
        count += 1
        if rendered != expected:
            wrong.append(f"{name}: {rendered} instead of {expected}")
    with capsys.disabled():
        print(f"\nreference renderings: {count - len(wrong):,} of {count:,}")
    assert wrong == []
    assert count == 2256


def _rendered_references(folder: Path) -> Iterator[tuple[str, Any, Any]]:
    references = json.loads((folder / "reference_renderings.json").read_text("utf-8"))
    conversations = references["meta"]["conversations"]
    for model, facts in references["models"].items():
        source = (folder / f"{model}.jinja").read_bytes().decode("utf-8")
        for name, expected in facts["renderings"].items():
            conversation = conversations[name.partition("+")[0]]
            spans = "generation_char_spans" in expected
            yield f"{model} {name}", expected, _outcome(source, conversation, facts["variables"], spans)


def _outcome(
    source: str, conversation: dict[str, Any], variables: dict[str, str], spans: bool
) -> dict[str, Any]:
    try:
        rendering = render_with_spans(
            source,
            conversation["messages"],
            tools=conversation.get("tools"),
            add_generation_prompt=conversation.get("add_generation_prompt", False),
            continue_final=conversation.get("continue_final_message", False),
            special_tokens=variables,
            now=noon,
            **conversation.get("kwargs", {}),
        )
    except TemplateRenderError as error:
        return {"error": {"type": error.kind, "message": error.reason}}
    found = [list(span) for span in rendering.generation_spans]
    return {"text": rendering.text} | ({"generation_char_spans": found} if spans else {})


def test_messages_of_plugmux_render_like_plain_ones() -> None:
    assert render(CHATML, [Message(role="user", content="Count.")]) == render(CHATML, [USER]) == PREFIX


def test_without_a_generation_prompt_nothing_is_opened() -> None:
    assert render(CHATML, [USER], add_generation_prompt=False) == "<|im_start|>user\nCount.<|im_end|>\n"


@pytest.mark.parametrize(
    ("template", "content", "end"),
    [
        (CHATML, "1, 2, 3,", "1, 2, 3,"),
        (CHATML, "1, 2, 3, ", "1, 2, 3, "),
        (CHATML, "1, 2, 3,\n", "1, 2, 3,\n"),
        (TRIMMING, "1, 2, 3,\n", "1, 2, 3,"),
        (TRIMMING, "  1, 2, 3,", "1, 2, 3,"),
        (CHATML, "<|im_end|>", "<|im_end|>"),
        (CHATML, "CONTINUE_FINAL_MESSAGE_TAG", "CONTINUE_FINAL_MESSAGE_TAG"),
        (CHATML, "", ""),
    ],
)
def test_to_continue_is_to_stop_after_the_last_character_said(template: str, content: str, end: str) -> None:
    messages = [USER, {"role": "assistant", "content": content}]
    assert render(template, messages, continue_final=True) == PREFIX + end


def test_to_continue_parts_is_to_continue_the_last_text() -> None:
    template = "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, {"type": "image"}]
    assert render(template, [{"role": "assistant", "content": parts}], continue_final=True) == "[one][two"


@pytest.mark.parametrize(
    ("template", "messages"),
    [
        (CHATML, []),
        (CHATML, [USER, {"role": "assistant", "content": None}]),
        (CHATML, [USER, {"role": "assistant", "content": [{"type": "image"}]}]),
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", [{"role": "user", "content": "a"}]),
        ("no message is read", [USER]),
    ],
)
def test_what_cannot_be_continued_is_a_typed_error(template: str, messages: list[Any]) -> None:
    with pytest.raises(TemplateRenderError):
        render(template, messages, continue_final=True)


def test_the_callers_messages_are_left_as_they_were() -> None:
    messages = [USER, {"role": "assistant", "content": [{"type": "text", "text": "1,"}], "reasoning": "x"}]
    before = json.dumps(messages)
    render("{% for m in messages %}{{ m.content }}{% endfor %}", messages, continue_final=True)
    assert json.dumps(messages) == before


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_is_known_by_each_of_its_names(name: str) -> None:
    message = {"role": "assistant", "content": "4", name: "a sum"}
    template = "{{ messages[0].reasoning_content }}, {{ messages[0].thinking }}"
    assert render(template, [message]) == "a sum, a sum"


def test_the_reasoning_of_a_plugmux_message_is_given_too() -> None:
    message = Message(role="assistant", content="4", reasoning="a sum")
    assert render("{{ messages[0].reasoning_content }}", [message]) == "a sum"


def test_json_is_not_escaped_for_html() -> None:
    assert render("{{ {'a': '<ü> & \"'} | tojson }}", [USER]) == '{"a": "<ü> & \\""}'


def test_the_date_is_the_callers() -> None:
    assert render("{{ strftime_now('%d %B %Y') }}", [USER], now=noon) == "26 July 2026"


def test_special_tokens_and_other_variables_reach_the_template() -> None:
    tokens = {"bos_token": "<s>"}
    text = render(
        "{{ bos_token }}{{ enable_thinking }}{{ tools }}",
        [USER],
        special_tokens=tokens,
        enable_thinking=False,
    )
    assert text == "<s>FalseNone"


def test_blocks_are_trimmed_and_loops_can_be_left() -> None:
    template = "{% for i in range(9) %}\n    {% if i == 2 %}{% break %}{% endif %}\n{{ i }}\n{% endfor %}\n"
    assert render(template, [USER]) == "0\n1\n"


def test_objects_reach_a_template_only_as_their_names() -> None:
    messages = [{"role": "user", "content": [{"type": "image", "image": object()}]}]
    assert render("{{ messages[0].content[0].image }}", messages) == "<object>"


NAMED = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]


@pytest.mark.parametrize(("tools", "wanted"), [(True, "tools"), (False, "plain")])
@pytest.mark.parametrize("template", [NAMED, {"default": "plain", "tool_use": "tools"}])
def test_the_template_for_tools_is_used_where_there_are_tools(
    template: Any, tools: bool, wanted: str
) -> None:
    assert pick_template(template, tools=tools) == wanted


def test_the_default_template_serves_tools_where_there_is_no_other() -> None:
    assert pick_template({"default": "plain"}, tools=True) == "plain"


def test_named_templates_without_a_default_are_an_error_that_names_them() -> None:
    with pytest.raises(TemplateRenderError, match="rag"):
        render([{"name": "rag", "template": "x"}], [USER])


def test_the_template_engine_is_imported_with_the_first_rendering_only() -> None:
    code = "import sys, plugmux_hf_inference._templates; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
