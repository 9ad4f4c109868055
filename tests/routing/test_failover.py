"""The rules of failing over, on a clock that stands still."""

import pytest

from plugmux import (
    AuthenticationError,
    ConnectionFailedError,
    ContextLengthError,
    DeadlineError,
    InvalidRequestError,
    Model,
    PermissionDeniedError,
    Policy,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
)
from plugmux.failover import Failover
from plugmux.routing import Candidate


def candidate(provider, wish=0, **facts):
    return Candidate(Model(id="m", provider=provider, **facts), wish=wish)


def race(*candidates, policy=None, **facts):
    return Failover(candidates=candidates, policy=policy or Policy(), jitter=lambda: 0.5, **facts)


def play(failover, error, *, rounds=20, now=0.0):
    """Fail every attempt with `error`, sitting out the waits: [(provider, wait)]."""
    seen = []
    while (turn := failover.next_turn(now)) is not None and len(seen) < rounds:
        now += turn.wait
        seen.append((turn.candidate.model.provider, round(turn.wait, 3)))
        failover.failed(turn.candidate, error, now)
    return seen


def test_a_server_error_is_retried_once_here_and_then_moves_on():
    assert play(race(candidate("a"), candidate("b")), ServerError("x"))[:3] == [
        ("a", 0),
        ("a", 0.25),
        ("b", 0),
    ]


def test_a_candidate_alone_is_tried_three_times_with_growing_pauses():
    assert play(race(candidate("a")), ServerError("x")) == [("a", 0), ("a", 0.25), ("a", 1.0)]


def test_a_request_is_tried_six_times_in_all():
    seen = play(race(*(candidate(name) for name in "abcdefgh")), ServerError("x"))
    assert len(seen) == 6


def test_one_try_is_kept_for_each_model_that_was_named():
    first = [candidate(name) for name in "abcdef"]
    seen = play(race(*first, candidate("last", wish=1)), ServerError("x"))
    assert len(seen) == 6
    assert seen[-1][0] == "last"


def test_a_short_wait_asked_for_is_sat_out_exactly_and_once():
    failover = race(candidate("a"), candidate("b"))
    assert play(failover, RateLimitError("x", retry_after=2.0))[:3] == [("a", 0), ("a", 2.0), ("b", 0)]


def test_a_long_wait_asked_for_is_not_sat_out_while_another_is_ready():
    assert play(race(candidate("a"), candidate("b")), RateLimitError("x", retry_after=30.0), rounds=2) == [
        ("a", 0),
        ("b", 0),
    ]


def test_a_long_wait_is_sat_out_when_nobody_else_is_left():
    assert play(race(candidate("a")), RateLimitError("x", retry_after=30.0)) == [("a", 0), ("a", 30.0)]


def test_no_wait_is_longer_than_max_wait():
    assert play(race(candidate("a")), RateLimitError("x", retry_after=61.0)) == [("a", 0)]


def test_no_wait_goes_past_the_total():
    assert play(race(candidate("a"), total_until=10.0), RateLimitError("x", retry_after=30.0)) == [("a", 0)]


@pytest.mark.parametrize(
    "error",
    [
        DeadlineError("silent", limit="first_sign", seconds=10),
        InvalidRequestError("no"),
        ConnectionFailedError("tls", kind="tls"),
        ConnectionFailedError("dns", kind="dns"),
    ],
)
def test_what_a_repeat_does_not_mend_is_not_repeated(error):
    assert play(race(candidate("a"), candidate("b")), error) == [("a", 0), ("b", 0)]


def test_a_reset_before_the_first_byte_is_retried():
    seen = play(race(candidate("a"), candidate("b")), ConnectionFailedError("x", kind="reset"))
    assert [provider for provider, _ in seen[:3]] == ["a", "a", "b"]


def test_a_refused_credential_is_renewed_once_and_then_its_provider_is_out():
    failover = race(candidate("a"), candidate("a", upstream="x"), candidate("b"))
    assert play(failover, AuthenticationError("x"), rounds=3) == [("a", 0), ("a", 0), ("b", 0)]


def test_a_missing_permission_rules_out_all_that_use_the_credential():
    failover = race(candidate("a"), candidate("a", upstream="x"), candidate("b"))
    assert play(failover, PermissionDeniedError("x")) == [("a", 0), ("b", 0)]


def test_an_empty_account_rules_out_all_that_it_pays_for():
    failover = race(
        candidate("a", account="hub"), candidate("b", account="hub"), candidate("c", account="own")
    )
    assert play(failover, QuotaExceededError("x"), rounds=2) == [("a", 0), ("c", 0)]


def test_an_empty_upstream_rules_out_that_one_only():
    first = candidate("a", upstream="groq", account="hub")
    failover = race(first, candidate("b", upstream="groq", account="hub"), candidate("a", upstream="novita"))
    seen = play(failover, QuotaExceededError("x", scope=Scope.UPSTREAM), rounds=2)
    assert seen == [("a", 0), ("a", 0)]
    assert failover.tries == 2


def test_a_context_too_small_moves_on_to_a_larger_one_only():
    failover = race(candidate("a", context_length=100), candidate("b", context_length=200), candidate("c"))
    assert play(failover, ContextLengthError("x", limit=100, given=500)) == [("a", 0), ("c", 0)]


def test_an_answer_that_broke_off_is_not_asked_for_again_at_the_same_place():
    failover = race(candidate("a"), candidate("b"))
    turn = failover.next_turn(0)
    failover.failed(turn.candidate, ServerError("in the middle"), 0, spoke=True)
    assert failover.next_turn(0).candidate.model.provider == "b"


def test_a_turn_says_whether_somebody_else_stands_ready():
    failover = race(candidate("a"), candidate("b"))
    first = failover.next_turn(0)
    failover.failed(first.candidate, InvalidRequestError("x"), 0)
    assert (first.fallback, failover.next_turn(0).fallback) == (True, False)


def test_a_renewed_candidate_keeps_its_place_before_the_others():
    failover = race(candidate("a"), candidate("b"))
    turn = failover.next_turn(0)
    failover.failed(turn.candidate, AuthenticationError("x"), 0)
    assert failover.next_turn(0).candidate.model.provider == "a"
