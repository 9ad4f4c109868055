"""Results are fetched from where a service keeps them, and from nowhere that it should not send us."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from plugmux.credentials import Credential
from plugmux.downloads import Fetcher
from plugmux.errors import ConnectionFailedError, MalformedResponseError
from plugmux.http import Http
from plugmux.media import MediaKind
from plugmux.testing import FaultServer, Hang, replies

Connect = Callable[..., AbstractAsyncContextManager[Http]]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PICTURE = replies.answer(PNG, content_type="application/octet-stream")
WORD = "not-a-real-token-1"


async def test_a_result_of_the_services_own_is_fetched(connect: Connect) -> None:
    async with FaultServer(PICTURE) as server, connect() as http:
        fetcher = Fetcher(http=http, own=[server.url])
        media = await fetcher.fetch(f"{server.url}/fox", kind=MediaKind.IMAGE, prompt="a fox")
    assert (media.data, media.mime_type, media.prompt) == (PNG, "image/png", "a fox")
    assert media.url == f"{server.url}/fox"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[64:ff9b::7f00:1]/",
    ],
)
async def test_a_private_address_is_refused_before_a_byte_is_sent(connect: Connect, url: str) -> None:
    async with FaultServer(PICTURE) as server, connect() as http:
        port = server.url.rpartition(":")[2]
        with pytest.raises((MalformedResponseError, ConnectionFailedError)):
            await Fetcher(http=http).fetch(url.format(port=port), kind=MediaKind.IMAGE)
        assert server.connections == 0


async def test_another_port_of_the_services_host_is_not_its_own(connect: Connect) -> None:
    async with FaultServer(PICTURE) as other, FaultServer(PICTURE) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="private address"):
            await Fetcher(http=http, own=[server.url]).fetch(other.url, kind=MediaKind.IMAGE)
        assert other.connections == 0


async def test_a_redirect_to_a_private_address_is_refused(connect: Connect) -> None:
    async with FaultServer(PICTURE) as hidden, FaultServer(replies.redirect(hidden.url)) as server:
        async with connect() as http:
            with pytest.raises(MalformedResponseError, match="private address"):
                await Fetcher(http=http, own=[server.url]).fetch(server.url, kind=MediaKind.IMAGE)
        assert hidden.connections == 0


async def test_a_redirect_within_the_service_is_followed(connect: Connect) -> None:
    script = replies.by_path({"/a": replies.redirect("b"), "/b": PICTURE})
    async with FaultServer(script) as server, connect() as http:
        media = await Fetcher(http=http, own=[server.url]).fetch(f"{server.url}/a", kind=MediaKind.IMAGE)
    assert media.data == PNG
    assert media.url == f"{server.url}/b"


async def test_redirects_in_circles_end(connect: Connect) -> None:
    async with FaultServer(replies.redirect("/again")) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="redirects more than"):
            await Fetcher(http=http, own=[server.url]).fetch(server.url, kind=MediaKind.IMAGE)


@pytest.mark.parametrize("target", ["ftp://x/", "file:///etc/hostname", "http://", "http://[::1", "data:,x"])
async def test_a_redirect_to_a_bad_address_is_a_typed_error(connect: Connect, target: str) -> None:
    async with FaultServer(replies.redirect(target)) as server, connect() as http:
        with pytest.raises((MalformedResponseError, ConnectionFailedError)):
            await Fetcher(http=http, own=[server.url]).fetch(server.url, kind=MediaKind.IMAGE)


async def test_the_credential_goes_to_its_own_origin_only(connect: Connect) -> None:
    async with FaultServer(PICTURE) as cdn, FaultServer(PICTURE) as server:
        own = [server.url, cdn.url]
        async with connect(Credential.bearer(WORD, origins=own[:1])) as http:
            for url in own:
                await Fetcher(http=http, own=own).fetch(url, kind=MediaKind.IMAGE)
    assert server.requests[0].headers["authorization"] == f"Bearer {WORD}"
    assert "authorization" not in cdn.requests[0].headers


async def test_a_result_over_the_limit_is_refused_and_left(connect: Connect) -> None:
    flood = replies.stream([b"x" * 65536] * 1000, after=[Hang()])
    async with FaultServer(flood) as server, connect() as http:
        fetcher = Fetcher(http=http, own=[server.url], max_bytes=100_000)
        with pytest.raises(MalformedResponseError, match="larger than 100,000 bytes"):
            await fetcher.fetch(server.url, kind=MediaKind.IMAGE)
        await server.requests[0].wait_left()


async def test_an_empty_result_is_none(connect: Connect) -> None:
    async with FaultServer(replies.answer(b"")) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="empty"):
            await Fetcher(http=http, own=[server.url]).fetch(server.url, kind=MediaKind.IMAGE)


async def test_a_result_that_is_gone_is_a_typed_error(connect: Connect) -> None:
    async with FaultServer(replies.answer(b"gone", status=404)) as server, connect() as http:
        with pytest.raises(MalformedResponseError, match="404"):
            await Fetcher(http=http, own=[server.url]).fetch(server.url, kind=MediaKind.IMAGE)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "caf\N{LATIN SMALL LETTER E WITH ACUTE}..invalid"])
async def test_an_unknown_host_is_a_typed_error(connect: Connect, host: str) -> None:
    async with connect() as http:
        with pytest.raises(ConnectionFailedError) as caught:
            await Fetcher(http=http).fetch(f"http://{host}/x", kind=MediaKind.IMAGE)
    assert caught.value.kind == "dns"


@pytest.mark.parametrize(
    "url", ["", "x", "file:///etc/hostname", "http://", "http://x:99999/", "http://x:a/"]
)
async def test_a_bad_address_is_a_typed_error(connect: Connect, url: str) -> None:
    async with connect() as http:
        with pytest.raises(MalformedResponseError, match="address"):
            await Fetcher(http=http).fetch(url, kind=MediaKind.IMAGE)


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/jpeg;base64,{base64.b64encode(PNG).decode()}",
        "data:image/x,%89PNG%0D%0A%1A%0A" + "%00" * 20,
    ],
)
async def test_a_data_url_is_its_own_result(connect: Connect, url: str) -> None:
    async with connect() as http:
        media = await Fetcher(http=http).fetch(url, kind=MediaKind.IMAGE)
    assert (media.data, media.mime_type) == (PNG, "image/png")


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64", "data:image/png;base64,§", "data:,"])
async def test_a_broken_data_url_is_malformed(connect: Connect, url: str) -> None:
    async with connect() as http:
        with pytest.raises(MalformedResponseError):
            await Fetcher(http=http).fetch(url, kind=MediaKind.IMAGE)


async def test_a_data_url_over_the_limit_is_refused(connect: Connect) -> None:
    async with connect() as http:
        with pytest.raises(MalformedResponseError, match="larger than 10 bytes"):
            await Fetcher(http=http, max_bytes=10).fetch("data:," + "x" * 11, kind=MediaKind.IMAGE)
