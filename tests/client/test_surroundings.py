"""Proxies and certificates of the environment."""

import pytest

from plugmux import (
    ConfigurationError,
    ConnectionFailedError,
    Finish,
    MalformedResponseError,
    Model,
    Text,
    hookimpl,
)
from plugmux.downloads import Fetcher
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, replies
from plugmux.transport import Transport

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
async def http(monkeypatch, request):
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    transport = Transport()
    yield Http(transport, Stopwatch(Limits(total=5)), None)
    await transport.aclose()


@pytest.mark.parametrize(
    ("http", "url", "said"),
    [
        ({"http_proxy": "socks9://127.0.0.1:1"}, "http://service.example/", "proxy"),
        ({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, "https://service.example/", "SSL_CERT_FILE"),
    ],
    indirect=["http"],
)
async def test_what_cannot_be_used_is_said(http, url, said):
    with pytest.raises(ConfigurationError, match=said):
        await http.request("GET", url)


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_proxy_carries_the_request(monkeypatch, scheme):
    async with FaultServer(replies.json({"by": "proxy"})) as proxy:
        monkeypatch.setenv("http_proxy", scheme + proxy.url.removeprefix("http://"))
        transport = Transport()
        answer = await Http(transport, Stopwatch(Limits(total=5)), None).request(
            "GET", "http://service.example/x"
        )
        await transport.aclose()
        assert answer.json() == {"by": "proxy"}
        assert proxy.requests[0].path == "http://service.example/x"


async def fetched(url):
    transport = Transport()
    try:
        http = Http(transport, Stopwatch(Limits(total=5)), None)
        return await Fetcher(http=http).fetch(url, kind="image")
    finally:
        await transport.aclose()


async def test_a_result_is_fetched_where_only_the_proxy_knows_its_host(monkeypatch):
    async with FaultServer(replies.answer(PNG, content_type="image/png")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await fetched("http://cdn.invalid/fox.png")).data == PNG
        assert proxy.requests[0].path == "http://cdn.invalid/fox.png"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "10.0.0.1", "localhost", "a.localhost"])
async def test_a_proxy_is_not_asked_for_a_private_address(monkeypatch, host):
    async with FaultServer(replies.answer(PNG, content_type="image/png")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises((MalformedResponseError, ConnectionFailedError)):
            await fetched(f"http://{host}/fox.png")
        assert proxy.connections == 0


async def test_no_proxy_is_honoured(monkeypatch):
    async with FaultServer(replies.json({"by": "itself"})) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transport = Transport()
        answer = await Http(transport, Stopwatch(Limits(total=5)), None).request("GET", server.url)
        await transport.aclose()
        assert answer.json() == {"by": "itself"}


async def test_the_setting_says_which_transport_carries_a_request(client):
    class Asking:
        @hookimpl
        async def create_stream(self, session):
            answer = await session.http.request("GET", server.url)
            pool = await session.transport.sender().pools.take(server.url)
            yield Text(text=f"{answer.status} by {type(pool.transport).__module__}")
            yield Finish()

        static_models = (Model(id="org/model", auth="none"),)

    async with FaultServer(replies.json({})) as server:
        done = await client(a=Asking(), environ={"PLUGMUX_TRANSPORT": "httpx"}).complete("org/model", "hi")
    assert done.text == "200 by httpx"
