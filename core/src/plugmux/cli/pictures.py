"""Pictures in terminals that can show them: kitty, iTerm2, sixel, else coloured half blocks.

The encoders are pure functions to escape sequences. Only PNG goes to kitty and only known formats to
iTerm2 as they are; sixel and half blocks need Pillow (`plugmux[pictures]`) to decode the picture.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

from plugmux.cli.terminal import Terminal
from plugmux.errors import InvalidInputError
from plugmux.media import Media, MediaKind

__all__ = [
    "Protocol",
    "half_blocks",
    "iterm",
    "kitty",
    "protocol_named",
    "protocol_of",
    "show_picture",
    "sixel",
]

Picture: TypeAlias = Any
"""A `PIL.Image.Image`: Pillow is optional."""

MOST_COLUMNS = 80
CELL_WIDTH = 10
KITTY_CHUNK = 4096


class Protocol(str, Enum):
    """How a terminal takes a picture."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


def protocol_of(environ: Mapping[str, str], asks_for_sixel: Callable[[], bool]) -> Protocol:
    """What the terminal of `environ` can show. `asks_for_sixel` asks the terminal itself, and last.

    Inside tmux and screen the outer terminal's own protocols do not arrive.
    """
    if environ.get("NO_COLOR") or environ.get("TERM") in ("dumb", "linux", None):
        return Protocol.NONE
    program = environ.get("TERM_PROGRAM", "")
    if not (environ.get("TMUX") or environ["TERM"].startswith(("screen", "tmux"))):
        if "KITTY_WINDOW_ID" in environ or environ["TERM"] in ("xterm-kitty", "xterm-ghostty"):
            return Protocol.KITTY
        if program in ("iTerm.app", "WezTerm", "mintty") or environ.get("LC_TERMINAL") == "iTerm2":
            return Protocol.ITERM
    if find_spec("PIL") is None:
        return Protocol.NONE
    return Protocol.SIXEL if asks_for_sixel() else Protocol.BLOCKS


def protocol_named(name: str | None) -> Protocol | None:
    """The protocol of a `--show` word; None leaves it to the terminal. Raises InvalidInputError."""
    try:
        return None if name is None else Protocol(name.lower())
    except ValueError:
        known = ", ".join(protocol.value for protocol in Protocol)
        raise InvalidInputError(f"unknown way {name!r}; known: {known}", field="--show") from None


def show_picture(terminal: Terminal, media: Media, protocol: Protocol | None = None) -> bool:
    """Show a picture on standard output, if that is a screen that can. Returns whether it was shown."""
    if media.kind is not MediaKind.IMAGE or not terminal.out_is_screen:
        return False
    protocol = protocol or protocol_of(terminal.environ, lambda: _answers_sixel(terminal))
    columns, lines = shutil.get_terminal_size()
    shown = _encoded(media, protocol, min(columns - 1, MOST_COLUMNS), max(lines - 4, 4))
    if shown is None:
        return False
    terminal.out.write(shown + "\n")
    terminal.out.flush()
    return True


def _encoded(media: Media, protocol: Protocol, columns: int, lines: int) -> str | None:
    if protocol is Protocol.ITERM:
        return iterm(media.data, columns)
    if protocol is Protocol.KITTY and media.mime_type == "image/png":
        return kitty(media.data, columns)
    if protocol is Protocol.NONE or find_spec("PIL") is None:
        return None
    picture = _opened(media.data)
    if picture is None:
        return None
    match protocol:
        case Protocol.KITTY:
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            return kitty(buffer.getvalue(), columns)
        case Protocol.SIXEL:
            return _as_sixel(picture, columns * CELL_WIDTH, lines * 2 * CELL_WIDTH)
    return _as_blocks(picture, columns, lines * 2)


def _opened(data: bytes) -> Picture | None:
    pillow = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(data)) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError):
        return None  # it is saved all the same; only the look at it is missing


def _as_sixel(picture: Picture, width: int, height: int) -> str:
    picture.thumbnail((width, height))
    indexed = picture.quantize(256)
    flat: list[int] = indexed.getpalette() or []
    palette = [(flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)]
    return sixel(indexed.tobytes(), indexed.width, indexed.height, palette)


def _as_blocks(picture: Picture, width: int, height: int) -> str:
    picture.thumbnail((width, height))
    return half_blocks(picture.tobytes(), picture.width, picture.height)


def kitty(png: bytes, columns: int) -> str:
    """kitty's graphics protocol: a PNG in base64, in chunks of 4096 characters at most.

    A picture wider than `columns` character cells is scaled down to them.
    """
    width = int.from_bytes(png[16:20], "big")
    scale = f",c={columns}" if width > columns * CELL_WIDTH else ""
    text = base64.b64encode(png).decode()
    chunks = [text[i : i + KITTY_CHUNK] for i in range(0, len(text), KITTY_CHUNK)]
    pieces = []
    for number, chunk in enumerate(chunks, 1):
        control = f"a=T,f=100,q=2{scale}," if number == 1 else ""
        pieces.append(f"\x1b_G{control}m={int(number < len(chunks))};{chunk}\x1b\\")
    return "".join(pieces)


def iterm(data: bytes, columns: int) -> str:
    """iTerm2's inline image: any format that the terminal's system knows."""
    text = base64.b64encode(data).decode()
    return f"\x1b]1337;File=inline=1;size={len(data)};width={columns};preserveAspectRatio=1:{text}\x07"


def half_blocks(rgb: bytes, width: int, height: int) -> str:
    """Two pixels a character: `▀` with the upper as its colour and the lower as its background."""
    lines = []
    for top in range(0, height, 2):
        cells = []
        for column in range(width):
            upper = _pixel(rgb, top * width + column)
            lower = _pixel(rgb, (top + 1) * width + column) if top + 1 < height else None
            back = f"48;2;{lower}" if lower else "49"
            cells.append(f"\x1b[38;2;{upper};{back}m▀")
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def _pixel(rgb: bytes, index: int) -> str:
    red, green, blue = rgb[index * 3 : index * 3 + 3]
    return f"{red};{green};{blue}"


def sixel(indexed: bytes, width: int, height: int, palette: list[tuple[int, int, int]]) -> str:
    """DEC sixel graphics: bands of six rows, one pass a colour, runs shortened to `!count`."""
    used = sorted(set(indexed))
    colours = "".join("#{};2;{};{};{}".format(i, *(c * 100 // 255 for c in palette[i])) for i in used)
    bands = [_band(indexed, width, top, min(6, height - top)) for top in range(0, height, 6)]
    return f'\x1bP0;1q"1;1;{width};{height}{colours}{"-".join(bands)}\x1b\\'


def _band(indexed: bytes, width: int, top: int, rows: int) -> str:
    passes: dict[int, bytearray] = {}
    for row in range(rows):
        start = (top + row) * width
        for column, colour in enumerate(indexed[start : start + width]):
            passes.setdefault(colour, bytearray(width))[column] |= 1 << row
    return "$".join(f"#{colour}{_runs(bits)}" for colour, bits in passes.items())


def _runs(bits: bytearray) -> str:
    from itertools import groupby

    pieces = []
    for value, run in groupby(bits):
        count, char = len(list(run)), chr(63 + value)
        pieces.append(f"!{count}{char}" if count > 3 else char * count)
    return "".join(pieces)


def _answers_sixel(terminal: Terminal) -> bool:
    """Ask the terminal for its attributes (DA1): a 4 among them is sixel. At most 0.3 s."""
    try:
        import termios
        import tty

        keyboard = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        return False
    saved: list[Any] = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        os.write(keyboard, b"\x1b[c")
        return b"4" in _attributes(keyboard).split(b";")[1:]
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)
        os.close(keyboard)


def _attributes(keyboard: int) -> bytes:
    import select

    answer = b""
    while not answer.endswith(b"c") and len(answer) < 64:
        if not select.select([keyboard], [], [], 0.3)[0]:
            return b""
        answer += os.read(keyboard, 64)
    return answer.rstrip(b"c")
