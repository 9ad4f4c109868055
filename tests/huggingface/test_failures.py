"""What an error answer means, and what may be done about it."""

from __future__ import annotations

import json

import pytest

from plugmux.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    ModelLoadingError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
)
from plugmux.huggingface.failures import error_of, error_of_event

NOT_SUPPORTED = {
    "error": {
        "message": "The requested model 'a/b' is not supported by any provider you have enabled.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_supported",
    }
}
TOO_LONG = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1024. "
    "Given: 17 `inputs` tokens and 10000 `max_new_tokens`"
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, {"error": ["Error in `inputs`: bad"]}, InvalidRequestError, "Error in `inputs`: bad"),
        (400, {"message": "bad", "code": {"a": 1}}, InvalidRequestError, "bad"),
        (400, NOT_SUPPORTED, ModelNotFoundError, "not supported by any provider"),
        (401, {"error": "Invalid username or password."}, AuthenticationError, "Invalid username"),
        (402, {"error": "You have depleted your monthly included credits."}, QuotaExceededError, "depleted"),
        (403, {"error": "no sufficient permissions to call"}, PermissionDeniedError, "permissions"),
        (404, {"error": "Model a/b does not exist"}, ModelNotFoundError, "does not exist"),
        (410, {"error": "The requested model is deprecated"}, ModelNotFoundError, "deprecated"),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "Field required"}]},
            InvalidRequestError,
            "Field required",
        ),
        (424, {"error": "CUDA error", "error_type": "generation"}, ServerError, "CUDA error"),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitError, "overloaded"),
        (500, {"error": "unknown error"}, ServerError, "unknown error"),
        (
            503,
            {"error": "Model a is currently loading", "estimated_time": 20.0},
            ModelLoadingError,
            "loading",
        ),
        (503, {"error": "overloaded"}, ServerError, "overloaded"),
    ],
)
def test_an_error_answer_becomes_the_error_it_stands_for(answer_of, status, body, kind, said):
    error = error_of(answer_of(status, json.dumps(body)))
    assert type(error) is kind
    assert said in error.message
    assert error.status == status


def test_a_loading_model_says_how_long_it_takes(answer_of):
    error = error_of(answer_of(503, '{"error": "Model a is currently loading", "estimated_time": 32.5}'))
    assert error.retry_after == 32.5


@pytest.mark.parametrize(
    ("said", "scope"),
    [
        ("You have depleted your monthly included credits.", Scope.ACCOUNT),
        ("You have exceeded your monthly included credits for Inference Providers.", Scope.ACCOUNT),
        ("You have reached the free monthly usage limit for groq. Add credits.", Scope.UPSTREAM),
    ],
)
def test_an_empty_quota_says_whose_it_is(answer_of, said, scope):
    assert error_of(answer_of(402, json.dumps({"error": said}))).scope is scope


def test_an_empty_quota_behind_429_is_no_rate_limit(answer_of):
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    error = error_of(answer_of(429, json.dumps(body)))
    assert isinstance(error, QuotaExceededError)
    assert not error.retryable


@pytest.mark.parametrize(
    ("said", "limit", "given", "wanted"),
    [
        (TOO_LONG, 1024, 17, 10000),
        ("`inputs` must have less than 1023 tokens. Given: 5001", 1023, 5001, None),
        ("`max_new_tokens` must be <= 512. Given: 600", 512, None, 600),
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens "
            "(8000 in the messages, 1000 in the completion). Please reduce the length.",
            8192,
            8000,
            1000,
        ),
        (
            "This model's maximum context length is 8,192 tokens. However, your messages resulted in "
            "9,300 tokens.",
            8192,
            9300,
            None,
        ),
        (
            "'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your "
            "request has 10 input tokens (5000 > 4096 - 10).",
            4096,
            10,
            None,
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000, 210000, None),
        ("The prompt exceeds the context window of this model", None, None, None),
    ],
)
def test_a_prompt_that_is_too_long_tells_the_numbers(answer_of, said, limit, given, wanted):
    error = error_of(answer_of(422, json.dumps({"error": said, "error_type": "validation"})))
    assert isinstance(error, ContextLengthError)
    assert (error.limit, error.given, error.wanted) == (limit, given, wanted)


def test_llama_cpp_tells_the_numbers_in_fields(answer_of):
    inner = {"code": 400, "message": "too big", "type": "exceed_context_size_error"}
    body = {"error": inner | {"n_prompt_tokens": 900, "n_ctx": 512}}
    error = error_of(answer_of(400, json.dumps(body)))
    assert (error.limit, error.given, error.needs_context) == (512, 900, 900)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "code": "content_filter"}},
        {"error": {"message": "no", "type": "content_policy_violation"}},
        {"error": {"message": "The prompt was flagged by our content moderation", "code": None}},
    ],
)
def test_refused_content_ends_the_request(answer_of, body):
    error = error_of(answer_of(400, json.dumps(body)))
    assert isinstance(error, ContentFilterError)
    assert error.scope is Scope.REQUEST


def test_a_failing_filter_is_a_failing_server(answer_of):
    body = {"error": {"message": "the content filter crashed"}}
    assert isinstance(error_of(answer_of(500, json.dumps(body))), ServerError)


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_gate_says_what_opens_it(answer_of, status):
    error = error_of(answer_of(status, '{"error": "denied"}', x_error_code="GatedRepo"))
    assert isinstance(error, PermissionDeniedError)
    assert "accept the model's terms" in error.remedy


def test_an_expired_token_has_a_remedy_of_its_own(answer_of):
    error = error_of(answer_of(401, "", x_error_message='User Access Token "mine" is expired'))
    assert "expired" in error.message
    assert "make a new one" in error.remedy


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "from the header"),
        ("{}", "from the header"),
        ('{"reason": "x"}', "from the header"),
        ('{"error": "from the body"}', "from the body"),
        ("plain words", "plain words"),
    ],
)
def test_the_headers_word_counts_where_the_body_has_none_that_is_known(answer_of, body, said):
    assert error_of(answer_of(400, body, x_error_message="from the header")).message == said


def test_an_error_inside_a_stream_of_unknown_keys_is_shown_as_it_is():
    error = error_of_event({"error": {"reason": "asleep"}})
    assert error.message == 'an error inside the stream: {"error": {"reason": "asleep"}}'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "HTTP 504"),
        (b"<html><head><title>504 Gateway Time-out</title></head></html>", "504 Gateway Time-out"),
        (b"upstream timed out", "upstream timed out"),
        (b"\xff\xfe\x00\x01", "�"),
        (b'{"error": ', '{"error":'),
        (b"x" * 1_000_000, "xxx"),
    ],
)
def test_a_body_that_is_no_json_is_still_a_typed_error(answer_of, content, said):
    error = error_of(answer_of(504, content))
    assert isinstance(error, ServerError)
    assert said in error.message
    assert len(error.message) <= 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": TOO_LONG, "error_type": "validation"}, ContextLengthError, 422),
        ({"error": "CUDA", "error_type": "generation"}, ServerError, 424),
        ({"error": "busy", "error_type": "overloaded"}, RateLimitError, 429),
        ({"error": "half", "error_type": "incomplete_generation"}, ServerError, 500),
        ({"error": {"message": "slow down", "code": 429}}, RateLimitError, 429),
        ({"error": {"message": "slow down", "code": "429"}}, RateLimitError, 429),
        ({"error": {"message": "bad", "type": "invalid_request_error"}}, InvalidRequestError, 400),
        ({"error": "what?"}, ServerError, 500),
    ],
)
def test_an_error_inside_a_stream_has_the_status_it_stands_for(body, kind, status):
    error = error_of_event(body, request_id="r-1")
    assert type(error) is kind
    assert (error.status, error.request_id) == (status, "r-1")


def test_every_recorded_error_answer_is_typed_and_says_something(shared, answer_of):
    for path in sorted((shared / "recordings" / "inference").glob("*/*error*.json")):
        recorded = json.loads(path.read_text())["response"]
        body = recorded.get("body") or ""
        if recorded["status"] < 400 or not body:
            continue
        text = body if isinstance(body, str) else json.dumps(body)
        error = error_of(answer_of(recorded["status"], text))
        assert error.status == recorded["status"]
        assert error.message, path.name
        assert not error.message.startswith(("{", "HTTP")), path.name
