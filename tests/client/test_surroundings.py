"""Proxies and certificates of the environment."""

import pytest

from plugmux import ConfigurationError, Finish, Model, Text, hookimpl
from plugmux.http import Http
from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, replies
from plugmux.transport import Transport


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


async def test_a_proxy_carries_the_request(monkeypatch):
    async with FaultServer(replies.json({"by": "proxy"})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        transport = Transport()
        answer = await Http(transport, Stopwatch(Limits(total=5)), None).request(
            "GET", "http://service.example/x"
        )
        await transport.aclose()
        assert answer.json() == {"by": "proxy"}
        assert proxy.requests[0].path == "http://service.example/x"


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
