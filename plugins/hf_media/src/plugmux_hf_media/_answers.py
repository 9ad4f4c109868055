"""From a provider's answer to a job's state, its addresses, or an error. Pure; large answers are decoded
in a worker thread by the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from attrs import field, frozen

from plugmux.errors import (
    ContentFilterError,
    MalformedResponseError,
    ProviderError,
    QuotaExceededError,
    Scope,
    ServerError,
)
from plugmux.http import Response
from plugmux.huggingface.failures import error_of, error_of_event
from plugmux.media import mime_type_of
from plugmux.model import Task
from plugmux.statuses import error_facts, request_id_of, text_of
from plugmux_hf_media._large import Long, parsed
from plugmux_hf_media._results import an, kind_of, transcript_of
from plugmux_hf_media._routes import Queue, Route

__all__ = [
    "State",
    "Ticket",
    "complaint_of",
    "error_at_upstream",
    "error_of_job",
    "failure_of",
    "state_of",
    "ticket_of",
]

EXCERPT = 300


@frozen(kw_only=True)
class State:
    """What one answer says of the work.

    `results` are URLs, data URLs or base64 (a long one as it stands in the answer); `content` the answer's
    own bytes where it is the result. `word` is the provider's for the state; `position` in its queue,
    `fraction` done, `eta` in seconds.
    """

    word: str = ""
    results: tuple[str | Long, ...] = ()
    content: bytes | None = field(default=None, repr=False)
    label: str = ""
    failure: str | None = None
    refused: bool = False
    position: int | None = None
    fraction: float | None = None
    eta: float | None = None
    prompt: str | None = None
    transcript: object = None

    @property
    def has_result(self) -> bool:
        return bool(self.results) or self.content is not None or self.transcript is not None

    @property
    def is_done(self) -> bool:
        """Finished, as the provider says; `has_result` says whether the result came along."""
        return self.word in _DONE


@frozen(kw_only=True)
class Ticket:
    """Addresses of a job, as paths below the provider's own: to ask, to get, to cancel (method, path)."""

    poll: str
    result: str | None = None
    cancel: tuple[str, str] | None = None


_DONE = frozenset({"completed", "complete", "succeeded", "succeed", "success", "done", "ready"})
_FAILED = frozenset(
    {"failed", "fail", "error", "canceled", "cancelled", "expired", "timeout", "timed_out", "aborted"}
)
"""Every provider's words in lower case, without novita's `TASK_STATUS_`."""


def state_of(route: Route, response: Response) -> State:
    """What an answer of status 200 and the like says. Raises MalformedResponseError for no JSON."""
    if not _is_json(response):
        return State(content=_bytes_of(response, route), label=response.content_type)
    body = parsed(response)
    word = _word(_at(body, route.queue.status if route.queue else "status"))
    if word in _FAILED:
        return State(word=word, failure=_reason(body), refused=_is_refusal(_reason(body)))
    if _was_blanked(body):
        why = "the provider's safety check blanked the picture"
        return State(word=word, failure=why, refused=True)
    if route.task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        found_text = _first_of(body, route.results)
        known = transcript_of(found_text) != (None, None)
        return State(word=word, transcript=found_text if known else None, **_progress(body))
    found = next((leaves for path in route.results if (leaves := _leaves(_at(body, path)))), ())
    return State(word=word, results=found, prompt=_prompt_of(body), **_progress(body))


def ticket_of(queue: Queue, response: Response) -> Ticket:
    """Where to follow the job that was just accepted. An answer that names none raises what it complains
    of, or MalformedResponseError.

    Of a URL only the path counts: the token goes to nobody's host but the router's.
    """
    named = _at(parsed(response), queue.job)
    job = _path_of(named) if queue.poll.startswith("{job}") else _id_of(named)
    if not job:
        raise complaint_of(response) or MalformedResponseError(
            f"took the job and did not name it: {_excerpt(response)}", **_facts(response)
        )
    method, cancel = queue.cancel or ("", "")
    return Ticket(
        poll=queue.poll.format(job=job),
        result=queue.result.format(job=job) if queue.result else None,
        cancel=(method, cancel.format(job=job)) if queue.cancel else None,
    )


def error_at_upstream(response: Response) -> ProviderError:
    """The error for an answer of status 400 and more from one provider behind the router.

    A 402 rules out that provider alone: each has its own price and free quota, so the next may still serve.
    """
    return _of_one_upstream(error_of(response))


def _of_one_upstream(error: ProviderError) -> ProviderError:
    if isinstance(error, QuotaExceededError):
        error.scope = Scope.UPSTREAM
    return error


def error_of_job(response: Response) -> ProviderError:
    """The error for an answer of status 400 and more to a question about a job.

    A 404 or 410 speaks of the job: the model is still served.
    """
    error = error_at_upstream(response)
    if not error.forget:
        return error
    said = f"the job is no longer there: {error.message}"
    return ServerError(said, retryable=False, **error_facts(response))


def failure_of(route: Route, state: State, response: Response) -> ProviderError:
    """The error for an answer that is the work's failure, or no result at all."""
    facts = _facts(response)
    if state.refused:
        return ContentFilterError(state.failure or "refused", **facts)
    if state.failure is not None:
        return ServerError(f"the job failed: {state.failure}", retryable=False, **facts)
    if (complaint := complaint_of(response)) is not None:
        return complaint
    what = "transcript" if route.task is Task.AUTOMATIC_SPEECH_RECOGNITION else kind_of(route.task).value
    return MalformedResponseError(f"an answer without {an(what)}: {_excerpt(response)}", **facts)


def _is_json(response: Response) -> bool:
    kind = response.content_type
    if kind.endswith("json"):
        return True
    return not kind.startswith(("image/", "video/", "audio/")) and response.content[:1] in (b"{", b"[")


def _bytes_of(response: Response, route: Route) -> bytes:
    """The answer's bytes as the result. Text and pages are none."""
    known = mime_type_of(response.content[:64])
    is_text = response.content_type.startswith("text/") and known is None
    if not response.content or is_text or route.task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        shown = _excerpt(response) if is_text else response.content_type or "untyped content"
        what = "an empty answer" if not response.content else shown
        raise MalformedResponseError(f"expected a result, got {what}", **_facts(response))
    return response.content


def _at(body: object, path: str) -> Any:
    """The value at `data.urls.get`, None where there is none."""
    for key in path.split("."):
        body = body.get(key) if isinstance(body, Mapping) else None
    return body


def _first_of(body: object, paths: Sequence[str]) -> object:
    return next((value for path in paths if (value := _at(body, path)) is not None), None)


_LEAF_KEYS = ("url", "b64_json", "video_url", "image", "audio")


def _leaves(value: object, depth: int = 4) -> tuple[str | Long, ...]:
    """The URLs and base64 texts of a result: itself, its items, or what they hold, `depth` levels down."""
    match value:
        case str() | memoryview() if value:
            return (value,)
        case list() if depth:
            return tuple(leaf for item in value for leaf in _leaves(item, depth - 1))
        case Mapping() if depth:
            inner = (_leaves(value.get(key), depth - 1) for key in _LEAF_KEYS)
            return next(filter(None, inner), ())
    return ()


def _word(value: object) -> str:
    return value.lower().removeprefix("task_status_") if isinstance(value, str) else ""


_PERCENT = re.compile(r"(\d{1,3})%\|")


def _progress(body: object) -> dict[str, Any]:
    """Position, fraction and ETA, wherever one of the providers says them (replicate: in its log)."""
    percent = _first_of(body, ("task.progress_percent", "data.progress", "progress_percent"))
    logs = _at(body, "logs")
    if percent is None and isinstance(logs, str) and (found := _PERCENT.findall(logs)):
        percent = int(found[-1])
    position = _at(body, "queue_position")
    eta = _at(body, "task.eta")
    return {
        "position": position if isinstance(position, int) else None,
        "fraction": min(percent / 100, 1.0) if isinstance(percent, int | float) else None,
        "eta": float(eta) if isinstance(eta, int | float) and eta > 0 else None,
    }


def _prompt_of(body: object) -> str | None:
    data = _at(body, "data")
    first = data[0] if isinstance(data, list) and data else None
    said = _at(body, "prompt") or _at(first, "revised_prompt")
    return said if isinstance(said, str) else None


def _was_blanked(body: object) -> bool:
    """fal's safety checker gives a black picture and says so."""
    concepts = _at(body, "has_nsfw_concepts")
    return isinstance(concepts, list) and bool(concepts) and all(concept is True for concept in concepts)


def _reason(body: object) -> str:
    found = _first_of(body, ("error.message", "data.error", "task.reason", "error", "detail", "message"))
    return text_of(found) or "the provider does not say why"


_REFUSAL = re.compile(
    r"content[ _](management )?(filter|polic)|content moderation|flagged (as|for|by)"
    r"|safety (system|filter|check)|(NSFW|sensitive|inappropriate|prohibited) content",
    re.I,
)
"""Whole phrases: a job that fails over a "case-sensitive" value is not refused."""


def _is_refusal(text: str) -> bool:
    return bool(_REFUSAL.search(text))


def complaint_of(response: Response) -> ProviderError | None:
    """The error inside an answer of status 200, by the code that it states; None where it has none.

    wavespeed answers with `{"code": 400, "message": …}`, and with the code 200 when all is well.
    """
    if not _is_json(response):
        return None
    body = parsed(response)
    code = _at(body, "code")
    paths = ("error", "detail", "data.error", "errors", *(("message",) if code not in (None, 200) else ()))
    said = text_of(next(filter(None, (_at(body, path) for path in paths)), None))
    if not said:
        return None
    if _is_refusal(said):
        return ContentFilterError(said, **_facts(response))
    error = error_of_event({"error": said, "code": code}, request_id=request_id_of(response.headers))
    error.retryable, error.body = False, _excerpt(response)
    return _of_one_upstream(error)


def _path_of(url: object) -> str:
    path = urlsplit(url).path if isinstance(url, str) else ""
    parts = path.split("/")
    return quote(path, safe="/:@%+~,=-._", errors="replace") if len(parts) > 2 and ".." not in parts else ""


def _id_of(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return ""
    return quote(str(value), safe="", errors="replace")


def _facts(response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "request_id": request_id_of(response.headers),
        "body": _excerpt(response),
    }


def _excerpt(response: Response) -> str:
    return " ".join(response.content[: 4 * EXCERPT].decode("utf-8", "replace").split())[:EXCERPT]
