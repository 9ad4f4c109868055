"""Prompt formats of families of models, for a model that brings no chat template of its own.

Each is a shape: what stands around a turn of each role. The shapes were held against real templates of
their families; of several versions the one is taken that the model's name tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

from attrs import field, frozen

from plugmux.value import Value

__all__ = ["FAMILIES", "Family", "PromptFacts", "Turn", "family_of", "format_plain", "format_turns"]

Turn: TypeAlias = tuple[str, str]
"""Role (`system`, `user` or `assistant`) and text."""


@frozen(kw_only=True, eq=False, repr=False)
class PromptFacts(Value):
    """What is known of a model that decides about its prompt.

    `template` is its chat template, or several by name; `special_tokens` maps `bos_token`, `eos_token`
    and their like to text.
    """

    id: str
    model_type: str | None = None
    template: str | Mapping[str, str] | None = field(default=None, repr=False)
    special_tokens: Mapping[str, str] = field(factory=dict)

    @classmethod
    def from_tokenizer(
        cls, id: str, tokenizer: Mapping[str, Any], model_type: str | None = None
    ) -> PromptFacts:
        """Out of a `tokenizer_config`, as the Hub gives it: a token is text or `{"content": …}`, a template
        text or a list of `{"name": …, "template": …}`. What is anything else is taken as not given."""
        tokens = {name: _token(value) for name, value in tokenizer.items() if str(name).endswith("_token")}
        return cls(
            id=id,
            model_type=model_type,
            template=_template(tokenizer.get("chat_template")),
            special_tokens={name: value for name, value in tokens.items() if value is not None},
        )

    def token(self, name: str, default: str) -> str:
        return self.special_tokens.get(name) or default

    def is_named(self, pattern: str) -> bool:
        return re.search(pattern, self.id, re.I) is not None


@frozen(kw_only=True, eq=False, repr=False)
class Shape(Value):
    """What stands before and after a turn of each role, first of all, and where the answer begins."""

    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    opening: str
    start: str = ""
    prepare: Callable[[Sequence[Turn]], Sequence[Turn]] = tuple


@frozen(kw_only=True, eq=False, repr=False)
class Family(Value):
    """`applies` says whether a model belongs to it, `shape` gives its format (the date is today's)."""

    name: str
    applies: Callable[[PromptFacts], bool]
    shape: Callable[[PromptFacts, date], Shape]


def family_of(facts: PromptFacts) -> Family | None:
    """The first family that the model belongs to."""
    return next((family for family in FAMILIES if family.applies(facts)), None)


def format_turns(shape: Shape, turns: Sequence[Turn], *, continue_final: bool = False) -> str:
    """The prompt. `continue_final` leaves the last turn, the assistant's, open at its last character."""
    around = {"system": shape.system, "user": shape.user, "assistant": shape.assistant}
    prompt = shape.start
    for role, text in (turns := shape.prepare(turns)):
        before, after = around[role]
        prompt += before + text + after
    if not continue_final:
        return prompt + shape.opening
    return prompt.removesuffix(around[turns[-1][0]][1])


def format_plain(turns: Sequence[Turn], *, continue_final: bool = False) -> str:
    """For a model that nothing is known of."""
    shape = Shape(
        system=("", "\n"), user=("User: ", "\n"), assistant=("Assistant: ", "\n"), opening="Assistant:"
    )
    return format_turns(shape, turns, continue_final=continue_final)


def _deepseek(facts: PromptFacts, today: date) -> Shape:
    said = "<｜Assistant｜></think>" if facts.is_named(r"v3\.[1-9]|v[4-9]") else "<｜Assistant｜>"
    return Shape(
        start=facts.token("bos_token", "<｜begin▁of▁sentence｜>"),
        system=("", ""),
        user=("<｜User｜>", ""),
        assistant=(said, facts.token("eos_token", "<｜end▁of▁sentence｜>")),
        opening=said + ("<think>\n" if facts.is_named(r"\br1\b") else ""),
        prepare=_without_reasoning,
    )


def _chatml(facts: PromptFacts, today: date) -> Shape:
    default = next((text for pattern, text in _QWEN_SYSTEM if facts.is_named(pattern)), None)
    return Shape(
        system=("<|im_start|>system\n", "<|im_end|>\n"),
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        assistant=("<|im_start|>assistant\n", "<|im_end|>\n"),
        opening="<|im_start|>assistant\n",
        prepare=lambda turns: _with_system(turns, default),
    )


def _llama3(facts: PromptFacts, today: date) -> Shape:
    eot = "<|eot_id|>"
    if facts.is_named(r"3\.[123]"):
        day = f"{today:%d %b %Y}" if facts.is_named(r"3\.2") else "26 Jul 2024"
        dates = f"Cutting Knowledge Date: December 2023\nToday Date: {day}\n\n"
    else:
        dates = ""
    return Shape(
        start=facts.token("bos_token", "<|begin_of_text|>"),
        system=(_header("system") + dates, eot),
        user=(_header("user"), eot),
        assistant=(_header("assistant"), eot),
        opening=_header("assistant"),
        prepare=lambda turns: _stripped(_with_system(turns, "" if dates else None)),
    )


def _role_tags(facts: PromptFacts, today: date) -> Shape:
    end = "<|end|>\n" if facts.is_named("phi-3") else facts.token("eos_token", "</s>") + "\n"
    return Shape(
        system=("<|system|>\n", end),
        user=("<|user|>\n", end),
        assistant=("<|assistant|>\n", end),
        opening="<|assistant|>\n",
    )


def _mistral(facts: PromptFacts, today: date) -> Shape:
    if facts.model_type == "mistral3" or facts.is_named(_SYSTEM_PROMPT_TAGS):
        return _inst(facts, "[INST]", "[/INST]", prepare=_merged_neighbours)
    if facts.is_named("nemo"):
        return _inst(facts, "[INST]", "[/INST]", prepare=_system_in_last_user)
    if facts.is_named(r"v0\.3"):
        return _inst(facts, " [INST] ", " [/INST]", answer=(" ", " "), prepare=_system_in_first_user)
    return _inst(facts, "[INST] ", " [/INST]", prepare=_system_in_first_user)


def _inst(
    facts: PromptFacts,
    before: str,
    after: str,
    *,
    answer: tuple[str, str] = ("", ""),
    prepare: Callable[[Sequence[Turn]], Sequence[Turn]],
) -> Shape:
    return Shape(
        start=facts.token("bos_token", "<s>"),
        system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        user=(before, after),
        assistant=(answer[0], answer[1] + facts.token("eos_token", "</s>")),
        opening="",
        prepare=prepare,
    )


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _with_system(turns: Sequence[Turn], default: str | None) -> Sequence[Turn]:
    missing = default is not None and (not turns or turns[0][0] != "system")
    return [("system", default or ""), *turns] if missing else turns


def _stripped(turns: Sequence[Turn]) -> Sequence[Turn]:
    return [(role, text.strip()) for role, text in turns]


def _without_reasoning(turns: Sequence[Turn]) -> Sequence[Turn]:
    return [(role, text.rpartition("</think>")[2] if role == "assistant" else text) for role, text in turns]


def _system_in_first_user(turns: Sequence[Turn]) -> Sequence[Turn]:
    return _system_in(turns, last=False)


def _system_in_last_user(turns: Sequence[Turn]) -> Sequence[Turn]:
    return _system_in(turns, last=True)


def _system_in(turns: Sequence[Turn], *, last: bool) -> Sequence[Turn]:
    system = "\n\n".join(text for role, text in turns if role == "system")
    others = list(_merged_neighbours([turn for turn in turns if turn[0] != "system"]))
    places = [place for place, (role, _) in enumerate(others) if role == "user"]
    if not system:
        return others
    if not places:
        return [("user", system), *others]
    place = places[-1 if last else 0]
    others[place] = ("user", f"{system}\n\n{others[place][1]}")
    return others


def _merged_neighbours(turns: Sequence[Turn]) -> Sequence[Turn]:
    merged: list[Turn] = []
    for role, text in turns:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{text}")
        else:
            merged.append((role, text))
    return merged


def _token(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _template(given: object) -> str | Mapping[str, str] | None:
    if isinstance(given, str):
        return given or None
    items = given if isinstance(given, list) else []
    named = {item.get("name"): item.get("template") for item in items if isinstance(item, Mapping)}
    usable = {str(name): text for name, text in named.items() if isinstance(text, str)}
    return usable or None


_SYSTEM_PROMPT_TAGS = (
    r"mistral-small-(24b|3)|mistral-small-25|mistral-large-(2411|25)|devstral|magistral|ministral-3"
)
_QWEN_SYSTEM = (
    (r"qwen-?2\.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    (r"qwen-?2(?![.\d])", "You are a helpful assistant."),
    (r"qwen-?1\.5", "You are a helpful assistant"),
)

FAMILIES = (
    Family(name="deepseek", applies=lambda facts: facts.is_named("deepseek"), shape=_deepseek),
    Family(
        name="role tags",
        applies=lambda facts: facts.is_named(r"zephyr(?!.*gemma)|tinyllama|phi-3"),
        shape=_role_tags,
    ),
    Family(
        name="qwen",
        applies=lambda facts: (
            facts.is_named(r"qwen|qwq|hermes|chatml") or (facts.model_type or "").startswith("qwen")
        ),
        shape=_chatml,
    ),
    Family(
        name="llama 3",
        applies=lambda facts: (
            facts.is_named(r"llama-?3") or facts.token("bos_token", "") == "<|begin_of_text|>"
        ),
        shape=_llama3,
    ),
    Family(
        name="mistral",
        applies=lambda facts: (
            facts.is_named(r"mistral|mixtral|ministral|devstral|magistral|codestral")
            or (facts.model_type or "") in ("mistral", "mistral3", "mixtral")
        ),
        shape=_mistral,
    ),
)
"""The order matters: a distilled DeepSeek has Qwen's or Llama's model type, a Zephyr Mistral's."""
