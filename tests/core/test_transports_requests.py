"""What is sent and where to, on httpx's transport and on the fast one, and which of them is taken."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener

from plugmux.errors import ConfigurationError, ConnectionFailedError, DeadlineError, ProviderError
from plugmux.http import Http, Response
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, replies
from plugmux.transport import Outgoing, Transport
from plugmux.transports.httpcore_pool import HttpcoreTransport

Limited = Callable[..., Http]
HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


LARGE = bytes(range(256)) * 40_000


async def test_a_large_body_arrives_whole(http: Http) -> None:
    async with FaultServer(replies.json({})) as server:
        await http.request("POST", server.url, content=LARGE)
        assert server.requests[0].body == LARGE


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"json": {"a": "é"}}, '{"a":"é"}'.encode()),
        ({"data": {"a": "b c"}}, b"a=b+c"),
        ({"content": b"raw"}, b"raw"),
        ({}, b""),
    ],
)
async def test_bodies_are_sent_as_httpx_makes_them(http: Http, body: dict, sent: bytes) -> None:
    async with FaultServer(replies.json({})) as server:
        await http.request("POST", server.url, **body)
        assert server.requests[0].body == sent


async def test_files_are_sent_in_parts(http: Http) -> None:
    async with FaultServer(replies.json({})) as server:
        await http.request("POST", server.url, files={"file": ("a.txt", b"inside", "text/plain")})
        seen = server.requests[0]
    assert b"inside" in seen.body
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")


async def test_only_the_headers_that_were_asked_for_are_sent(http: Http) -> None:
    async with FaultServer(replies.json({})) as server:
        await http.request("GET", f"{server.url}/a%20b?q=%2F", headers={"X-Word": "1"})
        seen = server.requests[0]
    assert seen.path == "/a%20b?q=%2F"
    assert seen.headers.keys() <= {"host", "accept", "accept-encoding", "user-agent", "x-word", "connection"}
    assert seen.headers["host"] == server.url.removeprefix("http://")


async def test_a_server_that_reads_nothing_is_the_first_sign_limit(limited: Limited) -> None:
    async with deaf() as url:
        with pytest.raises(DeadlineError) as caught:
            await limited(first_sign=0.1).request("POST", url, content=LARGE)
    assert caught.value.limit == "first_sign"


async def test_a_refusal_before_the_body_was_read_is_the_answer(limited: Limited) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    async with deaf(refusal) as url:
        with pytest.raises(ProviderError) as caught:
            await limited(first_sign=2).request("POST", url, content=LARGE)
    assert caught.value.status == 413


async def test_an_upload_that_is_reset_is_an_error_and_nothing_is_logged(
    http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=reset_first, args=[listener])
        server.start()
        with pytest.raises(ConnectionFailedError):
            await http.request("POST", f"http://127.0.0.1:{listener.getsockname()[1]}", content=LARGE * 4)
        server.join()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def reset_first(listener: socket.socket) -> None:
    """Take one connection, read a little and reset it."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def deaf(says: bytes = b"") -> AsyncIterator[str]:
    """The URL of a server that reads nothing, whatever it `says`."""

    async def ignore(client: SocketStream) -> None:
        async with client:
            await client.send(says)
            await anyio.sleep_forever()

    async with listening(ignore) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def listening(
    handle: Callable[..., Awaitable[None]], context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    listener = await anyio.create_tcp_listener(local_host=host)
    port = listener.extra(SocketAttribute.local_port)
    serving = TLSListener(listener, context) if context else listener
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serving.serve, handle)
        yield port
        tasks.cancel_scope.cancel()
    await serving.aclose()


# Places


async def greet(client: SocketStream) -> None:
    async with client:
        while b"\r\n\r\n" not in await client.receive():
            pass
        await client.send(HI)


async def test_a_name_with_several_addresses_is_reached_where_one_of_them_answers(http: Http) -> None:
    async with listening(greet) as port:
        assert (await http.request("GET", f"http://localhost:{port}/")).content == b"hi"


async def test_ipv6(http: Http) -> None:
    try:
        async with listening(greet, host="::1") as port:
            assert (await http.request("GET", f"http://[::1]:{port}/")).content == b"hi"
    except OSError:
        pytest.skip("no IPv6 here")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `service.example`, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=service.example", "-addext", "subjectAltName=DNS:service.example"]
    try:
        subprocess.run(
            [*made, *named, "-keyout", path.with_name("key"), "-out", path.with_name("certificate")],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    path.write_bytes(path.with_name("key").read_bytes() + path.with_name("certificate").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ssl.SSLContext, list]:
    """A server's context, the names that clients ask it for, and clients that trust it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("certificate")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    return context, names


async def ask_at(transport: Transport, url: str, address: str) -> Response:
    """The answer of `url` when it is looked for at `address`, as downloads do."""
    outgoing = Outgoing(method="GET", url=url, address=address)
    exchange = await transport.send(outgoing, Stopwatch(Limits(first_sign=5, idle=5)))
    content = b"".join([chunk async for chunk in exchange.iterate()])
    return Response(url=exchange.url, status=exchange.status, headers=exchange.headers, content=content)


async def test_a_checked_address_is_asked_by_the_name_that_its_certificate_carries(
    transport: Transport, secure: tuple[ssl.SSLContext, list]
) -> None:
    context, names = secure
    heads: list[bytes] = []

    async def write_down(client: SocketStream) -> None:
        async with client:
            heads.append(await client.receive())
            await client.send(HI)

    async with listening(write_down, context) as port:
        answer = await ask_at(transport, f"https://service.example:{port}/", "127.0.0.1")
    assert answer.content == b"hi"
    assert names == ["service.example"]
    assert f"host: service.example:{port}\r\n".encode() in heads[0].lower()


async def test_a_certificate_for_another_name_is_refused(
    transport: Transport, secure: tuple[ssl.SSLContext, list]
) -> None:
    async with listening(greet, secure[0]) as port:
        with pytest.raises(ConnectionFailedError) as caught:
            await ask_at(transport, f"https://other.example:{port}/", "127.0.0.1")
    assert caught.value.kind == "tls"


# The choice


async def test_unset_is_the_fast_one_where_it_is_installed() -> None:
    fast = pytest.importorskip("plugmux.transports.fast")
    assert isinstance(await pool_of(Transport()), fast.FastTransport)


async def test_unset_is_httpcore_s_where_the_fast_one_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plugmux.transports.pools.find_spec", lambda name: None)
    assert isinstance(await pool_of(Transport()), HttpcoreTransport)


async def test_the_others_can_be_asked_for() -> None:
    assert type(await pool_of(Transport(kind="httpx"))).__module__.startswith("httpx")
    assert isinstance(await pool_of(Transport(kind="httpcore")), HttpcoreTransport)


async def test_what_goes_through_a_proxy_is_httpx_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert type(await pool_of(Transport())).__module__.startswith("httpx")


async def pool_of(transport: Transport) -> object:
    pool = (await transport.sender().pools.take("http://service.example/")).transport
    await transport.aclose()
    return pool


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_all_is_httpx_and_fast_is_an_error(anyio_backend: str) -> None:
    for kind in (None, "httpcore", "httpx"):
        assert type(await pool_of(Transport(kind=kind))).__module__.startswith("httpx")
    with pytest.raises(ConfigurationError, match="fast"):
        await pool_of(Transport(kind="fast"))


async def test_no_logger_hears_of_a_request(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FaultServer(replies.json({})) as server:
        await http.request("GET", server.url, headers={"X-Word": "not-a-real-token-1"})
    assert "not-a-real-token-1" not in caplog.text
