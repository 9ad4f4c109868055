"""A chat's state and its slash commands; `plugmux.cli.chat` feeds it entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from plugmux.cli.asking import Question, ask, pinned
from plugmux.cli.exits import Exit, describe, exit_of
from plugmux.cli.last_chat import Chat, LastChat, instructed
from plugmux.cli.options import option_values, policy_values
from plugmux.cli.progress import ProgressLines
from plugmux.cli.prompts import as_utf8, attachment_part, user_message
from plugmux.cli.route import route_lines
from plugmux.cli.saving import MediaFiles
from plugmux.cli.terminal import Terminal
from plugmux.cli.textview import TextView
from plugmux.errors import PlugmuxError
from plugmux.messages import Conversation, Message

if TYPE_CHECKING:
    from plugmux.cli.running import OpenClient
    from plugmux.completion import Completion

__all__ = ["Talk"]


class Talk:
    """One chat. An answer that fails or is stopped ends that answer and nothing else.

    A failed entry is forgotten, so that it can be tried again; of a stopped answer what was said so far
    stays in the conversation. `exit` is the code of the last entry.
    """

    def __init__(
        self,
        terminal: Terminal,
        opened: OpenClient,
        *,
        models: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        policies: tuple[str, ...] = (),
        providers: tuple[str, ...] = (),
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.ended = False
        self.exit = Exit.OK
        self._terminal = terminal
        self._opened = opened
        self._models = models
        self._options = option_values(options)
        self._policy = {**opened.settings.policy, **policy_values(policies)}
        self._providers = providers
        self._quiet, self._verbose = quiet, verbose
        self._last = LastChat(opened.settings.home)
        self._conversation = Conversation()
        self._attachments: list[str] = []
        self._stream: Any = None
        self._failure = ""

    def go_on(self) -> None:
        """Take up the last chat. Raises ConfigurationError if there is none."""
        kept = self._last.load()
        if self._last.problem:
            self._terminal.note(f"note: {self._last.problem}", "yellow")
        self._conversation = kept.conversation
        self._models = self._models or kept.models

    def instruct(self, system: str) -> None:
        """Set the system message, or remove it ("")."""
        self._conversation = instructed(self._conversation, system)

    def greet(self) -> None:
        names = ", ".join(self._models) or self._opened.settings.default_model or "the default model"
        self._terminal.note(f"chat with {names}; /help lists the commands")

    def take(self, entry: str) -> None:
        """One entry: a command, or something to say (`//` begins what begins with a slash)."""
        text = entry.strip()
        if text.startswith("/") and not text.startswith("//"):
            self._command(text)
        elif text:
            self._say(text.removeprefix("/") if text.startswith("//") else entry.strip("\n"))

    def _command(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        known = _COMMANDS.get(name)
        if known is None:
            self._terminal.note(f"there is no /{name}; /help lists the commands", "yellow")
            return
        self._guarded(lambda: known[0](self, rest.strip()))

    def _say(self, text: str) -> None:
        def answer() -> None:
            said = as_utf8(text, "what you said", self._terminal)
            self._answer(user_message(said, self._attachments))

        self._guarded(answer)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something whose failure, or Ctrl-C, is no reason to end the chat."""
        self.exit = Exit.OK
        try:
            work()
        except BrokenPipeError:
            raise
        except (PlugmuxError, OSError) as error:
            self.exit, self._failure = exit_of(error), describe(error)
            self._terminal.error(self._failure)
        except KeyboardInterrupt:
            self._terminal.note("\n(stopped)")

    def _answer(self, message: Message) -> None:
        question = pinned(
            Question(
                models=self._models,
                message=message,
                policy=self._policy,
                options=self._options,
                conversation=self._conversation if self._conversation.messages else None,
            ),
            self._providers,
        )
        view = self._view(message.text)
        self._stream = None
        try:
            done = self._opened.run(lambda client: ask(client, question, view, opened=self._watch))
        except KeyboardInterrupt:
            self._keep_stopped(message)
            raise
        self._attachments = []
        self._keep(done.conversation or self._with(message, done.text))

    def _watch(self, stream: Any) -> None:
        self._stream = stream

    def _view(self, prompt: str) -> TextView:
        files = MediaFiles(None, prompt=prompt, count=1, say=self._terminal.note)
        progress = ProgressLines(self._terminal)
        return TextView(self._terminal, progress, files, quiet=self._quiet, verbose=self._verbose)

    def _keep_stopped(self, message: Message) -> None:
        said = self._stream.completion.text if self._stream is not None else ""
        if said:
            self._attachments = []
            self._keep(self._with(message, said))

    def _with(self, message: Message, said: str) -> Conversation:
        answer = Message(role="assistant", content=said)
        return evolve(self._conversation, messages=(*self._conversation.messages, message, answer))

    def _keep(self, conversation: Conversation) -> None:
        self._conversation = conversation
        problem = self._last.save(Chat(models=self._models, conversation=conversation))
        if problem:
            self._terminal.note(f"note: {problem}", "yellow")

    def _model(self, name: str) -> None:
        if not name:
            self._terminal.note(", ".join(self._models) or "the default model")
            return
        question = pinned(Question(models=(name,), message="", policy=self._policy), self._providers)
        found = self._opened.run(lambda client: client.explain(question.model, **question.arguments()))
        self._models = (name,)
        first = next((str(candidate) for candidate in found.candidates), "nobody, as things stand")
        self._terminal.note(f"{name}: {first}")

    def _why(self, _: str) -> None:
        completion: Completion | None = self._stream.completion if self._stream else None
        if completion is None or not completion.trace.candidates:
            self._terminal.note(self._failure or "nothing was asked yet")
            return
        for line in route_lines(completion.trace):
            self._terminal.note(line)
        for attempt in completion.trace.attempts:
            self._terminal.note(f"  tried {attempt}")

    def _system(self, text: str) -> None:
        self.instruct(text)
        self._terminal.note("the system message is set" if text else "no system message")

    def _attach(self, name: str) -> None:
        attachment_part(name)
        self._attachments.append(name)
        self._terminal.note(f"goes with your next message: {', '.join(self._attachments)}")

    def _new(self, _: str) -> None:
        self._conversation = Conversation()
        self._attachments = []
        self._terminal.note("a new conversation")

    def _help(self, _: str) -> None:
        for name, (_command, words) in _COMMANDS.items():
            if words:
                self._terminal.note(f"  /{name:<16}{words}")
        self._terminal.note('  """               on a line of its own begins and ends several lines')
        self._terminal.note("  Ctrl-C            stops the answer; Ctrl-D ends the chat")

    def _quit(self, _: str) -> None:
        self.ended = True


_COMMANDS: dict[str, tuple[Callable[[Talk, str], None], str]] = {
    "model": (Talk._model, "[NAME]: say or change the model"),
    "why": (Talk._why, "who was asked for the last answer, who was not, and why"),
    "system": (Talk._system, "[TEXT]: set or remove the instructions"),
    "attach": (Talk._attach, "FILE: send a picture or sound with the next message"),
    "new": (Talk._new, "begin a new conversation"),
    "help": (Talk._help, "this list"),
    "quit": (Talk._quit, "end the chat"),
    "exit": (Talk._quit, ""),
}
