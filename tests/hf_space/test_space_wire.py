"""Messages of the queue, errors, routes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugmux.errors import (
    AuthenticationError,
    ContentFilterError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
    StreamCutError,
)
from plugmux.http import Response
from plugmux_hf_space import _wire
from plugmux_hf_space._wire import Completed, Estimation, Generating, Log, Other, Report, Starts
from plugmux_hf_space._zerogpu import GpuQuotaError, zerogpu_error

MESSAGES = [
    (
        {"msg": "estimation", "event_id": "e", "rank": 2, "queue_size": 3, "rank_eta": 1.5},
        Estimation(event_id="e", rank=2, eta=1.5),
    ),
    ({"msg": "estimation", "event_id": "e", "rank": 0, "rank_eta": None}, Estimation(event_id="e", rank=0)),
    ({"msg": "process_starts", "event_id": "e", "eta": 0.2}, Starts(event_id="e", eta=0.2)),
    (
        {
            "msg": "progress",
            "event_id": "e",
            "progress_data": [
                {"index": 1, "length": 4, "unit": "steps", "progress": None, "desc": "Denoising"},
                {"index": 9, "length": 9, "unit": "it", "progress": None, "desc": "inner"},
            ],
        },
        Report(event_id="e", fraction=0.25, text="Denoising 1/4 steps"),
    ),
    (
        {
            "msg": "progress",
            "progress_data": [{"index": None, "length": None, "progress": 0.5, "desc": "Half"}],
        },
        Report(fraction=0.5, text="Half"),
    ),
    (
        {"msg": "progress", "progress_data": [{"index": 9, "length": 4, "unit": None, "desc": None}]},
        Report(fraction=1.0, text="9/4"),
    ),
    ({"msg": "progress", "progress_data": []}, Report()),
    ({"msg": "progress"}, Report()),
    (
        {"msg": "log", "event_id": "e", "log": "mind the gap", "level": "warning"},
        Log(event_id="e", text="mind the gap", level="warning"),
    ),
    (
        {"msg": "log", "log": "x", "level": "info", "title": "ZeroGPU queue"},
        Log(text="x", level="info", title="ZeroGPU queue"),
    ),
    (
        {"msg": "process_generating", "event_id": "e", "output": {"data": ["a"]}, "success": True},
        Generating(event_id="e", data=["a"]),
    ),
    (
        {"msg": "process_completed", "event_id": "e", "output": {"data": ["a", 7]}, "success": True},
        Completed(event_id="e", data=["a", 7]),
    ),
    ({"msg": "heartbeat", "event_id": None}, Other(name="heartbeat")),
    ({"msg": "close_stream", "event_id": None}, Other(name="close_stream")),
    ({"msg": "of a newer gradio", "event_id": "e", "x": 1}, Other(event_id="e", name="of a newer gradio")),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES)
def test_a_message_becomes_a_value(body: dict[str, Any], message: Any) -> None:
    assert _wire.message_of(json.dumps(body).encode()) == message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_message_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        _wire.message_of(content)


def failed(output: Any, **more: Any) -> ProviderError:
    body = {"msg": "process_completed", "event_id": "e", "output": output, "success": False, **more}
    message = _wire.message_of(json.dumps(body).encode())
    assert isinstance(message, Completed)
    assert message.error is not None
    return message.error


def test_the_words_of_gr_error_come_through() -> None:
    error = failed({"error": "You must not say boo", "title": "Error", "visible": True})
    assert isinstance(error, ServerError)
    assert "You must not say boo" in str(error)
    assert not error.retryable


def test_gradio_4_quotes_the_words_and_the_quotes_go() -> None:
    assert failed({"error": "'You must not say boo'"}).message == "the app failed: You must not say boo"


@pytest.mark.parametrize("output", [{"error": None}, {"error": ""}, {}, None])
def test_a_hidden_error_says_that_it_is_hidden(output: Any) -> None:
    error = failed(output)
    assert error.code == "app-error-hidden"
    assert "does not say why" in str(error)


def test_a_value_out_of_bounds_is_a_refused_request() -> None:
    assert isinstance(failed({"error": "Value 9 is greater than maximum value 8."}), InvalidRequestError)


def test_a_filter_of_the_app_is_final() -> None:
    error = failed({"error": "NSFW content detected, try another prompt"})
    assert isinstance(error, ContentFilterError)
    assert error.scope is Scope.REQUEST


def test_a_job_cancelled_at_the_app_is_a_cut_and_no_success() -> None:
    body = {"msg": "process_completed", "event_id": "e", "output": {}, "success": True}
    message = _wire.message_of(json.dumps(body).encode())
    assert isinstance(message, Completed)
    assert isinstance(message.error, StreamCutError)


def test_an_unknown_session_says_so() -> None:
    body = {"msg": "unexpected_error", "message": "404: Not Found", "session_not_found": True}
    message = _wire.message_of(json.dumps(body).encode())
    assert isinstance(message, _wire.Broken)
    assert message.error.code == "session-not-found"


QUOTA = "ZeroGPU quota exceeded"
ZEROGPU = [
    (
        "You have exceeded your free ZeroGPU quota (60s requested vs. 5s left). Try again in 3:12:45. ",
        QUOTA,
        (60.0, 5.0, 3 * 3600 + 12 * 60 + 45.0, Scope.ACCOUNT),
    ),
    (
        "You have exceeded your Pro ZeroGPU quota (120s requested vs. 0s left). Try again in 23:59:59",
        QUOTA,
        (120.0, 0.0, 86399.0, Scope.ACCOUNT),
    ),
    (
        "You have exceeded your GPU quota (60s requested vs. 56s left). "
        "<a style='x' href='/join'>Create a free account</a> to get more",
        "",
        (60.0, 56.0, None, Scope.ACCOUNT),
    ),
    ("You have exceeded your ZeroGPU runs limit. Sign up for more", QUOTA, (None, None, None, Scope.ACCOUNT)),
    ("Space app has reached its GPU limit. Retry later", QUOTA, (None, None, None, Scope.UPSTREAM)),
    (
        "You have too many ZeroGPU credits allocated to running tasks. Wait for one to finish",
        "ZeroGPU pending credits exceeded",
        (None, None, None, Scope.ACCOUNT),
    ),
]


@pytest.mark.parametrize(("text", "title", "facts"), ZEROGPU)
def test_an_empty_gpu_quota_carries_its_seconds(text: str, title: str, facts: tuple[Any, ...]) -> None:
    error = zerogpu_error(text, title)
    assert isinstance(error, GpuQuotaError)
    assert isinstance(error, QuotaExceededError)
    assert (error.requested, error.left, error.retry_after, error.scope) == facts


@pytest.mark.parametrize("title", [QUOTA, "ZeroGPU queue timeout", "ZeroGPU client error", ""])
def test_no_gpu_available_is_busy_whatever_the_title_says(title: str) -> None:
    error = zerogpu_error("No GPU was available after 60s. <a href='x'>Retry</a> later", title)
    assert isinstance(error, RateLimitError)
    assert error.code == "gpu-busy"
    assert "<a" not in str(error)


def test_a_gpu_duration_that_is_not_allowed_is_a_bad_request() -> None:
    text = "The requested GPU duration (300s) is larger than the maximum allowed"
    assert isinstance(zerogpu_error(text, "ZeroGPU illegal duration"), InvalidRequestError)


def test_an_expired_gpu_token_is_about_the_credential() -> None:
    assert isinstance(
        zerogpu_error("Expired ZeroGPU proxy token", "ZeroGPU client error"), AuthenticationError
    )


@pytest.mark.parametrize("text", ["You must not say boo", "GPU", "quota of pictures exceeded?", ""])
def test_other_words_are_not_about_zerogpu(text: str) -> None:
    assert zerogpu_error(text, "Error") is None


def test_a_quota_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(zerogpu_error(ZEROGPU[0][0], QUOTA)))
    assert (error.requested, error.left, error.retry_after) == (60.0, 5.0, 11565.0)


def answered(status: int, body: Any) -> ProviderError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _wire.error_of(Response(url="http://app", status=status, headers={}, content=content))


STATUSES = [
    (401, {"detail": "Not authenticated"}, AuthenticationError, "Not authenticated"),
    (
        401,
        {"detail": {"error": "Not authenticated", "auth_message": None}},
        AuthenticationError,
        "Not authenticated",
    ),
    (503, {"detail": "Queue is full. Max size is 3 and size is 3."}, ServerError, "Queue is full"),
    (404, {"detail": "Not Found"}, ModelNotFoundError, "Not Found"),
    (413, {"detail": "too big"}, InvalidRequestError, "too large"),
    (500, b"Traceback (most recent call last):", ServerError, "Traceback"),
    (502, b"<html><title>Bad gateway</title></html>", ServerError, "Bad gateway"),
]


@pytest.mark.parametrize(("status", "body", "kind", "text"), STATUSES)
def test_a_status_becomes_an_error(status: int, body: Any, kind: type[ProviderError], text: str) -> None:
    error = answered(status, body)
    assert isinstance(error, kind)
    assert text in str(error)
    assert error.status == status


def test_a_full_queue_has_its_own_code() -> None:
    assert answered(503, {"detail": "Queue is full. Max size is 3 and size is 3."}).code == "queue-full"


def test_a_join_fills_all_that_the_queue_wants() -> None:
    assert _wire.join_body(["x", None], 2, "s") == {
        "data": ["x", None],
        "fn_index": 2,
        "session_hash": "s",
        "event_data": None,
        "trigger_id": None,
    }


def test_blanks_in_a_path_are_quoted() -> None:
    assert _wire.file_route("/tmp/out put.mp4") == "/file=/tmp/out%20put.mp4"
