"""From a status and a body to a typed error, for every shape the services use."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from plugmux import errors
from plugmux.http import Response
from plugmux.statuses import error_of_status, error_text, retry_after_of


def response(body: Any = "", status: int = 500, **headers: str) -> Response:
    content = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(url="http://service.example", status=status, headers=names, content=content)


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "scope"),
    [
        (400, errors.InvalidRequestError, False, "candidate"),
        (401, errors.AuthenticationError, False, "credential"),
        (402, errors.QuotaExceededError, False, "account"),
        (403, errors.PermissionDeniedError, False, "credential"),
        (404, errors.ModelNotFoundError, False, "candidate"),
        (408, errors.ServerError, True, "candidate"),
        (410, errors.ModelNotFoundError, False, "candidate"),
        (418, errors.InvalidRequestError, False, "candidate"),
        (422, errors.InvalidRequestError, False, "candidate"),
        (424, errors.ServerError, True, "candidate"),
        (429, errors.RateLimitError, True, "candidate"),
        (500, errors.ServerError, True, "candidate"),
        (503, errors.ServerError, True, "candidate"),
        (529, errors.ServerError, True, "candidate"),
    ],
)
def test_a_status_tells_what_may_be_done(
    status: int, kind: type[errors.ProviderError], retryable: bool, scope: str
) -> None:
    failure = error_of_status(response({"error": "no"}, status))
    assert type(failure) is kind
    assert (failure.status, failure.retryable, failure.scope.value) == (status, retryable, scope)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "bad model", "code": 1}}, "bad model"),
        ({"error": "bad model"}, "bad model"),
        ({"error": ["one", "two"]}, "one; two"),
        ({"error": [{"message": "one"}, {"msg": "two"}]}, "one; two"),
        ({"detail": "bad model"}, "bad model"),
        ({"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "field required"),
        ({"detail": [{"loc": ["body", "tools", 0, "name"], "msg": "required"}]}, "tools.0.name: required"),
        ({"detail": [{"loc": ["body", "a"], "msg": "x"}, {"loc": ["body", "b"], "msg": "y"}]}, "a: x; b: y"),
        ({"reason": "asleep,\nwake it"}, '{"reason": "asleep,'),
        ({"errors": [{"code": 7, "reason": "no gateway"}]}, '{"errors": [{"code": 7, "reason": "no gateway"'),
        ({"message": "bad model", "request_id": "1"}, "bad model"),
        ({"title": "Bad", "status": 422, "detail": "- input is required\n"}, "- input is required"),
        ([{"error": "one"}], "one"),
        ("plain words\n", "plain words"),
        ('"a string"', "a string"),
        ("", "HTTP 500 without a word"),
        ({}, "HTTP 500 without a word"),
        ({"error": None}, "HTTP 500 without a word"),
        ({"error": {}, "message": "later"}, "later"),
        ({"error": 7}, "HTTP 500 without a word"),
        ({"error": {"message": {"text": 1}}}, "HTTP 500 without a word"),
        (
            "<!DOCTYPE html><title>502 Bad\nGateway</title>",
            "an HTML page instead of an answer: 502 Bad Gateway",
        ),
        ("<html></html>", "an HTML page instead of an answer"),
        (b"\xff\xfe broken", "\ufffd\ufffd broken"),
        ("[" * 100_000, "["),
    ],
)
def test_the_services_word_is_found_in_every_shape(body: Any, said: str) -> None:
    assert error_text(response(body)).startswith(said)
    assert len(error_text(response(body))) <= 350


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 0.5 "}, 0.5),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Mon, 99 Nov 2026 01:00:00 GMT"}, None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"ratelimit": '"api";r=0;t=17'}, 17.0),
        ({"ratelimit": '"api";r=9;t=17'}, None),
        ({"retry_after": "3", "ratelimit": '"api";r=0;t=17'}, 3.0),
        ({}, None),
    ],
)
def test_the_wait_a_service_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_of(response(**headers).headers) == seconds


def test_a_date_is_a_wait_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after_of({"retry-after": date}) or 0) <= 60


@pytest.mark.parametrize(
    "value", ["1e9", "99999999999999999999", "nan", "inf", "Wed, 21 Oct 99999999999 07:28:00 GMT"]
)
def test_an_absurd_wait_is_none_or_a_number(value: str) -> None:
    seconds = retry_after_of({"retry-after": value})
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("name", ["x-request-id", "x-amzn-trace-id", "inference-id"])
def test_the_request_id_is_kept(name: str) -> None:
    assert error_of_status(response("", 500, **{name: "r-1"})).request_id == "r-1"


def test_an_error_says_who_what_and_which_request() -> None:
    failure = error_of_status(response({"error": "slow down"}, 429, retry_after="7", x_request_id="r-1"))
    failure.provider, failure.model, failure.upstream = "acme", "org/m", "together"
    said = str(failure)
    assert "slow down" in said
    assert not [fact for fact in ("acme", "together", "org/m", "429", "7 s", "r-1") if fact not in said]


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimitError("slow", provider="p", status=429, retry_after=7.0),
        errors.ContextLengthError("long", limit=10, given=20, param="messages"),
        errors.ConnectionFailedError("no", kind="dns"),
        errors.DeadlineError("late", limit="idle", seconds=3.0),
        errors.QuotaExceededError("empty", scope=errors.Scope.UPSTREAM),
        errors.InvalidInputError("missing", field="messages[0].role"),
        errors.PluginError("broken", plugin="acme", remedy="reinstall it"),
        errors.NoRouteError("nobody", model="m", near=["n"], reasons={"p": "no"}, remedy="install one"),
        errors.AllProvidersFailedError("all failed", model="m", attempts=["one", "two"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling_with_its_facts(error: errors.PlugmuxError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_every_error_is_documented_in_the_tree_and_exported() -> None:
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert kinds <= set(errors.__all__)
    assert all(name in (errors.__doc__ or "") for name in kinds)
