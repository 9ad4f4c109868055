"""Plays the sixteen faults on the real clock, side by side, and prints how each went."""

from __future__ import annotations

import sys

import anyio

from plugmux.testing.scenarios import SCENARIOS, Verdict, play


async def main(backend: str) -> list[Verdict]:
    verdicts: dict[str, Verdict] = {}

    async def one(scenario):
        verdicts[scenario.name] = await play(scenario)

    async with anyio.create_task_group() as group:
        for scenario in SCENARIOS:
            group.start_soon(one, scenario)
    print(f"\n{backend}")
    for scenario in SCENARIOS:
        verdict = verdicts[scenario.name]
        outcome = verdict.outcome
        counts = f"{len(outcome.primary):3} + {len(outcome.fallback):2} tries {max(outcome.seconds):6.2f} s"
        print(f"  {'pass' if verdict.passed else 'FAIL'}  {verdict.name:26} {counts}  {verdict.limit}")
    print(f"  {sum(v.passed for v in verdicts.values())} of {len(SCENARIOS)} passed")
    return list(verdicts.values())


if __name__ == "__main__":
    found = [
        verdict for backend in ("asyncio", "trio") for verdict in anyio.run(main, backend, backend=backend)
    ]
    sys.exit(not all(verdict.passed for verdict in found))
