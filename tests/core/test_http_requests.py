"""Whole answers over real sockets: redirects, credentials, and everything that is no answer."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from socket import create_server, socket

import pytest

from plugmux.credentials import Credential
from plugmux.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DeadlineError,
    MalformedResponseError,
    ModelNotFoundError,
    ServerError,
    StreamCutError,
)
from plugmux.http import Http
from plugmux.testing import Close, FaultServer, Send, replies

Connect = Callable[..., AbstractAsyncContextManager[Http]]
WORD = "not-a-real-token-1"


def bearer(*origins: str) -> Credential:
    return Credential.bearer(WORD, origins=origins)


async def test_the_credential_goes_to_its_own_origin(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect(bearer(server.url)) as http:
        await http.request("GET", f"{server.url}/x")
    assert server.requests[0].headers["authorization"] == f"Bearer {WORD}"


async def test_the_credential_goes_to_no_other_origin(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect(bearer("https://service.example")) as http:
        await http.request("GET", server.url)
    assert "authorization" not in server.requests[0].headers


async def test_an_anonymous_request_carries_no_credential(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect(bearer(server.url)) as http:
        await http.request("GET", server.url, anonymous=True)
    assert "authorization" not in server.requests[0].headers


async def test_a_redirect_to_another_port_loses_the_credential(connect: Connect) -> None:
    async with FaultServer(replies.json({"here": 1})) as foreign:
        script = replies.redirect(f"{foreign.url}/there")
        async with FaultServer(script) as server, connect(bearer(server.url)) as http:
            assert (await http.request("GET", server.url)).json() == {"here": 1}
    assert WORD in server.requests[0].headers["authorization"]
    assert WORD not in str(foreign.requests[0].headers)


async def test_a_redirect_that_comes_home_again_has_the_credential_there(connect: Connect) -> None:
    home = replies.by_path({"/end": replies.json({}), "/": lambda _: replies.redirect(f"{abroad.url}/")})
    back = lambda _: replies.redirect(f"{server.url}/end")  # noqa: E731
    async with FaultServer(home) as server, FaultServer(back) as abroad, connect(bearer(server.url)) as http:
        await http.request("GET", f"{server.url}/")
    assert ["authorization" in seen.headers for seen in server.requests] == [True, True]
    assert "authorization" not in abroad.requests[0].headers


async def test_a_redirect_to_another_origin_loses_the_callers_own_headers(connect: Connect) -> None:
    there = lambda _: replies.redirect(foreign.url)  # noqa: E731
    async with FaultServer(replies.json({})) as foreign, FaultServer(there) as server, connect() as http:
        await http.request("GET", server.url, headers={"X-Api-Key": WORD, "Authorization": WORD})
    assert WORD not in str(foreign.requests[0].headers)


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "PUT", "GET"),
        (301, "PUT", "PUT"),
        (302, "GET", "GET"),
    ],
)
async def test_a_redirect_keeps_or_changes_the_method(
    connect: Connect, status: int, method: str, after: str
) -> None:
    script = replies.by_path({"/": replies.redirect("/next", status=status), "/next": replies.json({})})
    async with FaultServer(script) as server, connect() as http:
        await http.request(method, f"{server.url}/", content=b"abc", headers={"Content-Type": "text/x"})
    last = server.requests[-1]
    assert (last.path, last.method) == ("/next", after)
    assert last.body == (b"" if after == "GET" and method != "GET" else b"abc")
    assert ("content-type" in last.headers) == bool(last.body)


async def test_a_redirect_can_be_left_to_the_caller(connect: Connect) -> None:
    async with FaultServer(replies.redirect("/next")) as server, connect() as http:
        answer = await http.request("GET", server.url, follow_redirects=False)
    assert (answer.status, answer.headers["location"]) == (302, "/next")


async def test_a_redirect_in_circles_is_an_error(connect: Connect) -> None:
    async with FaultServer(replies.redirect("/again")) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="redirected more than"):
            await http.request("GET", server.url)
    assert len(server.requests) < 10


@pytest.mark.parametrize("target", ["http://[::bad", "ftp://127.0.0.1/x", "http:///x", "javascript:x"])
async def test_a_redirect_to_a_bad_address_is_a_typed_error(connect: Connect, target: str) -> None:
    async with FaultServer(replies.redirect(target)) as server, connect() as http:
        with pytest.raises((MalformedResponseError, ConnectionFailedError)):
            await http.request("GET", server.url)


async def test_cookies_that_a_server_sets_are_not_kept(connect: Connect) -> None:
    async with FaultServer(replies.json({}, headers={"Set-Cookie": "a=b"})) as server, connect() as http:
        await http.request("GET", server.url)
        await http.request("GET", server.url)
    assert "cookie" not in server.requests[1].headers


async def test_a_refused_connection_is_worth_another_try(connect: Connect) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with connect() as http:
        with pytest.raises(ConnectionFailedError, match="refused") as caught:
            await http.request("GET", f"http://127.0.0.1:{port}/")
    assert (caught.value.kind, caught.value.retryable) == ("connect", True)


async def test_an_unknown_host_is_not_worth_another_try(connect: Connect) -> None:
    async with connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await http.request("GET", "http://no-such-host.invalid/")
    assert (caught.value.kind, caught.value.retryable) == ("dns", False)


@pytest.fixture(scope="session")
def unvouched(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's certificate that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1".split()  # noqa: SIM905
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def greeting(greet: Callable[[socket], None]) -> Iterator[str]:
    """The https URL of a server that greets one client in its own way."""

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            greet(client)

    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


async def test_https_to_a_server_that_speaks_http_is_a_tls_failure(connect: Connect) -> None:
    def refuse(client: socket) -> None:
        client.recv(1000)
        client.sendall(replies.head(400, {"Content-Length": "0"}))

    with greeting(refuse) as url:
        async with connect() as http:
            with pytest.raises(ConnectionFailedError) as caught:
                await http.request("GET", url)
    assert (caught.value.kind, caught.value.retryable) == ("tls", False)


async def test_a_self_signed_certificate_is_a_tls_failure(
    connect: Connect, unvouched: ssl.SSLContext
) -> None:
    with greeting(lambda client: unvouched.wrap_socket(client, server_side=True).close()) as url:
        async with connect() as http:
            with pytest.raises(ConnectionFailedError, match="TLS") as caught:
                await http.request("GET", url)
    assert (caught.value.kind, caught.value.retryable) == ("tls", False)


BAD_ADDRESSES = (
    "",
    "//x",
    "service.example/v1",
    "ftp://service.example",
    "http://",
    "http:///v1",
    "http://a b/",
    "http://[::1",
    "http://127.0.0.1:port/",
    "http://x\n.example/",
    "http://\0/",
    "http://127.0.0.1:99999/",
)


@pytest.mark.parametrize("url", BAD_ADDRESSES)
async def test_a_bad_address_is_said_and_not_worth_another_try(connect: Connect, url: str) -> None:
    async with connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await http.request("GET", url)
    assert caught.value.kind in ("address", "dns")
    assert not caught.value.retryable


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "é漢"])
async def test_a_header_that_cannot_be_sent_is_a_typed_error(connect: Connect, value: str) -> None:
    async with FaultServer(replies.json({})) as server, connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await http.request("GET", server.url, headers={"X-Word": value})
    assert caught.value.kind == "address"
    assert value not in str(caught.value)


async def test_blanks_around_a_headers_value_are_no_part_of_it(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect() as http:
        await http.request("GET", server.url, headers={"X-Word": f" {WORD}\n"})
    assert server.requests[0].headers["x-word"] == WORD


async def test_a_body_that_cannot_be_written_is_a_typed_error(connect: Connect) -> None:
    async with FaultServer(replies.json({})) as server, connect() as http:
        with pytest.raises(ConnectionFailedError, match=r"cannot be written: .*not JSON serializable"):
            await http.request("POST", server.url, json={"x": object()})


async def test_a_reset_before_any_header_is_worth_another_try(connect: Connect) -> None:
    async with FaultServer(replies.reset()) as server, connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await http.request("GET", server.url)
    assert (caught.value.kind, caught.value.retryable) == ("reset", True)


async def test_a_connection_closed_before_any_header_is_worth_another_try(connect: Connect) -> None:
    async with FaultServer([Close()]) as server, connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await http.request("GET", server.url)
    assert (caught.value.kind, caught.value.retryable) == ("reset", True)


async def test_no_answer_is_the_first_sign_limit(connect: Connect) -> None:
    async with FaultServer(replies.no_answer()) as server, connect(first_sign=0.05) as http:
        with pytest.raises(DeadlineError) as caught:
            await http.request("GET", server.url)
        await server.requests[0].wait_left()
    assert caught.value.limit == "first_sign"


async def test_no_answer_is_the_total_limit_where_that_is_shorter(connect: Connect) -> None:
    async with FaultServer(replies.no_answer()) as server, connect(first_sign=5, total=0.05) as http:
        with pytest.raises(DeadlineError) as caught:
            await http.request("GET", server.url)
    assert caught.value.limit == "total"


async def test_what_is_not_http_is_malformed(connect: Connect) -> None:
    async with FaultServer([Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Close()]) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="not HTTP"):
            await http.request("GET", server.url)


async def test_a_page_instead_of_json_is_named_as_what_it_is(connect: Connect) -> None:
    async with FaultServer(replies.html()) as server, connect() as http:
        answer = await http.request("GET", server.url)
    with pytest.raises(MalformedResponseError, match="expected JSON, got text/html") as caught:
        answer.json()
    assert caught.value.status == 200


@pytest.mark.parametrize("body", ["", "{", '{"a": "b', "<html>", "\ufeff"])
async def test_a_body_that_is_no_json_is_malformed(connect: Connect, body: str) -> None:
    reply = replies.answer(body, content_type="application/json")
    async with FaultServer(reply) as server, connect() as http:
        answer = await http.request("GET", server.url)
    with pytest.raises(MalformedResponseError, match="expected JSON"):
        answer.json()


async def test_a_cut_gzip_is_malformed(connect: Connect) -> None:
    body = b'{"a": "' + bytes(range(32, 34)) * 500 + b'"}'
    async with FaultServer(replies.gzip_cut(body)) as server, connect() as http:
        with pytest.raises(MalformedResponseError):
            (await http.request("GET", server.url)).json()


@pytest.mark.parametrize("claimed", [10, 1_000_000])
async def test_fewer_bytes_than_promised_are_a_cut(connect: Connect, claimed: int) -> None:
    async with FaultServer(replies.wrong_length(b"{}", claimed=claimed)) as server, connect() as http:
        with pytest.raises(StreamCutError):
            await http.request("GET", server.url)


async def test_more_bytes_than_promised_are_left_behind(connect: Connect) -> None:
    async with FaultServer(replies.wrong_length(b"{}  trash", claimed=2)) as server, connect() as http:
        assert (await http.request("GET", server.url)).json() == {}


async def test_an_error_body_of_10_mb_is_read_in_part_and_quoted_in_short(connect: Connect) -> None:
    reply = replies.answer(b"e" * 10_000_000, status=500)
    async with FaultServer(reply) as server, connect() as http:
        with pytest.raises(ServerError) as caught:
            await http.request("GET", server.url)
        await server.requests[0].wait_left()
    assert len(str(caught.value)) < 1000
    assert len(caught.value.body or "") <= 300
    assert caught.value.status == 500


async def test_an_error_page_says_its_title(connect: Connect) -> None:
    async with FaultServer(replies.html(status=502)) as server, connect() as http:
        with pytest.raises(ServerError, match="an HTML page instead of an answer: Just a moment"):
            await http.request("GET", server.url)


async def test_an_error_whose_body_breaks_off_still_has_its_status(connect: Connect) -> None:
    reply = [Send(replies.head(404, {"Content-Length": "100"}) + b"not"), Close()]
    async with FaultServer(reply) as server, connect() as http:
        with pytest.raises(ModelNotFoundError) as caught:
            await http.request("GET", server.url)
    assert caught.value.status == 404


async def test_an_error_that_quotes_the_credential_is_concealed(connect: Connect) -> None:
    reply = replies.json({"error": f"the token {WORD} has expired"}, status=401)
    async with FaultServer(reply) as server, connect(bearer(server.url)) as http:
        with pytest.raises(AuthenticationError, match=r"the token \[secret\] has expired") as caught:
            await http.request("GET", server.url)
    assert WORD not in repr(caught.value)
    assert WORD not in str(caught.value.body)


async def test_an_answer_over_the_limit_is_malformed_and_left(connect: Connect) -> None:
    async with FaultServer(replies.answer(b"x" * 10_000_000)) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="larger than 1,000 bytes"):
            await http.request("GET", server.url, max_bytes=1000)
        await server.requests[0].wait_left()
