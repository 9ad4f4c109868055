"""One flat prompt out of messages, for roads that take no messages.

The model's own chat template comes first. Many templates refuse what OpenAI's format allows (lists of
text parts, a system message, two user messages in a row, tool-call arguments as JSON text): then the
messages are repaired, step by step, until the template takes them. Without a template the model's family
is used, and for a stranger `User: …` and `Assistant:`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from plugmux.errors import InvalidRequestError
from plugmux.messages import Message
from plugmux.value import Value
from plugmux_hf_inference._budget import Limits, thread_clock
from plugmux_hf_inference._families import PromptFacts, Turn, family_of, format_plain, format_turns
from plugmux_hf_inference._repairs import (
    FORMS,
    STEPS,
    Plain,
    known_role,
    parse_arguments,
    repaired,
    text_of,
    text_parts,
)
from plugmux_hf_inference._templates import (
    Template,
    TemplateLimitError,
    TemplateRenderError,
    pick_template,
    render,
)

__all__ = ["Prompt", "PromptFacts", "build_prompt", "format_prompt"]


@frozen(kw_only=True, eq=False, repr=False)
class Prompt(Value):
    """`source` says what made it: `template`, `family qwen`, `plain`; `repairs` what had to be changed."""

    text: str
    source: str
    repairs: tuple[str, ...] = ()


def format_prompt(
    facts: PromptFacts,
    messages: Sequence[Message | Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    continue_final: bool = False,
) -> str:
    """The text of `build_prompt`."""
    return build_prompt(facts, messages, tools=tools, continue_final=continue_final).text


def build_prompt(
    facts: PromptFacts,
    messages: Sequence[Message | Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    continue_final: bool = False,
    now: Callable[[], datetime] = datetime.now,
    **variables: Any,
) -> Prompt:
    """The prompt, and how it came to be.

    `continue_final`: the last message is the assistant's, and the prompt ends within it. Raises
    TemplateRenderError if the model's template takes the messages in no form: then no other format is
    guessed, as it would not be this model's.
    """
    plain = [_plain(message) for message in messages]
    if continue_final and (not plain or plain[-1].get("role") != "assistant"):
        raise InvalidRequestError("only an assistant's message can be continued", param="messages")
    if facts.template is not None:
        options = {"tools": tools or None, "continue_final": continue_final, "now": now, **variables}
        return _from_template(facts, facts.template, plain, options)
    turns = _turns(plain)
    family = family_of(facts)
    if family is None:
        return Prompt(text=format_plain(turns, continue_final=continue_final), source="plain")
    shape = family.shape(facts, now().date())
    text = format_turns(shape, turns, continue_final=continue_final)
    return Prompt(text=text, source=f"family {family.name}")


def _from_template(
    facts: PromptFacts, template: Template, messages: list[Plain], options: dict[str, Any]
) -> Prompt:
    source = pick_template(template, tools=bool(options["tools"]))
    first_error: TemplateRenderError | None = None
    lossy: Prompt | None = None
    began, seconds = thread_clock(), Limits().seconds
    for repairs, attempt, more in _attempts(messages, source):
        limits = Limits(seconds=seconds - (thread_clock() - began))  # one second for all attempts together
        try:
            text = render(
                source, attempt, special_tokens=facts.special_tokens, limits=limits, **(options | more)
            )
        except TemplateRenderError as error:
            if isinstance(error, TemplateLimitError) or error.kind in _HOPELESS:
                raise
            first_error = first_error or error
            continue
        prompt = Prompt(text=text, source="template", repairs=repairs)
        if _is_faithful(messages, text):
            return prompt
        lossy = lossy or prompt
    if lossy is not None:
        return lossy
    raise first_error or TemplateRenderError("no messages", kind="ValueError")


def _attempts(
    messages: list[Plain], source: str
) -> Iterator[tuple[tuple[str, ...], list[Plain], dict[str, Any]]]:
    """Ever more repaired messages, none twice: names of the repairs, messages, further variables."""
    if "developer" not in source:
        messages = [message | {"role": known_role(message)} for message in messages]
    seen: list[tuple[list[Plain], dict[str, Any]]] = []
    for ways, more in FORMS:
        for steps in STEPS:
            names, attempt = repaired(messages, (*ways, *steps))
            if (attempt, more) not in seen:
                seen.append((attempt, more))
                yield names, attempt, more


def _is_faithful(messages: list[Plain], text: str) -> bool:
    """Some templates drop a system message without a word, or print the list that a content is."""
    said = [text_of(message) for message in messages if message.get("role") in ("system", "developer")]
    for message in messages:
        if not isinstance(message.get("content"), str):
            said += [part["text"] for part in text_parts(message)]
    is_raw = _RAW_PART.search(text) and not any(_RAW_PART.search(text_of(message)) for message in messages)
    return not is_raw and all(words.strip() in text for words in said)


def _plain(message: Message | Mapping[str, Any]) -> Plain:
    if not isinstance(message, Message):
        return dict(message)
    reasoning = {"reasoning_content": message.reasoning} if message.reasoning is not None else {}
    return message.to_dict() | reasoning


def _turns(messages: list[Plain]) -> list[Turn]:
    return [_turn(message) for message in parse_arguments(messages)]


def _turn(message: Plain) -> Turn:
    """A message as text alone: where there is no template, there is no format for tools either."""
    role, text = known_role(message), text_of(message)
    if calls := message.get("tool_calls"):
        text = "\n".join([text] * bool(text) + [json.dumps(call, ensure_ascii=False) for call in calls])
    return (role if role in ("system", "assistant") else "user"), text


_RAW_PART = re.compile(r"""['"]type['"]:\s*['"](text|image|image_url)['"]""")
_HOPELESS = frozenset({"TemplateSyntaxError", "TemplateAssertionError"})
