"""A secret goes to its own origins, and shows nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

from plugmux.credentials import Credential, Secret, origin_of
from plugmux.errors import InvalidInputError

WORD = "not-a-real-token-1"
OWN = Credential.bearer(WORD, origins=["https://service.example/v1"], source="a test")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://service.example", "https://service.example:443"),
        ("HTTPS://Service.Example:443/v1?x#y", "https://service.example:443"),
        ("http://service.example", "http://service.example:80"),
        ("http://user:pass@service.example:8000/", "http://service.example:8000"),
        ("http://[::1]:8000/", "http://::1:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["", "service.example", "ftp://x", "https://", "http://x:99999", "http://[::1"]
)
def test_what_has_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        origin_of(url)


@pytest.mark.parametrize("url", ["https://service.example/other", "https://service.example:443/"])
def test_its_own_origin_gets_the_headers(url: str) -> None:
    assert OWN.headers_for(url) == {"Authorization": f"Bearer {WORD}"}


@pytest.mark.parametrize(
    "url",
    [
        "http://service.example/v1",
        "https://service.example:8443/v1",
        "https://service.example.evil.example/v1",
        "https://evil.example/?https://service.example/v1",
        "https://service.example@evil.example/v1",
        "https://sub.service.example/v1",
        "https://service.example\\@evil.example/",
        "//service.example/v1",
        "not a url",
        "",
    ],
)
def test_any_other_address_gets_nothing(url: str) -> None:
    assert OWN.headers_for(url) == {}


def test_a_secret_shows_in_no_text() -> None:
    secret = Secret(WORD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr(OWN), str(OWN), repr([secret])]
    assert not [text for text in shown if WORD in text]


def test_a_secret_shows_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%s %r", OWN, Secret(WORD), extra={"credential": OWN})
    assert WORD not in caplog.text


@pytest.mark.parametrize("thing", [Secret(WORD), OWN], ids=["secret", "credential"])
def test_a_secret_is_neither_pickled_nor_copied(thing: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(thing)
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.deepcopy(thing)


def test_a_secret_shows_in_no_attribute_listing() -> None:
    secret = Secret(WORD)
    assert not hasattr(secret, "__dict__")
    assert WORD not in str(dir(secret))


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret("abc") == Secret("abc") != Secret("abd")
    assert len({Secret("abc"), Secret("abc"), Secret("abd")}) == 2
    assert Secret("abc") != "abc"


@pytest.mark.parametrize("value", ["line\n", "tab\there", "é", "nul\0", "\u200b"])
def test_a_secret_that_cannot_be_a_header_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(InvalidInputError, match="printable ASCII") as caught:
        Secret(f"{WORD}{value}")
    assert WORD not in "".join(traceback.format_exception(caught.value))


def test_a_line_end_around_a_token_is_taken_off() -> None:
    pasted = Credential.bearer(f"  {WORD}\n", origins=["https://service.example"])
    assert pasted.headers_for("https://service.example")["Authorization"] == f"Bearer {WORD}"


def test_conceal_blots_the_token_out_with_and_without_its_scheme() -> None:
    said = OWN.conceal(f"got 'Bearer {WORD}', expected other than {WORD}")
    assert said == "got '[secret]', expected other than [secret]"


def test_conceal_leaves_short_values_alone() -> None:
    short = Credential(headers={"X-Mode": "a"}, origins=["https://service.example"])
    assert short.conceal("a banana") == "a banana"


def test_the_fingerprint_tells_secrets_apart_and_gives_none_away() -> None:
    other = Credential.bearer("another-word-2", origins=["https://service.example"])
    again = Credential.bearer(WORD, origins=["https://elsewhere.example"])
    assert OWN.fingerprint == again.fingerprint != other.fingerprint
    assert WORD not in OWN.fingerprint


def test_an_origin_that_is_none_is_refused_when_the_credential_is_made() -> None:
    with pytest.raises(ValueError, match="not an http"):
        Credential.bearer(WORD, origins=["service.example"])


def test_each_cookie_is_blotted_out_by_itself() -> None:
    credential = Credential(
        headers={"Cookie": "one=first-word; two=second-word"}, origins=["https://a.example"]
    )
    assert credential.conceal("second-word, then first-word") == "[secret], then [secret]"
