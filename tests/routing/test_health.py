import json

import pytest

from plugmux.health import Health

KEY = ("p", None, "m")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(clock)


def fail(health, times):
    for _ in range(times):
        health.failed(KEY, "no", flaw=True)


def test_nobody_rests_before_the_third_failure(health):
    fail(health, 2)
    assert not health.standing(KEY).resting


def test_the_breaker_opens_at_the_third_failure_in_30_seconds(health):
    fail(health, 3)
    assert health.standing(KEY).resting


def test_failures_far_apart_do_not_add_up(health, clock):
    fail(health, 2)
    clock.now = 31
    fail(health, 1)
    assert not health.standing(KEY).resting


def test_a_failure_that_is_not_the_candidates_fault_does_not_count(health):
    for _ in range(5):
        health.failed(KEY, "no credit", flaw=False)
    assert not health.standing(KEY).resting


def test_one_probe_is_let_through_every_5_seconds(health, clock):
    fail(health, 3)
    clock.now = 5
    assert not health.standing(KEY).resting
    health.started(KEY)
    assert health.standing(KEY).resting
    clock.now = 10
    assert not health.standing(KEY).resting


def test_the_first_good_finish_closes_the_breaker(health, clock):
    fail(health, 3)
    clock.now = 5
    health.started(KEY)
    health.served(KEY, latency=0.5)
    assert not health.standing(KEY).resting
    fail(health, 2)
    assert not health.standing(KEY).resting


def test_the_latency_is_smoothed(health):
    health.served(KEY, latency=1.0)
    health.served(KEY, latency=2.0)
    assert health.standing(KEY).latency == pytest.approx(1.3)


def test_the_report_tells_what_happened(health):
    health.served(KEY, latency=1.0)
    health.failed(KEY, "boom", flaw=True)
    (one,) = health.report()
    assert (one.provider, one.served, one.failed, one.last_error) == ("p", 1, 1, "boom")


def test_health_outlives_the_process(health, clock):
    fail(health, 3)
    health.served(("p", "x", "m"), latency=2.0)
    plain = json.loads(json.dumps(health.to_plain()))
    later = Health(clock)
    later.restore(plain, age=2.0)
    assert later.standing(KEY).resting
    assert later.standing(("p", "x", "m")).latency == 2.0
    clock.now += 3
    assert not later.standing(KEY).resting


def test_a_report_with_a_wrong_latency_is_damaged(health):
    health.served(KEY, latency=1.0)
    (record,) = health.to_plain()
    with pytest.raises(ValueError, match="no health report"):
        Health().restore([record | {"latency": []}])


@pytest.mark.parametrize("junk", [[{}], [5], [{"key": ["a"]}], 7])
def test_a_damaged_report_is_a_clear_error(health, junk):
    with pytest.raises(ValueError):  # noqa: PT011
        health.restore(junk)


def test_only_so_many_candidates_are_remembered_those_seen_last(health, monkeypatch):
    monkeypatch.setattr("plugmux.health.MAX_RECORDS", 2)
    health.served(("p", None, "old"), latency=1.0)
    health.served(("p", None, "middle"), latency=1.0)
    health.served(("p", None, "old"), latency=1.0)
    health.served(("p", None, "new"), latency=1.0)
    assert [one.remote_id for one in health.report()] == ["old", "new"]
