"""Where the Hub and the router are, and when they may not be asked."""

from __future__ import annotations

import pytest

from plugmux.errors import ConfigurationError, ConnectionFailedError
from plugmux.huggingface.endpoints import Endpoints, bill_to_headers, is_of_hugging_face


def test_the_defaults_are_hugging_faces_own():
    endpoints = Endpoints.load({}, {})
    assert (endpoints.hub, endpoints.router) == ("https://huggingface.co", "https://router.huggingface.co")


def test_settings_come_before_the_environment_and_lose_their_slash():
    settings = {"hub_url": "http://127.0.0.1:1/hub/", "router_url": "http://127.0.0.1:1/"}
    endpoints = Endpoints.load(settings, {"HF_ENDPOINT": "https://hub.example"})
    assert (endpoints.hub, endpoints.router) == ("http://127.0.0.1:1/hub", "http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["hub.example", "ftp://hub.example", "http://"])
def test_a_wrong_address_names_its_setting(url):
    with pytest.raises(ConfigurationError, match="HF_ENDPOINT"):
        Endpoints.load({}, {"HF_ENDPOINT": url})


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_blocks_hugging_faces_hosts(variable):
    endpoints = Endpoints.load({}, {variable: "1"})
    with pytest.raises(ConnectionFailedError, match="HF_HUB_OFFLINE") as caught:
        endpoints.require_online("https://router.huggingface.co/v1")
    assert not caught.value.retryable


def test_offline_does_not_block_a_server_of_ones_own():
    Endpoints.load({}, {"HF_HUB_OFFLINE": "1"}).require_online("http://127.0.0.1:8000/v1")


def test_online_is_the_default():
    Endpoints.load({}, {"HF_HUB_OFFLINE": "0"}).require_online("https://huggingface.co")


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://huggingface.co/api", True),
        ("https://Router.HuggingFace.co", True),
        ("https://someone-app.hf.space", True),
        ("https://xyz.endpoints.huggingface.cloud", True),
        ("https://huggingface.co.evil.example", False),
        ("https://nothuggingface.co", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_hugging_faces_hosts_are_known_by_their_domain(url, ours):
    assert is_of_hugging_face(url) is ours


def test_who_pays_is_a_header_only_if_it_was_set():
    assert bill_to_headers({"bill_to": "my-org"}) == {"X-HF-Bill-To": "my-org"}
    assert bill_to_headers({}) == {}
