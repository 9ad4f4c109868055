"""One answer of chat-ui, line by line, into events: today's types and those of 2023 to 2025.

Pure: `feed` takes a line (or the data of a server-sent event), `finish` says how the stream ended.
What is marked "documented" was never seen in recorded traffic.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from attrs import frozen

from plugmux.errors import StreamCutError
from plugmux.events import (
    Event,
    Finish,
    FinishReason,
    Media,
    Notice,
    Progress,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Title,
)
from plugmux_hf_chat._errors import error_of_update
from plugmux_hf_chat._sources import linked_sources
from plugmux_hf_chat._thinking import ThinkSplitter
from plugmux_hf_chat._tools import tool_events

__all__ = ["MAX_MALFORMED", "Answer", "StoredFile"]

MAX_MALFORMED = 3


@frozen(kw_only=True)
class StoredFile:
    """A file that the server keeps for the conversation: to be fetched by its sha256 (documented)."""

    sha: str
    mime_type: str = ""


class Answer:
    """Decodes one answer.

    `final` is set once the final answer has come, `ended` once the server said that it is done, `failed`
    once it said that it failed. After a reconnect `replay()` makes it skip what it has already given.
    """

    def __init__(self) -> None:
        self.final = False
        self.ended = False
        self.failed = False
        self._stream: list[str] = []
        self._starts = [0]  # of the rounds between tool calls, in `_stream`
        self._found: list[Event | StoredFile] = []
        self._tools: dict[str, str] = {}
        self._said = False
        self._interrupted = False
        self._malformed = 0
        self._skip = 0
        self._once: set[str] = set()
        self._served: dict[str, str] = {}
        self._thinking = ThinkSplitter()

    def feed(self, line: bytes | str) -> list[Event | StoredFile]:
        """The events of one line. Raises a ProviderError for an error line, StreamCutError after too
        many lines that are not JSON objects."""
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        if not text.strip():
            return []
        try:
            update = json.loads(text)
            read = _READERS.get(update["type"])
            return read(self, update) if read else []
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return self._broken(text, error)

    def replay(self) -> None:
        """The stream starts again from its beginning: skip the text that is known already."""
        self._skip = sum(map(len, self._stream))

    @property
    def running(self) -> bool:
        """Whether the server is, for all that is known, still at work."""
        return not (self.final or self.ended or self.failed)

    def end(self, status: str) -> None:
        """The end of a resumed run in the server's word (completed, interrupted, error, gone)."""
        self.ended = self.ended or status in ("completed", "interrupted")
        self._interrupted = self._interrupted or status == "interrupted"

    def finish(self) -> list[Event]:
        """The end of the stream: what was held back and `Finish`. Raises StreamCutError for a cut."""
        if not (self.final or self.ended):
            raise StreamCutError("the stream ended before the answer did")
        events = self._flush()
        if not self._said and not events and not self._interrupted:
            raise StreamCutError("the server ended the answer without saying anything")
        reason = FinishReason.INTERRUPTED if self._interrupted else FinishReason.STOP
        return [*events, Finish(reason=reason)]

    def _broken(self, text: str, error: Exception) -> list[Event | StoredFile]:
        self._malformed += 1
        if self._malformed > MAX_MALFORMED:
            raise StreamCutError(
                f"more than {MAX_MALFORMED} lines of the stream are malformed", body=text[:200]
            ) from error
        said = f"skipped a malformed line of {len(text)} characters ({type(error).__name__})"
        return [Notice(code="malformed-chunk", message=said)]

    def _flush(self) -> list[Event]:
        held = self._thinking.flush()
        self._said = self._said or bool(held)
        return list(held)

    # The types of updates

    def status(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        match update["status"]:
            case "finished":
                self.ended = True
            case "error":
                self.error(update)
        return []

    def stream(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        token = update["token"].replace("\0", "")
        if self._skip:
            token, self._skip = token[self._skip :], max(0, self._skip - len(token))
        if not token:
            return []
        self._stream.append(token)
        events = self._thinking.feed(token)
        self._said = self._said or bool(events)
        return list(events)

    def final_answer(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        final = update["text"].replace("\0", "")
        self._interrupted = update.get("interrupted") is True
        self.final = True
        searched = update.get("webSearch")
        links = linked_sources(update.get("webSources"))
        if isinstance(searched, Mapping):
            links = links or linked_sources(searched.get("sources"))
        return [*self._settle(final), *self._flush(), *self._sources(links)]

    def _settle(self, final: str) -> list[Event | StoredFile]:
        """What the final answer adds to the stream, or the answer again if the stream doubled it.

        The final answer is what was said since the last tool call. The server's own second try sends all
        tokens once more; the final answer is then the ending of that.
        """
        shown = "".join(self._stream[self._starts[-1] :])
        if self._interrupted and shown:
            return []
        if final.strip() == shown.strip():
            return []
        if final.startswith(shown.rstrip()) and len(final) > len(shown):
            return self._more(
                final[len(shown) :] if final.startswith(shown) else final[len(shown.rstrip()) :]
            )
        if final.strip() and shown.rstrip().endswith(final.strip()):
            return self._again(final, "the server produced the answer twice")
        if final.strip() and self._malformed and not self._tools:
            return self._again(final, "a part of the answer was lost on the way")
        return []

    def _more(self, text: str) -> list[Event | StoredFile]:
        self._stream.append(text)
        events = self._thinking.feed(text)
        self._said = self._said or bool(events)
        return list(events)

    def _again(self, final: str, why: str) -> list[Event | StoredFile]:
        """The earlier rounds with all that tools found, and the last one as the final answer has it."""
        rounds = ["".join(self._stream[start:end]) for start, end in pairwise(self._starts)]
        self._stream, self._starts = [], [0]
        events: list[Event | StoredFile] = [Reset(why=why), *self._found]
        for text in (*rounds, final):
            self._thinking = ThinkSplitter()
            events += [*self._more(text), *self._flush()]
        return events

    def title(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        title = update["title"].replace("\0", "").strip()
        return [Title(title=title)] if title and self._first(f"title {title}") else []

    def router(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        """Two come: one with the model, one with only the provider and "" for the rest."""
        told = {name: update.get(name) for name in ("model", "provider")}
        known = dict(self._served)
        self._served.update({name: value for name, value in told.items() if isinstance(value, str) and value})
        if known == self._served:
            return []
        return [ServedBy(model=self._served.get("model"), upstream=self._served.get("provider"))]

    def reasoning(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        """Documented for servers of December 2024 to September 2025."""
        if update.get("subtype") == "status":
            return [Reasoning(status=str(update["status"]))]
        token = str(update["token"]).replace("\0", "")
        if not token:
            return []
        self._said = True
        self._found.append(Reasoning(text=token))
        return self._found[-1:]

    def file(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        sha = str(update["sha"])
        if not sha.isalnum():
            raise ValueError("not a sha256")
        if not self._first(f"file {sha}"):
            return []
        self._said = True
        self._found.append(StoredFile(sha=sha, mime_type=str(update.get("mime") or "")))
        return self._found[-1:]

    def web_search(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        """Documented for servers up to September 2025; `messageType` until the middle of 2024."""
        kind = update.get("subtype") or update.get("messageType")
        message = str(update.get("message") or "")
        match kind:
            case "sources":
                return self._sources(linked_sources(update.get("sources")))
            case "error":
                return [Notice(code="web-search-failed", message=message, option="web_search")]
            case "update":
                details = [str(detail) for detail in update.get("args") or ()]
                return [Progress(stage="web-search", message=" ".join([message, *details]))]
        return []

    def elicitation(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        """A tool server asks the user something (documented for August 2026): nobody here can answer."""
        if update.get("subtype") == "resolved" or "request" not in update:
            return []
        request = update["request"]
        asked = request.get("message") if isinstance(request, Mapping) else None
        return [
            Notice(code="question", message=f"a tool asks: {asked or 'something'}; answer it on the site")
        ]

    def error(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        """The end by an error. As a type of its own it is documented for 2023."""
        self.failed = True
        raise error_of_update(update, started=self._said)

    # Tools that the server runs

    def tool(self, update: Mapping[str, Any]) -> list[Event | StoredFile]:
        if not self._first(json.dumps(update, sort_keys=True)):
            return []
        self._starts.append(len(self._stream))
        uuid = str(update.get("uuid") or "")
        held: list[Event | StoredFile] = []
        if update.get("subtype") == "call":
            held = list(self._flush())
            self._thinking = ThinkSplitter()
            self._tools[uuid] = str(update["call"]["name"])
        for event in tool_events(update, self._tools.setdefault(uuid, "tool")):
            if isinstance(event, Media):
                self._said = True
                self._found.append(event)
            held += self._sources(list(event.sources)) if isinstance(event, Sources) else [event]
        return held

    def _sources(self, found: list[Source]) -> list[Event | StoredFile]:
        new = tuple(source for source in found if self._first(f"source {source.url}"))
        events: list[Event | StoredFile] = [Sources(sources=new)] if new else []
        self._found += events
        return events

    def _first(self, what: str) -> bool:
        """Whether this was not given yet: a replay, and today's tool events, say things twice."""
        known = what in self._once
        self._once.add(what)
        return not known


_Reader = Callable[[Answer, Mapping[str, Any]], "list[Event | StoredFile]"]

_READERS: dict[str, _Reader] = {
    "status": Answer.status,
    "stream": Answer.stream,
    "finalAnswer": Answer.final_answer,
    "title": Answer.title,
    "routerMetadata": Answer.router,
    "tool": Answer.tool,
    "reasoning": Answer.reasoning,
    "file": Answer.file,
    "webSearch": Answer.web_search,
    "elicitation": Answer.elicitation,
    "error": Answer.error,
}
