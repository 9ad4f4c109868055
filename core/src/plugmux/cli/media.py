"""`plugmux image`, `video`, `speak` and `transcribe`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.terminal import Terminal
from plugmux.errors import InvalidInputError
from plugmux.model import Task

if TYPE_CHECKING:
    from plugmux.cli.asking import Question, View

__all__ = ["image", "speak", "transcribe", "video"]

Command = Callable[..., None]


def _common(command: Command) -> Command:
    """The options that all four share."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Say who was tried, and what it took."),
        click.option("-q", "--quiet", is_flag=True, help="No progress or notices."),
        click.option("--json", "as_json", is_flag=True, help="Print events, one JSON object a line."),
        click.option("-p", "--provider", "providers", multiple=True, metavar="NAME", help="Ask only these."),
        click.option("--policy", "policies", multiple=True, metavar="KEY=VALUE", help="How to route."),
        click.option("-O", "--option", "words_of_options", multiple=True, metavar="KEY=VALUE"),
        click.option("-m", "--model", "models", multiple=True, metavar="MODEL"),
        click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]"),
    ):
        command = option(command)
    return command


def _output(command: Command) -> Command:
    """Where a result goes."""
    words = "File or folder (made if it ends in /); - is standard output. Nothing is overwritten."
    return click.option("-o", "--output", metavar="FILE", help=words)(command)


def _visual(command: Command) -> Command:
    """What pictures and films have in common."""
    for option in (
        click.option("--size", metavar="WxH", help="Width and height in pixels."),
        click.option("--aspect-ratio", metavar="W:H", help="16:9, say."),
        click.option("--negative-prompt", metavar="TEXT", help="What is not to be seen."),
        click.option("--seed", type=int, help="The same number, the same result."),
        click.option("-n", type=click.IntRange(1, 32), help="How many."),
        click.option("-i", "--image", metavar="FILE", help="A picture to start from; or its URL."),
    ):
        command = option(command)
    return command


@click.command()
@_common
@_output
@_visual
@click.option("--show", metavar="HOW", help="kitty, iterm, sixel, blocks or none; else as the terminal can.")
def image(words: tuple[str, ...], image: str | None, show: str | None, **given: Any) -> None:
    """Make pictures of a PROMPT, save them, and show them where the terminal can.

    \b
    plugmux image flux "a red fox in the snow" -n 4 -o foxes/
    """
    task = Task.IMAGE_TO_IMAGE if image else Task.TEXT_TO_IMAGE
    _make(task, words, given, show, image=image, **_visual_options(given))


@click.command()
@_common
@_output
@_visual
@click.option("--duration", type=float, help="Seconds.")
@click.option("--resolution", metavar="NAME", help="480p, 720p …")
@click.option("--fps", type=int, help="Pictures a second.")
def video(words: tuple[str, ...], image: str | None, **given: Any) -> None:
    """Make a film of a PROMPT and save it.

    \b
    plugmux video wan "a boat at dawn" --duration 5
    """
    task = Task.IMAGE_TO_VIDEO if image else Task.TEXT_TO_VIDEO
    own = {name: given[name] for name in ("duration", "resolution", "fps")}
    _make(task, words, given, None, image=image, **own, **_visual_options(given))


@click.command()
@_common
@_output
@click.option("--voice", metavar="NAME", help="A voice that the model has.")
@click.option("--speed", type=float, help="1 is as usual.")
def speak(words: tuple[str, ...], voice: str | None, speed: float | None, **given: Any) -> None:
    """Read a text aloud into a sound file.

    \b
    plugmux speak kokoro "Good morning." -o morning.mp3
    """
    _make(Task.TEXT_TO_SPEECH, words, given, None, voice=voice, speed=speed)


@click.command()
@_common
@click.option("--language", metavar="CODE", help="The language spoken: en, de …")
def transcribe(words: tuple[str, ...], language: str | None, **given: Any) -> None:
    """Write down what a sound file says: [MODEL] FILE, a path or a URL.

    \b
    plugmux transcribe whisper interview.mp3 > interview.txt
    """
    from plugmux.cli.words import model_and_prompt

    known = () if len(words) == 1 else None
    models, audio = model_and_prompt(words, given["models"], known=known)
    if audio is None:
        raise InvalidInputError("which sound file?", field="FILE")
    task = Task.AUTOMATIC_SPEECH_RECOGNITION
    _run(_question(task, models, "", given, audio=audio, language=language), given)


def _visual_options(given: dict[str, Any]) -> dict[str, Any]:
    width, height = _size(given["size"])
    named = {name: given[name] for name in ("n", "seed", "negative_prompt", "aspect_ratio")}
    return named | {"width": width, "height": height}


def _size(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InvalidInputError(f"expected WxH, 1024x768 say, got {text!r}", field="--size")
    return int(width), int(height)


def _make(
    task: Task, words: tuple[str, ...], given: dict[str, Any], show: str | None, **options: Any
) -> None:
    """Ask for media with the prompt of the arguments and the pipe."""
    from plugmux.cli.prompts import piped_text, prompt_from
    from plugmux.cli.words import model_and_prompt

    models, argument = model_and_prompt(words, given["models"])
    terminal = Terminal.of_process()
    piped = piped_text(sys.stdin, terminal, wanted=argument is None)
    question = _question(task, models, prompt_from(argument, piped, terminal), given, **options)
    _run(question, given, show)


def _question(
    task: Task, models: tuple[str, ...], prompt: str, given: dict[str, Any], **options: Any
) -> Question:
    from plugmux.cli.asking import Question
    from plugmux.cli.options import option_values, policy_values

    named = {name: value for name, value in options.items() if value is not None}
    return Question(
        models=models,
        message=prompt,
        task=task,
        policy=policy_values(given["policies"]),
        options=option_values(given["words_of_options"]) | named,
    )


def _run(question: Question, given: dict[str, Any], show: str | None = None) -> None:
    from plugmux.cli.asking import ask, ask_several, pinned, separate
    from plugmux.cli.jsonview import said_as_json
    from plugmux.cli.running import OpenClient, stop_on_sigterm

    stop_on_sigterm()
    terminal = Terminal.of_process()
    question, count = separate(question)
    view = _view(terminal, question, given, show, count)
    with said_as_json(terminal, given["as_json"]), OpenClient(terminal) as opened:
        asked = pinned(question.under(opened.settings.policy), given["providers"])
        if count == 1:
            opened.run(lambda client: ask(client, asked, view))
        else:
            opened.run(lambda client: ask_several(client, asked, view, count))


def _view(
    terminal: Terminal, question: Question, given: dict[str, Any], show: str | None, count: int
) -> View:
    from plugmux.cli.jsonview import JsonView
    from plugmux.cli.pictures import protocol_named
    from plugmux.cli.progress import ProgressBar, ProgressLines
    from plugmux.cli.saving import STANDARD_OUTPUT, MediaFiles
    from plugmux.cli.textview import TextView

    protocol = protocol_named(show)
    if given["as_json"] and given.get("output") == STANDARD_OUTPUT:
        raise InvalidInputError("standard output has the JSON lines already", field="-o")
    say, out = terminal.note, terminal.out
    files = MediaFiles(given.get("output"), prompt=str(question.message), count=count, say=say, out=out)
    files.check()
    if given["as_json"]:
        return JsonView(terminal, files)
    bar = terminal.err_is_screen and not given["quiet"]
    progress = ProgressBar(terminal, "waiting for an answer") if bar else ProgressLines(terminal)
    flags = {name: given[name] for name in ("quiet", "verbose")}
    # Only what is written down is text; it is held back where it could not be marked as void.
    whole = question.task is Task.AUTOMATIC_SPEECH_RECOGNITION and not terminal.out_is_screen
    return TextView(terminal, progress, files, pictures=protocol, whole=whole, **flags)
