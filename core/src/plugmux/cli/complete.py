"""`plugmux complete`: one question, one answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.terminal import Terminal

if TYPE_CHECKING:
    from plugmux.cli.asking import Question, View
    from plugmux.cli.last_chat import Chat, LastChat
    from plugmux.cli.running import OpenClient

__all__ = ["complete"]

VOID_REMEDY = "with --no-stream, only what holds in the end is printed"


@click.command()
@click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]")
@click.option(
    "-m", "--model", "models", multiple=True, metavar="MODEL", help="The model; again for the next."
)
@click.option("-s", "--system", metavar="TEXT", help="Instructions to the model.")
@click.option("-a", "--attach", multiple=True, metavar="FILE", help="A picture, sound or film; or its URL.")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="A request option.")
@click.option("--policy", "policies", multiple=True, metavar="KEY=VALUE", help="How to route; order=a,b.")
@click.option("-p", "--provider", "providers", multiple=True, metavar="NAME", help="Ask only this provider.")
@click.option("-c", "going_on", is_flag=True, help="Go on with the last chat.")
@click.option("--continue", "prefill", is_flag=True, help="Go on with the text of the prompt itself.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is complete.")
@click.option("--json", "as_json", is_flag=True, help="Print events, one JSON object a line.")
@click.option("-q", "--quiet", is_flag=True, help="No reasoning, progress or notices.")
@click.option("-v", "--verbose", is_flag=True, help="Say who was tried, and what it took.")
def complete(words: tuple[str, ...], **given: Any) -> None:
    """Ask MODEL a PROMPT and print the answer.

    A prompt may also be piped in; piped text follows the prompt of the arguments. A single word is the
    PROMPT with -m, with -c, and if it has a blank in it; else it is the MODEL.

    \b
    plugmux complete llama-3.3-70b "What is machine learning?"
    git diff | plugmux complete gpt-oss-120b "Write a commit message" -o max_tokens=200
    plugmux complete -c "Shorter, please."

    Some services replace what they said. What went into a pipe or a file cannot be taken back: there the
    command fails, and --no-stream helps, which holds the answer back until it is complete.
    """
    from plugmux.cli.running import OpenClient, stop_on_sigterm

    stop_on_sigterm()
    terminal = Terminal.of_process()
    with OpenClient(terminal) as opened:
        Completing(terminal, opened, given).answer(words)


class Completing:
    """One run of `plugmux complete`."""

    def __init__(self, terminal: Terminal, opened: OpenClient, given: dict[str, Any]) -> None:
        self._terminal = terminal
        self._opened = opened
        self._given = given

    def answer(self, words: tuple[str, ...]) -> None:
        from plugmux.cli.asking import ask
        from plugmux.cli.jsonview import said_as_json
        from plugmux.cli.last_chat import LastChat

        last = LastChat(self._opened.settings.home)
        with said_as_json(self._terminal, self._given["as_json"]):
            question = self._question(words, last)
            view = self._view(question)
            done = self._opened.run(lambda client: ask(client, question, view))
        self._keep(last, question, done)

    def _question(self, words: tuple[str, ...], last: LastChat) -> Question:
        from plugmux.cli.asking import Question, pinned
        from plugmux.cli.last_chat import instructed
        from plugmux.cli.options import option_values, policy_values
        from plugmux.cli.prompts import piped_text, prompt_from, user_message
        from plugmux.cli.words import model_and_prompt
        from plugmux.messages import Conversation

        given = self._given
        chat = self._last_chat(last) if given["going_on"] else None
        conversation = instructed(chat.conversation if chat else Conversation(), given["system"])
        known = chat.models if chat else None
        models, argument = model_and_prompt(words, given["models"], known=known)
        piped = piped_text(sys.stdin, self._terminal, wanted=argument is None)
        message = user_message(prompt_from(argument, piped, self._terminal), given["attach"])
        options = option_values(given["options"]) | ({"action": "continue"} if given["prefill"] else {})
        question = Question(
            models=models,
            message=message,
            policy=policy_values(given["policies"]),
            options=options,
            conversation=conversation if conversation.messages else None,
        )
        return pinned(question.under(self._opened.settings.policy), given["providers"])

    def _last_chat(self, last: LastChat) -> Chat:
        chat = last.load()
        if last.problem:
            self._terminal.note(f"note: {last.problem}", "yellow")
        return chat

    def _view(self, question: Question) -> View:
        from plugmux.cli.jsonview import JsonView
        from plugmux.cli.progress import ProgressLines
        from plugmux.cli.saving import MediaFiles
        from plugmux.cli.textview import TextView

        prompt = question.message if isinstance(question.message, str) else question.message.text
        files = MediaFiles(None, prompt=prompt, count=1, say=self._terminal.note)
        if self._given["as_json"]:
            return JsonView(self._terminal, files)
        flags = {name: self._given[name] for name in ("quiet", "verbose")}
        progress = ProgressLines(self._terminal)
        whole = self._given["no_stream"]
        return TextView(self._terminal, progress, files, whole=whole, remedy=VOID_REMEDY, **flags)

    def _keep(self, last: LastChat, question: Question, done: Any) -> None:
        from plugmux.cli.last_chat import Chat

        if done.conversation is None:
            return
        problem = last.save(Chat(models=question.models, conversation=done.conversation))
        if problem and not self._given["quiet"]:
            self._terminal.note(f"note: {problem}", "yellow")
