"""The sixteen faults on a hurried clock; `nox -s failover` plays them on the real one."""

import pytest

from plugmux.testing.scenarios import SCENARIOS, play

pytest.importorskip("plugmux_hf_inference")

REAL_TIME = {"no [DONE]"}
"""Scenarios in which an event source waits on the event loop's own clock."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_the_caller_gets_the_whole_answer(scenario):
    scale = 1.0 if scenario.name in REAL_TIME else 0.05
    verdict = await play(scenario, scale=scale)
    assert verdict.passed, verdict.outcome
