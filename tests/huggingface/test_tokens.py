"""Where the Hub token is found, and where it may go."""

from __future__ import annotations

import pytest

from plugmux.errors import AuthenticationError, InvalidInputError
from plugmux.huggingface.tokens import ACCOUNT, credential_of, find_token, token_path


@pytest.fixture
def home(tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("given", "settings", "environ", "value", "source"),
    [
        ("argument", {"token": "setting"}, {"HF_TOKEN": "variable"}, "argument", "token="),
        (None, {"token": "setting"}, {"HF_TOKEN": "variable"}, "setting", "the setting token"),
        (None, {"api_key": "setting"}, {"HF_TOKEN": "variable"}, "setting", "the setting api_key"),
        (None, {"api_key": "setting", "token": "of a login"}, {}, "setting", "the setting api_key"),
        (None, {}, {"HF_TOKEN": "one", "HUGGING_FACE_HUB_TOKEN": "two"}, "one", "HF_TOKEN"),
        (None, {}, {"HUGGING_FACE_HUB_TOKEN": "two"}, "two", "HUGGING_FACE_HUB_TOKEN"),
        (None, {}, {"HF_TOKEN": "  padded\n"}, "padded", "HF_TOKEN"),
    ],
)
def test_the_first_place_that_has_a_token_wins(given, settings, environ, value, source):
    token = find_token(given, settings, environ)
    assert (token.value, token.source) == (value, source)


def test_the_token_file_comes_before_the_key_of_other_programs(home):
    token = find_token(None, {}, {"HF_HOME": home, "HUGGINGFACE_API_KEY": "foreign"})
    assert token.value == "from-file"


def test_the_key_of_other_programs_comes_last(tmp_path):
    environ = {"HF_HOME": str(tmp_path), "HUGGINGFACE_API_KEY": "foreign"}
    assert find_token(None, {}, environ).value == "foreign"


def test_a_path_of_its_own_names_the_token_file(tmp_path, home):
    other = tmp_path / "other"
    other.write_text("elsewhere")
    assert find_token(None, {}, {"HF_HOME": home, "HF_TOKEN_PATH": str(other)}).value == "elsewhere"


def test_an_unreadable_token_file_is_no_token(tmp_path):
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    assert find_token(None, {}, {"HF_HOME": str(tmp_path)}) is None


def test_without_a_home_the_cache_folder_holds_the_token():
    assert str(token_path({"XDG_CACHE_HOME": "/somewhere"})) == "/somewhere/huggingface/token"


def test_disabled_implicit_tokens_leave_only_what_was_given(home):
    environ = {"HF_HOME": home, "HF_TOKEN": "variable", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    assert find_token(None, {}, environ) is None
    assert find_token("argument", {}, environ).value == "argument"


def test_a_token_shows_in_no_repr():
    assert "variable" not in repr(find_token(None, {}, {"HF_TOKEN": "variable"}))


def test_the_credential_goes_to_the_hub_and_the_router_and_nowhere_else(new_session):
    credential = credential_of(new_session(environ={"HF_TOKEN": "abcdefgh"}))
    assert credential.account == ACCOUNT
    for url in ("https://router.huggingface.co/v1/models", "https://huggingface.co/api/whoami-v2"):
        assert credential.headers_for(url) == {"Authorization": "Bearer abcdefgh"}
    for url in ("https://fal.media/picture.png", "http://router.huggingface.co/", "https://hf.co/"):
        assert credential.headers_for(url) == {}


def test_a_moved_hub_and_router_are_origins_of_the_credential_too(new_session):
    session = new_session(
        settings={"router_url": "http://127.0.0.1:9"},
        environ={"HF_TOKEN": "abcdefgh", "HF_ENDPOINT": "https://hub.example"},
    )
    credential = credential_of(session)
    assert credential.headers_for("http://127.0.0.1:9/v1")
    assert credential.headers_for("https://hub.example/")


def test_no_token_is_no_credential(new_session):
    assert credential_of(new_session()) is None


def test_a_refused_token_is_not_offered_again(new_session):
    environ = {"HF_TOKEN": "abcdefgh"}
    refused = credential_of(new_session(environ=environ))
    session = new_session(environ=environ, credential=refused)
    assert credential_of(session, AuthenticationError("no", status=401)) is None


def test_a_renewed_token_file_is_found_after_a_refusal(new_session, home):
    refused = credential_of(new_session(environ={"HF_TOKEN": "old-token"}))
    session = new_session(environ={"HF_HOME": home}, credential=refused)
    renewed = credential_of(session, AuthenticationError("expired", status=401))
    assert renewed.headers_for("https://huggingface.co/") == {"Authorization": "Bearer from-file"}


def test_a_token_with_a_line_break_inside_names_its_source(new_session):
    with pytest.raises(InvalidInputError, match="HF_TOKEN") as caught:
        credential_of(new_session(environ={"HF_TOKEN": "abc\ndefgh"}))
    assert "defgh" not in str(caught.value)
