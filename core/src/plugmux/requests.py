"""What a caller asks for: options, policy and limits, and the `Request` a plugin gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, in_, instance_of, le, not_, optional

from plugmux.credentials import sendable
from plugmux.errors import InvalidInputError
from plugmux.messages import Conversation, Message
from plugmux.model import Model, Task
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.attachments import Attachment

__all__ = ["Limits", "Options", "Policy", "Request", "limits_from", "options_from", "policy_from"]

_number: Any = instance_of((int, float))


def _whole(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A whole number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"'{attribute.name}' must be a whole number (got {value!r})")


def _items_of(kind: type) -> Any:
    """Each item is a `kind`; text does not count as a list of texts."""
    return deep_iterable(
        instance_of(kind), and_(not_(instance_of((str, bytes, Mapping))), instance_of(Sequence))
    )


def _given(*checks: Any) -> Any:
    """A validator that lets None pass: not given."""
    return optional(and_(*checks))


def _texts(value: Any) -> Any:
    """One text as one of several; what is no sequence is left to the validator."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping) else value


_NO_NAME = frozenset(' \t\r\n"(),/:;<=>?@[\\]{}')
"""Characters that no header's name has (RFC 9110 section 5.6.2)."""


def _headers(_: object, __: object, value: Mapping[Any, Any]) -> None:
    """Names and values are text that a request can carry. A value may be a secret: no error shows it."""
    for name, said in value.items():
        if not sendable(name) or not name or _NO_NAME & set(name) or not sendable(said):
            raise TypeError(f"the header {name!r} is no text that can be sent")


_KINDS = {
    (int, float): "a number",
    str: "text",
    bool: "true or false",
    Mapping: "a mapping",
    Sequence: "a list",
}


def _in_words(error: TypeError | ValueError) -> str:
    """What a check of attrs says, without its classes."""
    match error.args:
        case (_, attrs.Attribute() as attribute, kind, value) if kind in _KINDS:
            got = f", not {value!r}" if attribute.repr else ""
            return f"'{attribute.name}' must be {_KINDS[kind]}{got}"[:200]
    said = str(error.args[0]) if error.args else str(error)
    return said.splitlines()[0][:200]


@frozen(kw_only=True, eq=False, repr=False)
class Options(Value):
    """The one vocabulary of request options. None means not given, and is never sent.

    Sizes are pixels, durations seconds, `aspect_ratio` is `"16:9"`. `extra_body` is merged into the
    JSON body as it is, `extra_headers` into the headers.
    """

    max_tokens: int | None = field(default=None, validator=_given(_whole, ge(1)))
    temperature: float | None = field(default=None, validator=_given(_number, ge(0)))
    top_p: float | None = field(default=None, validator=_given(_number, ge(0), le(1)))
    stop: tuple[str, ...] | None = field(default=None, converter=_texts, validator=_given(_items_of(str)))
    seed: int | None = field(default=None, validator=_given(_whole))
    tools: Sequence[Mapping[str, Any]] | None = field(default=None, validator=_given(_items_of(Mapping)))
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = field(default=None, validator=_given(instance_of(Mapping)))
    reasoning_effort: str | None = field(default=None, validator=_given(instance_of(str)))
    web_search: bool | None = field(default=None, validator=_given(instance_of(bool)))
    action: str | None = field(default=None, validator=_given(in_(("continue",))))
    shorten: bool | None = field(default=None, validator=_given(instance_of(bool)))

    image: Attachment | None = None
    negative_prompt: str | None = field(default=None, validator=_given(instance_of(str)))
    aspect_ratio: str | None = field(default=None, validator=_given(instance_of(str)))
    width: int | None = field(default=None, validator=_given(_whole, ge(1)))
    height: int | None = field(default=None, validator=_given(_whole, ge(1)))
    num_inference_steps: int | None = field(default=None, validator=_given(_whole, ge(1)))
    guidance_scale: float | None = field(default=None, validator=_given(_number))
    duration: float | None = field(default=None, validator=_given(_number))
    resolution: str | None = field(default=None, validator=_given(instance_of(str)))
    fps: int | None = field(default=None, validator=_given(_whole))

    voice: str | None = field(default=None, validator=_given(instance_of(str)))
    speed: float | None = field(default=None, validator=_given(_number))
    audio: Attachment | None = None
    language: str | None = field(default=None, validator=_given(instance_of(str)))

    extra_body: Mapping[str, Any] | None = field(default=None, validator=_given(instance_of(Mapping)))
    extra_headers: Mapping[str, str] | None = field(
        default=None, validator=_given(instance_of(Mapping), _headers), repr=False
    )

    def given(self) -> dict[str, Any]:
        """The options that were given, by name; `extra_body` and `extra_headers` left out."""
        names = _OPTION_NAMES - {"extra_body", "extra_headers"}
        found = ((name, getattr(self, name)) for name in sorted(names))
        return {name: value for name, value in found if value is not None}


_OPTION_NAMES = frozenset(attribute.name for attribute in attrs.fields(Options))


def options_from(given: Mapping[str, Any]) -> Options:
    """`Options` of keyword arguments. Raises InvalidInputError naming an unknown or wrong one."""
    unknown = sorted(set(given) - _OPTION_NAMES)
    if unknown:
        import difflib

        near = difflib.get_close_matches(unknown[0], _OPTION_NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else "; put a service's own into extra_body"
        raise InvalidInputError(f"unknown option{hint}", field=unknown[0])
    return _made(Options, given)


Made = TypeVar("Made", "Options", "Policy", "Limits")


def _made(kind: type[Made], given: Mapping[str, Any], within: str = "") -> Made:
    """A `kind` of these. Raises InvalidInputError naming the wrong one."""
    try:
        return kind(**given)
    except (TypeError, ValueError):
        for name, value in given.items():
            try:
                kind(**{name: value})
            except (TypeError, ValueError) as error:
                raise InvalidInputError(_in_words(error), field=within + name) from error
        raise


ON_BREAK = ("restart", "continue", "error")
SORT = ("price", "latency", "throughput")


@frozen(kw_only=True, eq=False, repr=False)
class Policy(Value):
    """How to choose among candidates, in OpenRouter's words.

    Names in `order`, `only` and `ignore` are providers, upstreams, or `provider/upstream`.
    `sort` is `price`, `latency` or `throughput`. `max_price` is US dollars per million output tokens.
    `on_break` says what happens when an answer breaks off: `restart`, `continue` or `error`; None
    lets the caller's view decide. `max_wait` is the longest wait a service may ask for, in seconds.
    """

    order: tuple[str, ...] | None = field(default=None, converter=_texts, validator=_given(_items_of(str)))
    only: tuple[str, ...] | None = field(default=None, converter=_texts, validator=_given(_items_of(str)))
    ignore: tuple[str, ...] | None = field(default=None, converter=_texts, validator=_given(_items_of(str)))
    allow_fallbacks: bool = field(default=True, validator=instance_of(bool))
    require_parameters: bool = field(default=False, validator=instance_of(bool))
    sort: str | None = field(default=None, validator=optional(in_(SORT)))
    max_price: float | None = field(default=None, validator=_given(_number))
    on_break: str | None = field(default=None, validator=optional(in_(ON_BREAK)))
    max_wait: float = field(default=60.0, validator=[_number, ge(0)])
    max_tries: int = field(default=6, validator=[_whole, ge(1)])
    max_tries_per_candidate: int = field(default=3, validator=[_whole, ge(1)])


def policy_from(given: Policy | Mapping[str, Any] | None) -> Policy:
    """A `Policy` of itself, a mapping or None. Raises InvalidInputError naming what is wrong."""
    if isinstance(given, Policy):
        return given
    if given is None or given == {}:
        return _NO_POLICY
    return _read(Policy, given, "policy")


_NO_POLICY = Policy()


@frozen(kw_only=True, eq=False, repr=False)
class Limits(Value):
    """Time limits of one attempt, in seconds from its start (`idle`: since the last byte). None is none.

    `first_sign`     until any byte of the answer
    `first_content`  until the first text, reasoning, tool call or media
    `idle`           true silence: keep-alives and progress count as life
    `total`          the whole attempt
    """

    first_sign: float | None = field(default=None, validator=_given(_number, ge(0)))
    first_content: float | None = field(default=None, validator=_given(_number, ge(0)))
    idle: float | None = field(default=None, validator=_given(_number, ge(0)))
    total: float | None = field(default=None, validator=_given(_number, ge(0)))

    @classmethod
    def for_task(
        cls,
        task: Task,
        *,
        fallback: bool,
        total: float | None = None,
        keep_alive: float = 0.0,
        own_limits: bool = False,
    ) -> Limits:
        """The defaults for a task; shorter where another candidate stands ready. A service that gives a
        sign of life every `keep_alive` seconds is silent only after one and a half of these. Where nobody
        else stands ready, a plugin with `own_limits` says itself how long its service may work."""
        patient = own_limits and not fallback
        if task.is_media or task is Task.AUTOMATIC_SPEECH_RECOGNITION:
            whole = total or 600.0
            if patient:
                return cls(first_sign=whole, idle=whole, total=total)
            return cls(first_sign=whole, total=whole)
        if fallback:
            idle = max(10.0, 1.5 * keep_alive)
            return cls(first_sign=10.0, first_content=12.0, idle=idle, total=total)
        return cls(first_sign=60.0, first_content=None if patient else 120.0, idle=60.0, total=total)


def limits_from(given: Limits | Mapping[str, Any] | None) -> Limits | None:
    """`Limits` of themselves, a mapping or None. Raises InvalidInputError naming what is wrong."""
    return given if given is None or isinstance(given, Limits) else _read(Limits, given, "limits")


def _read(kind: type[Made], given: object, where: str) -> Made:
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"expected a mapping, got {type(given).__name__}", field=where)
    known = {attribute.name for attribute in attrs.fields(kind)}
    unknown = sorted(str(name) for name in set(given) - known)
    if unknown:
        raise InvalidInputError(
            f"unknown key; known: {', '.join(sorted(known))}", field=f"{where}.{unknown[0]}"
        )
    return _made(kind, given, f"{where}.")


@frozen(kw_only=True, eq=False, repr=False)
class Request(Value):
    """What a plugin's `create_stream` is to do: one attempt with one model.

    `model` is this provider's own entry of the map: send `model.remote_id`. `conversation` is there
    when the caller goes on with one; `state` is what this provider and model left in it, and
    `new_messages` are the messages that the state does not cover.
    """

    id: str
    model: Model
    task: Task
    messages: tuple[Message, ...] = ()
    options: Options = field(factory=Options)
    conversation: Conversation | None = None

    @property
    def prompt(self) -> str:
        """The text of the last user message: what media models are given."""
        spoken = (message.text for message in reversed(self.messages) if message.role == "user")
        return next(spoken, "")

    @property
    def state(self) -> Mapping[str, Any] | None:
        """What this provider and model need to go on, or None."""
        slot = self._slot()
        return slot.state if slot else None

    @property
    def new_messages(self) -> tuple[Message, ...]:
        """The messages that `state` does not cover; all of them without a state."""
        slot = self._slot()
        return self.messages[slot.covers :] if slot else self.messages

    def _slot(self) -> Any:
        if self.conversation is None:
            return None
        return self.conversation.state_of(self.model.provider, self.model.id)
