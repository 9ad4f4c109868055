"""Pictures on a terminal, and files on disk."""

from __future__ import annotations

import base64
import io
import re

import pytest

from plugmux import InvalidInputError, Media, MediaKind
from plugmux.cli.pictures import (
    Protocol,
    half_blocks,
    iterm,
    kitty,
    protocol_named,
    protocol_of,
    show_picture,
    sixel,
)
from plugmux.cli.progress import ProgressLines, progress_words
from plugmux.cli.saving import MediaFiles, file_ending, name_from
from plugmux.cli.terminal import Terminal
from plugmux.events import Progress

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (64).to_bytes(4, "big") + (64).to_bytes(4, "big")


class FakeScreen(io.StringIO):
    def isatty(self) -> bool:
        return True


def never() -> bool:
    raise AssertionError("asked the terminal")


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
        ({"TERM": "xterm-ghostty"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Protocol.ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Protocol.ITERM),
        ({"TERM": "dumb"}, Protocol.NONE),
        ({"TERM": "linux"}, Protocol.NONE),
        ({}, Protocol.NONE),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, Protocol.NONE),
    ],
)
def test_a_terminal_is_known_by_its_environment(environ, protocol) -> None:
    assert protocol_of(environ, never) is protocol


@pytest.mark.parametrize(("answer", "protocol"), [(True, Protocol.SIXEL), (False, Protocol.BLOCKS)])
def test_any_other_terminal_is_asked_for_sixel(answer, protocol) -> None:
    pytest.importorskip("PIL")
    assert protocol_of({"TERM": "xterm-256color"}, lambda: answer) is protocol


def test_inside_tmux_the_outer_terminals_protocol_is_not_used() -> None:
    environ = {"TERM": "tmux-256color", "TMUX": "/tmp/t", "KITTY_WINDOW_ID": "1"}
    assert protocol_of(environ, lambda: False) in (Protocol.BLOCKS, Protocol.NONE)


@pytest.mark.parametrize("name", ["kitty", "iterm", "sixel", "blocks", "none"])
def test_a_protocol_can_be_named(name) -> None:
    assert protocol_named(name) is Protocol(name)


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="known: kitty, iterm, sixel, blocks, none"):
        protocol_named("ascii")


@pytest.mark.parametrize("size", [1, 3071, 3072, 3073, 10_000])
def test_kitty_gets_the_png_in_chunks_of_4096_at_most(size) -> None:
    png = (PNG + bytes(size))[: max(size, 24)]
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(png, 80))
    assert base64.b64decode("".join(body for _, body in pieces)) == png
    assert all(len(body) <= 4096 for _, body in pieces)
    controls = [control for control, _ in pieces]
    assert controls[0].startswith("a=T,f=100,q=2,m=")
    assert [control[-1] for control in controls] == ["1"] * (len(pieces) - 1) + ["0"]


def test_kitty_scales_down_what_is_wider_than_the_window() -> None:
    assert ",c=4," in kitty(PNG, 4)
    assert ",c=" not in kitty(PNG, 80)


def test_iterm_gets_the_file_in_one_piece() -> None:
    assert iterm(b"abc", 40) == "\x1b]1337;File=inline=1;size=3;width=40;preserveAspectRatio=1:YWJj\x07"


def test_a_half_block_is_two_pixels() -> None:
    red, blue = b"\xff\0\0", b"\0\0\xff"
    assert half_blocks(red + blue, 1, 2) == "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m"


def test_the_last_odd_row_has_no_background() -> None:
    assert half_blocks(b"\xff\0\0", 1, 1) == "\x1b[38;2;255;0;0;49m▀\x1b[0m"


def test_sixel_is_bands_of_six_rows_with_one_pass_a_colour() -> None:
    shown = sixel(bytes([0] * 5 + [1] * 5 + [0] * 25), 5, 7, [(0, 0, 0), (255, 0, 0)])
    colours = "#0;2;0;0;0#1;2;100;0;0"
    # Rows 0 and 2 to 5 of the first band are black (1 + 4 + 8 + 16 + 32 = 61), row 1 is red (2).
    bands = "#0!5|$#1!5A-#0!5@"
    assert shown == f'\x1bP0;1q"1;1;5;7{colours}{bands}\x1b\\'


def test_a_picture_is_shown_on_a_screen_and_never_in_a_pipe() -> None:
    media = Media.from_bytes(PNG, kind=MediaKind.IMAGE)
    screen, pipe = FakeScreen(), io.StringIO()
    assert show_picture(Terminal(out=screen, err=screen, environ={}), media, Protocol.KITTY)
    assert screen.getvalue().startswith("\x1b_Ga=T")
    assert not show_picture(Terminal(out=pipe, err=screen, environ={}), media, Protocol.KITTY)
    assert pipe.getvalue() == ""


def test_what_is_no_picture_is_not_shown() -> None:
    screen = FakeScreen()
    film = Media.from_bytes(b"\0\0\0\0ftypmp42", kind=MediaKind.VIDEO)
    assert not show_picture(Terminal(out=screen, err=screen, environ={}), film, Protocol.KITTY)


@pytest.mark.parametrize("protocol", [Protocol.BLOCKS, Protocol.SIXEL, Protocol.KITTY])
def test_pillow_decodes_what_the_terminal_cannot(protocol) -> None:
    image = pytest.importorskip("PIL.Image")
    buffer, screen = io.BytesIO(), FakeScreen()
    image.new("RGB", (4, 4), (255, 0, 0)).save(buffer, "JPEG")
    media = Media.from_bytes(buffer.getvalue(), kind=MediaKind.IMAGE)
    assert show_picture(Terminal(out=screen, err=screen, environ={}), media, protocol)
    assert screen.getvalue()


@pytest.mark.parametrize("protocol", [Protocol.BLOCKS, Protocol.SIXEL])
def test_a_picture_that_cannot_be_decoded_is_not_shown_and_no_error(protocol) -> None:
    screen = FakeScreen()
    media = Media.from_bytes(b"\xff\xd8\xff no jpeg", kind=MediaKind.IMAGE)
    assert not show_picture(Terminal(out=screen, err=screen, environ={}), media, protocol)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red fox, in the snow!", "a-red-fox-in-the-snow"),
        ("Größe/../etc", "groe-etc"),
        ("猫", "plugmux"),
        ("", "plugmux"),
        ("x" * 200, "x" * 60),
        ("word " * 40, "-".join(["word"] * 12)),
    ],
)
def test_a_prompt_makes_a_file_name(prompt, name) -> None:
    assert name_from(prompt) == name


@pytest.mark.parametrize(
    ("mime_type", "ending"),
    [("image/png", ".png"), ("image/jpeg", ".jpg"), ("audio/mpeg", ".mp3"), ("strange/thing", ".bin")],
)
def test_a_mime_type_has_its_ending(mime_type, ending) -> None:
    assert file_ending(mime_type) == ending


def picture(content: bytes = PNG) -> Media:
    return Media.from_bytes(content, kind=MediaKind.IMAGE)


def files(target, count: int = 1) -> tuple[MediaFiles, list[str]]:
    said: list[str] = []
    return MediaFiles(str(target), prompt="fox", count=count, say=said.append), said


def test_a_name_without_an_ending_gets_the_contents(tmp_path) -> None:
    assert files(tmp_path / "out")[0].save(picture()) == tmp_path / "out.png"


def test_an_ending_that_does_not_fit_is_kept_with_a_word(tmp_path) -> None:
    saver, said = files(tmp_path / "out.jpg")
    assert saver.save(picture()) == tmp_path / "out.jpg"
    assert said == ["the service sent .png, and the file is named .jpg as you asked"]


def test_jpeg_is_jpg(tmp_path) -> None:
    saver, said = files(tmp_path / "out.jpeg")
    assert saver.save(picture(b"\xff\xd8\xff")) == tmp_path / "out.jpeg"
    assert said == []


def test_a_name_that_is_taken_meanwhile_is_counted_up(tmp_path) -> None:
    saver, _ = files(tmp_path / "out.png")
    saver.check()
    (tmp_path / "out.png").write_bytes(b"another's")
    assert saver.save(picture()) == tmp_path / "out-2.png"
    assert (tmp_path / "out.png").read_bytes() == b"another's"


def test_a_dangling_link_is_not_written_through(tmp_path) -> None:
    (tmp_path / "out.png").symlink_to(tmp_path / "elsewhere")
    saver, _ = files(tmp_path / "out.png")
    with pytest.raises(InvalidInputError, match="nothing is overwritten"):
        saver.check()


def test_a_result_outlives_a_folder_that_vanished(tmp_path) -> None:
    (tmp_path / "gone").mkdir()
    saver, said = files(tmp_path / "gone" / "out.png")
    saver.check()
    (tmp_path / "gone").rmdir()
    path = saver.save(picture())
    assert path.read_bytes() == PNG
    assert str(path) in said[0]
    path.unlink()
    path.parent.rmdir()


def test_standard_output_takes_one_result_only() -> None:
    with pytest.raises(InvalidInputError, match="only one result"):
        files("-", count=2)[0].check()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Progress(stage="queued", position=3), "queued, position 3"),
        (Progress(stage="queued", position=0), "queued, next in the queue"),
        (Progress(stage="running", message="running"), "running"),
        (Progress(stage="running", eta=12.4, message="step 3"), "running, step 3, about 12 s"),
        (Progress(stage="IN_QUEUE"), "in queue"),
        (Progress(fraction=0.5), ""),
        (Progress(stage="\x1b[31mred"), "[31mred"),
    ],
)
def test_progress_is_said_in_words(event, words) -> None:
    assert progress_words(event) == words


def test_progress_in_a_pipe_is_a_line_a_change() -> None:
    err = io.StringIO()
    lines = ProgressLines(Terminal(out=io.StringIO(), err=err, environ={}))
    for event in (
        Progress(stage="queued", eta=9.0),
        Progress(stage="queued", eta=8.0),
        Progress(stage="running", fraction=0.1),
        Progress(stage="running", fraction=0.2),
    ):
        lines.update(event)
    assert err.getvalue() == "· queued\n· running\n"
