"""Raw text generation: TGI's `{"inputs", "parameters"}` and its answers, streamed or whole. Pure.

Facts on what servers send are from recorded traffic unless marked otherwise: two spellings of the stream
(`data:{…}` and `data: {…}`), no `[DONE]` but in one recording, a whole answer in a list or bare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from attrs import evolve
from msgspec import Struct

from plugmux.errors import ContextLengthError, MalformedResponseError, ProviderError
from plugmux.events import Event, Finish, FinishReason, Notice, ServedBy, Text, Usage
from plugmux.huggingface.failures import error_of_event
from plugmux.requests import Request
from plugmux.statuses import request_id_of
from plugmux_hf_inference._answers import ChatDecoder, finish_reason_of
from plugmux_hf_inference._decoder import Decoder, excerpt
from plugmux_hf_inference._static import TEXT_OPTIONS
from plugmux_hf_inference._wire import Sending, notices_of, with_extra, with_fewer_tokens

__all__ = ["TextDecoder", "mend", "text_sending"]


class _Token(Struct, gc=False):
    text: Any = None
    special: Any = False


class _Details(Struct, gc=False):
    finish_reason: Any = None
    generated_tokens: Any = None
    input_length: Any = None


class _Event(Struct, gc=False):
    """An event of the stream, or a whole answer."""

    token: _Token | None = None
    generated_text: Any = None
    details: _Details | None = None
    error: Any = None
    choices: Any = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_whole = msgspec.json.Decoder(list[_Event] | _Event).decode


def text_sending(request: Request, prompt: str) -> Sending:
    """The body of `/generate_stream` and of `hf-inference/models/{id}`.

    `return_full_text` is true by default for models that TGI does not serve. A temperature of 0 is refused
    by TGI and means greedy decoding; so does a `top_p` of 1, which means no limit (by its source).
    """
    options = request.options
    parameters: dict[str, Any] = {"details": True, "return_full_text": False}
    if options.max_tokens is not None:
        parameters["max_new_tokens"] = options.max_tokens
    if options.temperature:
        parameters |= {"temperature": options.temperature, "do_sample": True}
    elif options.temperature is not None:
        parameters["do_sample"] = False
    if options.top_p is not None and options.top_p < 1:
        parameters["top_p"] = options.top_p
    if options.stop is not None:
        parameters["stop"] = list(options.stop)
    if options.seed is not None:
        parameters["seed"] = options.seed
    body = {"inputs": prompt, "parameters": parameters, "stream": True}
    return Sending(
        body=with_extra(body, options.extra_body),
        headers=dict(options.extra_headers or {}),
        notices=notices_of(request, TEXT_OPTIONS),
    )


class TextDecoder(Decoder):
    """Events of one answer of TGI's; one in OpenAI's shape is handed over to `ChatDecoder`.

    `sent` is the body of the request: its prompt is cut off where the server could not be asked not to give
    it back.
    """

    def __init__(
        self, headers: Mapping[str, str] | None = None, *, sent: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(headers)
        self._prompt = _prompt_given_back(sent or {})
        self._chat: ChatDecoder | None = None

    @property
    def complete(self) -> bool:
        return self._chat.complete if self._chat is not None else super().complete

    def feed(self, data: bytes) -> list[Event]:
        """The events of one `data:`."""
        if self._chat is not None:
            return self._by_chat(self._chat.feed(data))
        try:
            event = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._unreadable(data)
        if event.choices is not None:
            self._chat = ChatDecoder(self._headers)
            return self._by_chat(self._chat.feed(data))
        if event.error or (event.token is None and event.generated_text is None):
            raise _error(data, self._headers)
        return [*self._introduction(), *self._token(event)]

    def end(self) -> list[Event]:
        if self._chat is not None:
            return self._chat.end()
        return super().end()

    def whole(self, body: bytes) -> list[Event]:
        """All events of an answer that came in one piece: complete, even without details."""
        try:
            found = _decode_whole(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            said = f"expected a JSON answer, got: {excerpt(body)}" if body.strip() else "an empty answer"
            raise MalformedResponseError(said) from error
        answer = found if isinstance(found, _Event) else next(iter(found), _Event())
        if answer.choices is not None:
            return ChatDecoder(self._headers).whole(body)
        if not isinstance(answer.generated_text, str):
            raise _error(body, self._headers)
        self._ended(answer)
        return [*self._introduction(), *self._text(self._own(answer.generated_text)), *self._last()]

    def _own(self, text: str) -> str:
        return text[len(self._prompt) :] if self._prompt and text.startswith(self._prompt) else text

    def _by_chat(self, events: list[Event]) -> list[Event]:
        if self._chat is not None:
            self.finish_reason, self.done = self._chat.finish_reason, self._chat.done
        return events

    def _introduction(self) -> Iterator[Event]:
        if not self._introduced:
            self._introduced = True
            upstream = self._headers.get("x-inference-provider")
            yield ServedBy(upstream=upstream, request_id=request_id_of(self._headers))

    def _token(self, event: _Event) -> Iterator[Event]:
        token = event.token
        if token is not None and not token.special and isinstance(token.text, str):
            yield from self._text(token.text)
        if event.generated_text is not None or event.details is not None:
            self._ended(event)

    def _text(self, text: str) -> Iterator[Event]:
        if text:
            self._content = True
            yield Text(text=text)

    def _ended(self, event: _Event) -> None:
        """Why it ended. Without details the last token tells: a special one is the end of the text."""
        details = event.details or _Details()
        reason = finish_reason_of(details.finish_reason)
        if reason is None and event.token is not None and event.details is None:
            reason = FinishReason.STOP if event.token.special else FinishReason.LENGTH
        self.finish_reason = reason or FinishReason.STOP
        prompt, answer = _count(details.input_length), _count(details.generated_tokens)
        if answer is not None:
            total = prompt + answer if prompt is not None else None
            self._usage = Usage(prompt_tokens=prompt, completion_tokens=answer, total_tokens=total)

    def _last(self) -> list[Event]:
        events: list[Event] = [] if self._usage is None else [self._usage]
        return [*events, Finish(reason=self.finish_reason or FinishReason.STOP)]


def mend(sending: Sending, error: ProviderError) -> Sending | None:
    """The request without what the server refused, or None.

    Mended are: parameters that a model not served by TGI does not use, `stream` where it cannot (both
    recorded as 400), and an answer's length that does not fit (422, or inside a 200 stream).
    """
    if error.status not in (400, 413, 422):
        return None
    if isinstance(error, ContextLengthError):
        return with_fewer_tokens(sending, error, place="parameters", name="max_new_tokens")
    if unused := _UNUSED.search(error.message):
        return _without(sending, re.findall(r"'(\w+)'", unused[1]))
    if "`stream` is not supported" in error.message and sending.body.get("stream"):
        return evolve(sending, body={**sending.body, "stream": False}, notices=())
    return None


_UNUSED = re.compile(r"`model_kwargs` are not used by the model: \[(.*?)\]")
_OPTION_OF = {"max_new_tokens": "max_tokens"}


def _without(sending: Sending, names: list[str]) -> Sending | None:
    given = sending.body["parameters"]
    kept = {name: value for name, value in given.items() if name not in names}
    if len(kept) == len(given):
        return None
    asked = [_OPTION_OF.get(name, name) for name in given if name in names and name not in _OURS]
    notices = tuple(
        Notice(code="option-ignored", option=name, message=f"the model does not use {name}") for name in asked
    )
    return evolve(sending, body={**sending.body, "parameters": kept}, notices=notices)


_OURS = frozenset({"details", "do_sample", "return_full_text"})


def _prompt_given_back(sent: Mapping[str, Any]) -> str:
    asked_not_to = "return_full_text" in (sent.get("parameters") or {})
    return "" if asked_not_to else str(sent.get("inputs") or "")


def _error(body: bytes, headers: Mapping[str, str]) -> ProviderError:
    try:
        plain = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        plain = None
    if isinstance(plain, dict) and plain.get("error"):
        return error_of_event(plain, request_id=request_id_of(headers))
    return MalformedResponseError(f"an answer without generated text: {excerpt(body)}")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
