"""Conversations as the server keeps them: trees of messages, in four spellings, and what we keep of them.

Today's routes wrap their JSON (`{"json": …, "meta": …}`; the part under `json` is complete without the
rest), `POST /conversation` gives that once more as a string, older routes give it plain, and servers of
2023 and 2024 give only the page's data, where every value is an index into one flat list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, frozen

from plugmux.errors import MalformedResponseError

__all__ = ["Chat", "Node", "State", "chat_of", "unwrap"]


def unwrap(body: Any) -> Any:
    """The data of an answer, wrapped or plain."""
    if isinstance(body, Mapping) and "json" in body and set(body) <= {"json", "meta"}:
        return body["json"]
    return body


@frozen(kw_only=True)
class Node:
    """One message of the tree. `ancestors` is None where the server does not tell."""

    id: str
    role: str
    ancestors: tuple[str, ...] | None = None
    generation: str | None = None


@frozen(kw_only=True)
class State:
    """What continues a conversation: plain JSON, kept by the core per provider and model.

    `parent` is the message that the last turn hung on, `generation` the name of its run. The id of the
    answer itself is looked up before the next turn: the stream does not tell it.
    """

    conversation: str
    parent: str
    generation: str

    def to_dict(self) -> dict[str, Any]:
        return {"version": 1, **asdict(self)}

    @classmethod
    def of(cls, plain: Mapping[str, Any] | None) -> State | None:
        """The state in a conversation; None for none, and for one of another version."""
        if not plain or plain.get("version") != 1:
            return None
        found = [plain.get(name) for name in ("conversation", "parent", "generation")]
        if not all(isinstance(value, str) and value for value in found):
            return None
        return cls(conversation=found[0], parent=found[1], generation=found[2])  # type: ignore[arg-type]


@frozen(kw_only=True)
class Chat:
    """A conversation on the server. `root` is the parent of its first turn."""

    id: str
    root: str | None
    nodes: tuple[Node, ...] = ()

    def has(self, message: str) -> bool:
        return any(node.id == message for node in self.nodes)

    def answer_to(self, state: State) -> Node | None:
        """The answer of the turn that `state` describes: by the name of its run, else (older servers)
        the newest answer below the same parent, else the newest of all where no tree is told."""
        answers = [node for node in self.nodes if node.role == "assistant"]
        same_run = [node for node in answers if node.generation == state.generation]
        below = [node for node in answers if node.ancestors and node.ancestors[-2:-1] == (state.parent,)]
        flat = [node for node in answers if node.ancestors is None]
        return next((found[-1] for found in (same_run, below, flat) if found), None)

    def question_of(self, answer: Node) -> str | None:
        """The id of the user message that `answer` answers."""
        if answer.ancestors:
            return answer.ancestors[-1]
        before = [node.id for node in self.nodes[: self.nodes.index(answer)] if node.role == "user"]
        return before[-1] if before else None


def chat_of(body: Any, *, id: str | None = None) -> Chat:
    """A conversation out of any of its spellings. Raises MalformedResponseError.

    `id` is that of the conversation, where the answer does not repeat it.
    """
    try:
        plain = _page_data(body) if isinstance(body, Mapping) and "nodes" in body else unwrap(body)
        if "conversationId" in plain:
            inner = plain.get("conversation")
            created = str(plain["conversationId"])
            plain = (unwrap(json.loads(inner)) if isinstance(inner, str) else {}) | {"id": created}
        nodes = tuple(map(_node, plain.get("messages") or ()))
        known = plain.get("id") or id
        if not isinstance(known, str):
            raise ValueError("no id")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise MalformedResponseError(f"not a conversation: {error!r}"[:200]) from error
    root = plain.get("rootMessageId") or (nodes[0].id if nodes else None)
    return Chat(id=known, root=root, nodes=nodes)


def _node(message: Mapping[str, Any]) -> Node:
    ancestors = message.get("ancestors")
    return Node(
        id=str(message["id"]),
        role=str(message.get("from") or ""),
        ancestors=tuple(map(str, ancestors)) if isinstance(ancestors, list) else None,
        generation=message.get("generationId"),
    )


def _page_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation in a page's data, whose nodes hold `[{"messages": 1, …}, [2, …], {"id": 3, …}, …]`."""
    for node in body["nodes"]:
        flat = node.get("data") if isinstance(node, Mapping) else None
        if isinstance(flat, list) and flat and isinstance(flat[0], Mapping) and "messages" in flat[0]:
            return _filled(flat, 0, depth=0)  # type: ignore[no-any-return]
    raise ValueError("the page holds no messages")


def _filled(flat: Sequence[Any], index: int, *, depth: int) -> Any:
    """The value at `index`. Negative indexes stand for undefined and its like."""
    if not isinstance(index, int) or index < 0 or depth > 40:
        return None
    match flat[index]:
        case dict() as fields:
            return {name: _filled(flat, at, depth=depth + 1) for name, at in fields.items()}
        case [str(), *_]:  # a tagged value: ["Date", "2024-…"]
            return flat[index][-1]
        case list() as items:
            return [_filled(flat, at, depth=depth + 1) for at in items]
        case value:
            return value
