"""How a request becomes a turn at a chat app: which session, which history, which words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from plugmux.events import Notice
from plugmux.huggingface.unsaid import unsaid
from plugmux_hf_space._app import App, Endpoint
from plugmux_hf_space._history import Talk, chatbot_value, flat, injection_of, talk_of, with_rules
from plugmux_hf_space._job import new_session
from plugmux_hf_space._tasks import History, Verdict

if TYPE_CHECKING:
    from plugmux.messages import Message
    from plugmux.requests import Request

__all__ = ["Chat", "prepare", "unsent"]


@frozen(kw_only=True)
class Chat:
    """What to send. `history` is a Chatbot's value; with an `injection` it goes there, else into the call.

    `state` continues the conversation at this app, None where there is nothing to continue.
    """

    prompt: str
    system: str = ""
    session_hash: str = field(factory=new_session)
    history: Sequence[Any] | None = None
    injection: Endpoint | None = None
    state: dict[str, Any] | None = None
    notices: tuple[Notice, ...] = ()


def prepare(app: App, verdict: Verdict, request: Request, place: str) -> Chat:
    """Plan a turn. Pure but for the name of a new session."""
    talk = talk_of(request.messages)
    match verdict.history:
        case History.SESSION:
            chat = _in_session(app, verdict, request, talk)
        case History.REQUEST:
            chat = _in_request(app, verdict, request, talk)
        case _:
            return _with_remark(_single(verdict, request, talk), request)
    if chat.history is not None or chat.session_hash != _known_session(app, request):
        chat = _with_remark(chat, request)
    return evolve(chat, state={"session": chat.session_hash, "run": app.run_id, "place": place})


def _with_remark(chat: Chat, request: Request) -> Chat:
    """Of earlier messages only the words go to an app that has not seen them."""
    last = next((m for m in reversed(request.messages) if m.role == "user"), None)
    if not any(_has_image(message) for message in request.messages if message is not last):
        return chat
    left_out = Notice(
        code="option-ignored", option="image", message="the images of earlier messages are not sent again"
    )
    return evolve(chat, notices=(*chat.notices, left_out))


def _has_image(message: Message) -> bool:
    return "image_url" in _kinds_in(message)


def _kinds_in(message: Message) -> list[str]:
    parts = message.content if isinstance(message.content, tuple) else ()
    return [str(part.get("type")) for part in parts]


def unsent(request: Request) -> list[Notice]:
    """A word on the parts of the new messages that no app is sent: sounds, files."""
    kinds = dict.fromkeys(kind for message in request.new_messages for kind in _kinds_in(message))
    return [
        Notice(code="option-ignored", option="messages", message=f"the app is sent no {kind} parts")
        for kind in kinds
        if kind not in ("text", "image_url")
    ]


def _single(verdict: Verdict, request: Request, talk: Talk) -> Chat:
    """Media get the prompt, text apps the whole conversation in one text."""
    if not request.messages:
        return Chat(prompt="")
    own = "system" in verdict.options
    if request.task.is_media and own:
        return Chat(prompt=request.prompt, system=talk.system)
    if request.task.is_media:
        return Chat(prompt=request.prompt, notices=tuple(unsaid(request, parts=False)))
    return Chat(prompt=flat(talk, with_system=not own), system=talk.system if own else "")


def _in_session(app: App, verdict: Verdict, request: Request, talk: Talk) -> Chat:
    known = _known_session(app, request)
    system, worded = _rules(verdict, talk)
    if known is not None and _is_one_turn(request):
        return Chat(prompt=worded.prompt, system=system, session_hash=known)
    if not talk.earlier:
        return Chat(prompt=worded.prompt, system=system)
    injection = injection_of(app, verdict)
    if injection is not None:
        history = chatbot_value(app, None, worded.earlier)
        return Chat(prompt=worded.prompt, system=system, history=history, injection=injection)
    return Chat(
        prompt=flat(talk, with_system=not system),
        system=system,
        notices=(
            Notice(
                code="history-flattened",
                message="this app takes no history: the conversation is sent as one text",
            ),
        ),
    )


def _in_request(app: App, verdict: Verdict, request: Request, talk: Talk) -> Chat:
    """The Chatbot's value goes with the call; without a place for text it ends with the prompt."""
    chatbot = next((slot for slot in verdict.endpoint.slots if slot.kind == "chatbot"), None)
    kind = chatbot.component.props.get("type") if chatbot is not None else None
    session = _known_session(app, request) or new_session()
    system, worded = _rules(verdict, talk)
    messages = worded.earlier
    if verdict.slot("prompt") is None:
        last = next((m for m in reversed(request.messages) if m.role == "user"), None)
        if last is not None:
            messages = (*messages, evolve(last, content=worded.prompt))
    history = chatbot_value(app, kind, messages)
    return Chat(prompt=worded.prompt, system=system, session_hash=session, history=history)


def _rules(verdict: Verdict, talk: Talk) -> tuple[str, Talk]:
    """The rules for the app's own place for them, if it has one; else a talk that begins with them."""
    return (talk.system, talk) if "system" in verdict.options else ("", with_rules(talk))


def _known_session(app: App, request: Request) -> str | None:
    """The session of an earlier turn, if the app still runs as it did then."""
    state = request.state
    if not state or str(state.get("run")) != app.run_id:
        return None
    session = state.get("session")
    return session if isinstance(session, str) and session else None


def _is_one_turn(request: Request) -> bool:
    spoken = [m for m in request.new_messages if m.role not in ("system", "developer")]
    return len(spoken) == 1 and spoken[0].role == "user"
