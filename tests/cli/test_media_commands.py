"""`plugmux image`, `video`, `speak` and `transcribe` against a real server."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_picture_is_saved_under_the_words_of_its_prompt(acme, run, work: Path) -> None:
    done = run("image", "painter", "A red fox, in the snow!")
    assert (done.returncode, done.stdout) == (0, "a-red-fox-in-the-snow.png\n")
    assert (work / "a-red-fox-in-the-snow.png").read_bytes().startswith(PNG)


def test_progress_goes_to_standard_error_line_by_line_in_a_pipe(acme, run) -> None:
    assert run("image", "painter", "fox").stderr == "· queued, position 3\n· running\n"


def test_a_screen_gets_a_bar_and_no_trace_of_it_stays(acme, screen) -> None:
    shown = screen("image", "painter", "fox", "--show", "none")
    assert shown.end() == 0
    assert "queued, position 3" in shown.shown
    assert shown.shown.rstrip().endswith("fox.png")


def test_nothing_is_overwritten(acme, run, work: Path) -> None:
    (work / "fox.png").write_bytes(b"mine")
    assert run("image", "painter", "fox").stdout == "fox-2.png\n"
    assert (work / "fox.png").read_bytes() == b"mine"


def test_a_file_that_exists_is_refused_before_anything_is_asked(acme, run, work: Path) -> None:
    (work / "mine.png").write_bytes(b"mine")
    done = run("image", "painter", "fox", "-o", "mine.png")
    assert done.returncode == 2
    assert "nothing is overwritten" in done.stderr
    assert acme.requests == []


def test_several_pictures_are_numbered(acme, run, work: Path) -> None:
    done = run("image", "painter", "fox", "-n", "3", "-o", "f.png")
    assert sorted(done.stdout.split()) == ["f-1.png", "f-2.png", "f-3.png"]
    assert len(acme.requests) == 3
    assert sorted(path.name for path in work.iterdir()) == ["f-1.png", "f-2.png", "f-3.png"]


def test_a_folder_takes_sensible_names(acme, run, work: Path) -> None:
    (work / "foxes").mkdir()
    assert run("image", "painter", "fox", "-o", "foxes").stdout == "foxes/fox.png\n"


def test_a_folder_that_ends_in_a_slash_is_made(acme, run, work: Path) -> None:
    done = run("image", "painter", "fox", "-n", "2", "-o", "new/foxes/")
    assert sorted(done.stdout.split()) == ["new/foxes/fox-1.png", "new/foxes/fox-2.png"]
    assert (work / "new" / "foxes" / "fox-1.png").is_file()


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_asked(acme, run, work: Path) -> None:
    (work / "foxes").write_text("a file")
    done = run("image", "painter", "fox", "-o", "foxes/")
    assert (done.returncode, done.stderr) == (2, "plugmux: -o: cannot make the folder foxes: File exists\n")
    assert acme.requests == []


def test_a_missing_folder_is_refused_before_anything_is_asked(acme, run) -> None:
    done = run("image", "painter", "fox", "-o", "nowhere/fox.png")
    assert done.returncode == 2
    assert "there is no folder nowhere" in done.stderr
    assert acme.requests == []


def test_a_dash_is_standard_output(acme, environment, work: Path) -> None:
    words = [sys.executable, "-m", "plugmux.cli", "speak", "voice", "Good morning.", "-o", "-"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=environment, cwd=work)
    assert done.stdout.startswith(b"RIFF")
    assert list(work.iterdir()) == []


def test_standard_output_is_not_for_json_and_bytes_at_once(acme, run) -> None:
    done = run("speak", "voice", "Hi", "-o", "-", "--json")
    assert done.returncode == 2
    assert acme.requests == []


def test_options_are_sent_under_their_names(acme, run) -> None:
    words = ["--size", "640x480", "--negative-prompt", "snow", "--seed", "7", "-O", "guidance_scale=3"]
    run("image", "painter", "fox", *words)
    sent = acme.requests[0]
    assert (sent["width"], sent["height"], sent["seed"]) == (640, 480, 7)
    assert (sent["negative_prompt"], sent["guidance_scale"]) == ("snow", 3)


def test_into_a_pipe_goes_only_what_a_scribe_holds_to_in_the_end(acme, run, work: Path) -> None:
    (work / "talk.wav").write_bytes(b"RIFF0000WAVE")
    done = run("transcribe", "fickle-scribe", "talk.wav")
    assert (done.returncode, done.stdout) == (0, "Good morning.\n")


@pytest.mark.parametrize("size", ["640", "0x480", "axb", "640x480x3"])
def test_a_bad_size_is_refused(acme, run, size) -> None:
    done = run("image", "painter", "fox", "--size", size)
    assert done.returncode == 2
    assert "--size" in done.stderr


def test_a_picture_can_be_the_beginning(acme, run, work: Path) -> None:
    (work / "old.png").write_bytes(PNG + b"old")
    run("image", "painter", "bluer", "-i", "old.png")
    assert base64.b64decode(acme.requests[0]["image"].partition(",")[2]) == PNG + b"old"


def test_an_unreadable_picture_is_refused_by_name(acme, run) -> None:
    done = run("image", "painter", "bluer", "-i", "gone.png")
    assert done.returncode == 2
    assert "gone.png" in done.stderr


def test_a_film_is_saved(acme, run, work: Path) -> None:
    assert run("video", "director", "a boat at dawn", "--duration", "5").stdout == "a-boat-at-dawn.mp4\n"
    assert acme.requests[0]["duration"] == 5


def test_a_voice_reads_what_is_piped_in(acme, run, work: Path) -> None:
    done = run("speak", "voice", "--voice", "7", "-o", "out.wav", stdin="Good morning.\n")
    assert done.stdout == "out.wav\n"
    assert (acme.requests[0]["prompt"], acme.requests[0]["voice"]) == ("Good morning.", "7")


def test_a_sound_file_is_written_down(acme, run, work: Path) -> None:
    (work / "talk.wav").write_bytes(b"RIFF0000WAVEfmt ")
    done = run("transcribe", "scribe", "talk.wav", "--language", "en")
    assert done.stdout == "Good morning.\n"
    assert acme.requests[0]["audio"].startswith("data:audio/wav;base64,")
    assert acme.requests[0]["language"] == "en"


def test_a_sound_file_that_is_not_there_is_refused_by_name(acme, run) -> None:
    done = run("transcribe", "scribe", "gone.wav")
    assert done.returncode == 2
    assert "gone.wav" in done.stderr


def test_json_says_where_the_picture_is(acme, run) -> None:
    lines = [json.loads(line) for line in run("image", "painter", "fox", "--json").stdout.splitlines()]
    media = next(line for line in lines if line["event"] == "media")
    assert (media["kind"], media["mime_type"], media["path"]) == ("image", "image/png", "fox.png")
    assert lines[-1]["files"] == ["fox.png"]


def test_a_model_that_makes_no_pictures_is_no_route(acme, run) -> None:
    done = run("image", "plain", "fox")
    assert done.returncode == 3
    assert "it does conversational, not text-to-image" in done.stderr


def test_some_that_fail_leave_the_others_and_an_exit_code(acme, run, work: Path) -> None:
    done = run("image", "moody", "fox", "-n", "3", "--policy", "max_tries=1")
    assert done.returncode == 1
    assert len(done.stdout.split()) == len(list(work.iterdir())) == 2
    assert "out of order" in done.stderr
