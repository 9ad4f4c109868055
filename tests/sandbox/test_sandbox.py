"""The sandbox: plainly synthetic, faulty on demand, and gone without a trace."""

from __future__ import annotations

import http.client
import io
import json
import socket
import struct
import threading
import urllib.request
import wave
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from plugmux.errors import ConfigurationError
from plugmux.sandbox import FAULTS, Fault, Sandbox, answer, fault_models, picture, pieces, sound

Ask = Callable[..., tuple[int, Any, bytes]]


def test_a_healthy_model_gets_a_synthetic_answer_to_its_end(ask: Ask) -> None:
    status, headers, body = ask("sandbox/echo", prompt="how are you")
    lines = [line[6:] for line in body.decode().split("\n") if line]
    said = "".join(json.loads(line) for line in lines[:-1])
    assert status == 200
    assert lines[-1] == "[DONE]"
    assert "synthetic" in said
    assert "how are you" in said
    assert headers["x-plugmux-sandbox"] == "1"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("401", 401),
        ("402", 402),
        ("403", 403),
        ("404", 404),
        ("429", 429),
        ("429-retry-after", 429),
        ("500", 500),
        ("503", 503),
        ("content-filter", 400),
        ("context-length", 400),
    ],
)
def test_a_status_fault_answers_with_its_status_and_says_who_speaks(ask: Ask, name: str, status: int) -> None:
    got, headers, body = ask(f"sandbox/fault-{name}")
    error = json.loads(body)["error"]
    assert got == status
    assert "plugmux sandbox" in error["message"]
    assert error["code"] == FAULTS[name].code
    assert headers["x-plugmux-sandbox"] == "1"
    assert headers["retry-after"] == ("2" if name == "429-retry-after" else None)


def test_500_once_serves_every_second_request(ask: Ask) -> None:
    assert [ask("sandbox/fault-500-once")[0] for _ in range(4)] == [500, 200, 500, 200]


def test_the_count_of_500_once_is_kept_for_each_model(ask: Ask) -> None:
    assert ask("sandbox/fault-500-once")[0] == 500
    assert ask("sandbox/fault-500-once:together")[0] == 500


def test_an_unknown_fault_is_a_404_that_lists_the_known_ones(ask: Ask) -> None:
    status, _, body = ask("sandbox/fault-typo")
    assert status == 404
    assert "429-retry-after" in body.decode()


def test_cut_breaks_the_connection_in_the_middle(ask: Ask) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask("sandbox/fault-cut")
    assert b"This" in caught.value.partial
    assert b"[DONE]" not in caught.value.partial


def test_stall_falls_silent_in_the_middle(ask: Ask) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask("sandbox/fault-stall")
    assert caught.value.partial.count(b"data:") == 5


def test_silent_gives_no_answer_for_as_long_as_it_is_set(ask: Ask) -> None:
    assert ask("sandbox/fault-silent")[0] == 504


def test_slow_first_token_is_complete_in_the_end(ask: Ask) -> None:
    assert ask("sandbox/fault-slow-first-token")[2] == ask("sandbox/echo")[2]


def test_a_malformed_chunk_is_one_event_that_is_no_json(ask: Ask) -> None:
    events = ask("sandbox/fault-malformed-chunk")[2].split(b"\n\n")[:-2]
    broken = [event for event in events if not _is_json(event[6:])]
    assert len(broken) == 1
    assert len(events) > 10


def test_no_done_leaves_out_the_last_word_and_nothing_else(ask: Ask) -> None:
    whole = ask("sandbox/echo")[2]
    assert ask("sandbox/fault-no-done")[2] == whole.removesuffix(b"data: [DONE]\n\n")


def test_empty_is_200_without_a_byte(ask: Ask) -> None:
    assert (ask("sandbox/fault-empty")[0], ask("sandbox/fault-empty")[2]) == (200, b"")


def test_html_is_a_page_with_status_200(ask: Ask) -> None:
    status, headers, body = ask("sandbox/fault-html")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<html>" in body


def test_half_json_is_labelled_json_and_is_none(ask: Ask) -> None:
    status, headers, body = ask("sandbox/fault-half-json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert not _is_json(body)


def test_every_fault_is_offered_as_a_model_and_told_on_the_index_page(box: Sandbox) -> None:
    page = urllib.request.urlopen(box.url).read().decode()
    assert all(name in page for name in fault_models())
    assert "every answer is synthetic" in page


@pytest.mark.parametrize("around", ["{}", "{}:together", "spaces/{}", "{}#predict"])
def test_a_fault_is_found_inside_what_services_put_around_a_name(around: str) -> None:
    assert Fault.of(around.format("sandbox/fault-429")) == FAULTS["429"]


@pytest.mark.parametrize("model", ["meta/llama", "sandbox/echo", "mysandbox/fault-429", ""])
def test_other_names_have_no_fault(model: str) -> None:
    assert Fault.of(model) is None


def test_requests_are_logged_without_their_secrets(box: Sandbox, ask: Ask) -> None:
    secret = "not-a-real-token-123"
    ask(
        "sandbox/echo", prompt=f"my token is {secret}", Authorization=f"Bearer {secret}", Cookie=f"s={secret}"
    )
    entry = box.requests[-1]
    assert (entry.method, entry.path, entry.status) == ("POST", "/echo/chat", 200)
    assert entry.headers["authorization"] == entry.headers["cookie"] == "[secret]"
    assert entry.json()["prompt"] == "my token is [secret]"
    assert secret not in repr(box.requests)


def test_a_route_that_fails_is_named_and_the_sandbox_goes_on(box: Sandbox, ask: Ask) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{box.url}/echo/broken")
    with caught.value as answer:
        assert answer.status == 500
        assert "nothing there" in answer.read().decode()
    assert box.requests[-1].error == "KeyError('nothing there')"
    assert ask("sandbox/echo")[0] == 200


def test_the_environment_is_that_of_the_plugins(box: Sandbox) -> None:
    assert box.environment() == {"PLUGMUX_ECHO_BASE_URL": f"{box.url}/echo"}
    assert box.exports() == [f"export PLUGMUX_ECHO_BASE_URL='{box.url}/echo'"]


class BrokenRoutes:
    def routes(self, box: Sandbox) -> list[Any]:
        raise RuntimeError("no routes today")

    def environment(self, url: str) -> dict[str, str]:
        return {}


class RivalRoutes:
    def routes(self, box: Sandbox) -> list[Any]:
        return []

    def environment(self, url: str) -> dict[str, str]:
        return {"PLUGMUX_ECHO_BASE_URL": "http://elsewhere.example"}


def test_a_broken_plugin_is_named_and_left_out(new_box: Callable[..., Sandbox]) -> None:
    with new_box(broken=BrokenRoutes()) as box:
        assert box.plugins == ("echo",)
        assert box.broken == {"broken": "RuntimeError: no routes today"}
        assert "no routes today" in urllib.request.urlopen(box.url).read().decode()


def test_two_plugins_that_want_one_variable_do_not_overwrite_each_other(
    new_box: Callable[..., Sandbox],
) -> None:
    with new_box(rival=RivalRoutes()) as box:
        assert "PLUGMUX_ECHO_BASE_URL" in box.broken["rival"]
        assert box.environment()["PLUGMUX_ECHO_BASE_URL"].startswith(box.url)


def test_it_listens_on_the_loopback_only_and_frees_its_port(new_box: Callable[..., Sandbox]) -> None:
    with new_box() as box:
        host, _, port = box.url.removeprefix("http://").partition(":")
        assert host == "127.0.0.1"
    with socket.create_server(("127.0.0.1", int(port))):
        pass  # the port can be taken again


def test_it_stops_at_once_while_it_is_silent_to_somebody(new_box: Callable[..., Sandbox]) -> None:
    before = threading.active_count()
    with new_box() as box:
        port = int(box.url.rpartition(":")[2])
        body = b'{"model": "sandbox/fault-silent", "prompt": ""}'
        client = socket.create_connection(("127.0.0.1", port))
        head = f"POST /echo/chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
    with client:
        client.settimeout(5)
        client.recv(1000)
    assert threading.active_count() == before


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)), Sandbox(port=port, plugins={}):
            pass


def test_the_pieces_of_an_answer_are_the_answer() -> None:
    text = answer("a  b\nc")
    assert "".join(pieces(text)) == text
    assert "“a b c”, 6 characters" in text


def test_the_picture_is_a_png_of_the_size_asked_for() -> None:
    png = picture(30, 20)
    length = struct.unpack(">I", png[33:37])[0]
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (30, 20)
    assert len(zlib.decompress(png[41 : 41 + length])) == 20 * (1 + 30 * 3)


def test_the_sound_is_a_wav_file() -> None:
    with wave.open(io.BytesIO(sound(0.5))) as file:
        assert file.getnframes() / file.getframerate() == 0.5


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
