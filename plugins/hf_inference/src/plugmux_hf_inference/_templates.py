"""A model's own chat template, rendered as the transformers library renders it.

What that library does was read in its version 5.23 and is held against recorded renderings, errors
included. Templates come from the Hub and are not trusted: see `_sandboxed` and `_budget`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

from plugmux.errors import InvalidRequestError, PluginError
from plugmux.messages import Message
from plugmux.value import Value
from plugmux_hf_inference._budget import Budget, LimitExceededError, Limits

if TYPE_CHECKING:
    from plugmux_hf_inference._sandboxed import TemplateEnvironment

__all__ = [
    "Rendering",
    "Template",
    "TemplateLimitError",
    "TemplateRenderError",
    "pick_template",
    "render",
    "render_with_spans",
]

Template: TypeAlias = "str | Mapping[str, str] | Sequence[Mapping[str, str]]"
"""One template, or several by name: a mapping, or a list of `{"name": …, "template": …}`."""

MIN_JINJA = (3, 1, 6)  # older ones have known ways out of the sandbox
REASONING_NAMES = ("reasoning_content", "thinking", "reasoning")
MAX_REASON = 10_000  # characters
TAG = "CONTINUE_FINAL_MESSAGE_TAG "


class TemplateRenderError(InvalidRequestError):
    """A chat template cannot be rendered for these messages.

    `kind` is the name of the error's class inside the template engine (`TemplateError` for what the
    template itself refuses), `reason` its own text.
    """

    def __init__(self, message: str, *, kind: str = "", **facts: Any) -> None:
        super().__init__(f"chat template: {kind}: {message}", **facts)
        self.kind = kind
        self.reason = message


class TemplateLimitError(TemplateRenderError):
    """The template would run too long, print too much or nest too deep."""


@frozen(kw_only=True, eq=False, repr=False)
class Rendering(Value):
    """`generation_spans` are (start, end) in `text` of what the template marks as said by the model."""

    text: str
    generation_spans: tuple[tuple[int, int], ...] = ()


def render(template: Template, messages: Iterable[Message | Mapping[str, Any]], **options: Any) -> str:
    """The prompt that `template` makes of `messages`; the options are those of `render_with_spans`."""
    return render_with_spans(template, messages, **options).text


def render_with_spans(
    template: Template,
    messages: Iterable[Message | Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    continue_final: bool = False,
    special_tokens: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = datetime.now,
    limits: Limits | None = None,
    **variables: Any,
) -> Rendering:
    """The prompt, and which parts of it the template marks as the model's.

    `continue_final` leaves the last message open, to be gone on with, and adds no generation prompt.
    `special_tokens` (`bos_token`, `eos_token`, …) and `variables` (`enable_thinking`, …) are what the
    template sees beside the messages. Raises TemplateRenderError, for whatever goes wrong inside.
    """
    limits = limits or Limits()
    plain = [_with_reasoning(_plain_message(message)) for message in messages]
    given = {"tools": _plain(tools), "documents": _plain(documents)}
    given |= {**(special_tokens or {}), **_plain(variables)}
    source = pick_template(template, tools=tools is not None)
    final = _tag_final(plain, source) if continue_final else None
    given |= {"messages": plain, "add_generation_prompt": add_generation_prompt and not continue_final}
    rendering = _run(source, given, now, limits)
    return rendering if final is None else Rendering(text=_cut_at_tag(rendering.text, final))


def pick_template(template: Template, *, tools: bool) -> str:
    """The one to use: `tool_use` where there are tools and such a template, else `default`."""
    if isinstance(template, str):
        return template
    if not isinstance(template, Mapping):
        template = {str(item.get("name")): str(item.get("template")) for item in template}
    for name in ("tool_use", "default") if tools else ("default",):
        if name in template:
            return template[name]
    raise _refused(f"no template named 'default', only {', '.join(sorted(template)) or 'none'}")


def _run(source: str, variables: dict[str, Any], now: Callable[[], datetime], limits: Limits) -> Rendering:
    try:
        return _render(source, variables, now, limits)
    except LimitExceededError as error:
        raise TemplateLimitError(str(error), kind="LimitExceeded") from error
    except (RecursionError, MemoryError) as error:
        raise TemplateLimitError("nested too deep", kind=type(error).__name__) from error
    except PluginError:
        raise
    except Exception as error:  # a template is somebody else's program: it may raise anything
        raise TemplateRenderError(str(error)[:MAX_REASON], kind=type(error).__name__) from error


def _render(source: str, variables: dict[str, Any], now: Callable[[], datetime], limits: Limits) -> Rendering:
    if len(source) > limits.source:
        raise LimitExceededError(f"the template has {len(source):,} characters, more than {limits.source:,}")
    code = _compiled(source)
    budget = Budget(limits, input_size=_size(variables), messages=len(variables["messages"]))
    environment = _environment(budget, now)
    template = environment.template_class.from_code(environment, code, environment.make_globals(None))
    pieces: list[str] = []
    for piece in template.root_render_func(template.new_context(variables)):
        pieces.append(piece)
        environment.written += len(piece)
        if environment.written > budget.output:
            raise LimitExceededError(f"more than {budget.output:,} characters of output")
    return Rendering(text="".join(pieces), generation_spans=tuple(environment.generation_spans))


@lru_cache(maxsize=32)
def _compiled(source: str) -> CodeType:
    environment = _environment(Budget(Limits()), datetime.now)
    return environment.compile(source)


def _environment(budget: Budget, now: Callable[[], datetime]) -> TemplateEnvironment:
    _refuse_old_jinja()
    from plugmux_hf_inference._sandboxed import TemplateEnvironment

    def strftime_now(format: str) -> str:
        if len(format) > 256:
            raise LimitExceededError("a date format of more than 256 characters")
        return now().strftime(format)

    return TemplateEnvironment(budget, strftime_now)


@lru_cache(maxsize=1)
def _refuse_old_jinja() -> None:
    from importlib.metadata import version

    found = version("jinja2")
    if tuple(int(part) for part in found.split(".")[:3] if part.isdigit()) < MIN_JINJA:
        raise PluginError(
            f"jinja2 {found} has known ways out of its sandbox",
            plugin="hf-inference",
            remedy="pip install --upgrade 'jinja2>=3.1.6'",
        )


def _plain_message(message: Message | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(message, Message):
        reasoning = {"reasoning_content": message.reasoning} if message.reasoning is not None else {}
        message = message.to_dict() | reasoning
    if not isinstance(message, Mapping):
        raise _refused(f"a message must be a mapping, not {type(message).__name__}")
    return {_plain(key): _plain(value) for key, value in message.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """The same data of JSON's own types: what else there is has methods that a template must not reach."""
    if depth > 100:
        raise _refused("nested more than 100 levels deep")
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case Mapping():
            return {_plain(key, depth + 1): _plain(item, depth + 1) for key, item in value.items()}
        case list():
            return [_plain(item, depth + 1) for item in value]
        case tuple():
            return tuple(_plain(item, depth + 1) for item in value)
        case _:
            return f"<{type(value).__name__}>"


def _with_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """Reasoning under each name that templates know: most read the first, gpt-oss reads `thinking`."""
    found = next((message[name] for name in REASONING_NAMES if message.get(name) is not None), None)
    if found is None:
        return message
    return {"thinking": found, **message, "reasoning_content": found}


def _tag_final(messages: list[dict[str, Any]], source: str) -> str:
    """Mark the end of the last message's text; returns that text."""
    content = messages[-1].get("content") if messages else None
    if content is None:
        raise _refused("there is no last message with text to continue")
    if "content" not in source:
        raise _refused("the template does not read the content of messages")
    if isinstance(content, str):
        messages[-1]["content"] = content + TAG
        return content
    part = next((part for part in reversed(content) if isinstance(part.get("text"), str)), None)
    if part is None:
        raise _refused("the last message has no text to continue")
    text: str = part["text"]
    part["text"] = text + TAG
    return text


def _cut_at_tag(text: str, final: str) -> str:
    if final.strip() not in text or TAG.strip() not in text:
        raise _refused("the template changes the last message, so that it cannot be continued")
    place = text.rindex(TAG.strip())
    # A template that trims the message has trimmed the tag's own space: then what the message ends in
    # would have been trimmed too, were the tag not there.
    return text[:place] if text.startswith(TAG, place) else text[:place].rstrip()


def _refused(reason: str) -> TemplateRenderError:
    return TemplateRenderError(reason, kind="ValueError")


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _size(item) for key, item in value.items())
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 8
