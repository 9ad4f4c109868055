"""What is known of each candidate's health: a breaker, recent failures, observed speed.

The breaker opens after 3 failures in 30 s. While it is open one probe is let through every 5 s; the first
good finish closes it. An open candidate is not dropped, it comes last: when all are ill, one must do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from plugmux.routing import Key, Standing
from plugmux.value import Value

__all__ = ["CandidateHealth", "Health"]

OPENS_AFTER = 3
WINDOW = 30.0
PROBE_EVERY = 5.0
DEMOTED = 60.0
SMOOTHING = 0.3
MAX_RECORDS = 1000
UNTRIED = Standing()


class _Record:
    def __init__(
        self,
        *,
        failures: Iterable[float] = (),
        open: bool = False,
        probe_at: float = 0.0,
        latency: float | None = None,
        served: int = 0,
        failed: int = 0,
        last_error: str | None = None,
    ) -> None:
        self.failures = deque(failures)
        self.open = open
        self.probe_at = probe_at
        self.latency = latency
        self.served = served
        self.failed = failed
        self.last_error = last_error


@frozen(kw_only=True, eq=False, repr=False)
class CandidateHealth(Value):
    """One candidate's health, to be shown. `latency` is seconds to the first content."""

    provider: str
    upstream: str | None
    remote_id: str
    resting: bool
    latency: float | None
    served: int
    failed: int
    last_error: str | None


class Health:
    """The health of all candidates of one client. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[Key, _Record] = {}
        self.changed = False
        """Whether anything was seen since this was last set to False."""
        self._demoted: dict[str, float] = {}

    def standing(self, key: Key) -> Standing:
        """What routing needs to know. A candidate whose probe is due does not count as resting."""
        demoted = self._clock() < self._demoted.get(key[0], 0.0)
        record = self._records.get(key)
        if record is None:
            return Standing(resting=True) if demoted else UNTRIED
        resting = demoted or (record.open and self._clock() < record.probe_at)
        return Standing(resting=resting, failures=self._recent(record), latency=record.latency)

    def started(self, key: Key) -> None:
        """An attempt begins: at an open breaker it is the probe, and the next one has to wait."""
        record = self._records.get(key)
        if record is not None and record.open:
            record.probe_at = self._clock() + PROBE_EVERY

    def served(self, key: Key, *, latency: float | None) -> None:
        """A good finish: closes the breaker. `latency` is seconds to the first content."""
        record = self._record(key)
        record.served += 1
        record.open = False
        record.failures.clear()
        if latency is not None:
            old = record.latency
            record.latency = latency if old is None else old + SMOOTHING * (latency - old)

    def failed(self, key: Key, error: str, *, flaw: bool) -> None:
        """A failure. `flaw` says whether it is the candidate's own fault and counts for the breaker."""
        record = self._record(key)
        record.failed += 1
        record.last_error = error
        if not flaw:
            return
        record.failures.append(self._clock())
        if self._recent(record) >= OPENS_AFTER and not record.open:
            record.open = True
            record.probe_at = self._clock() + PROBE_EVERY

    def demote(self, provider: str) -> None:
        """Put all of a provider's candidates behind the others for a while."""
        self._demoted[provider] = self._clock() + DEMOTED

    def report(self) -> list[CandidateHealth]:
        """Every candidate that was tried."""
        return [
            CandidateHealth(
                provider=provider,
                upstream=upstream,
                remote_id=remote_id,
                resting=record.open,
                latency=record.latency,
                served=record.served,
                failed=record.failed,
                last_error=record.last_error,
            )
            for (provider, upstream, remote_id), record in self._records.items()
        ]

    def to_plain(self) -> list[dict[str, Any]]:
        """What another process may go on with: JSON values, times as seconds ago."""
        now = self._clock()
        return [
            {
                "key": list(key),
                "failures": [round(now - moment, 3) for moment in record.failures],
                "open": record.open,
                "probe_in": record.probe_at - now,
                "latency": record.latency,
                "served": record.served,
                "failed": record.failed,
                "last_error": record.last_error,
            }
            for key, record in self._records.items()
        ]

    def restore(self, plain: Iterable[Mapping[str, Any]], *, age: float = 0.0) -> None:
        """Take over what `to_plain` gave `age` seconds ago. Raises ValueError for anything else."""
        now = self._clock()
        try:
            for item in plain:
                provider, upstream, remote_id = item["key"]
                self._records[provider, upstream, remote_id] = _Record(
                    failures=[now - age - float(ago) for ago in item["failures"]],
                    open=bool(item["open"]),
                    probe_at=now - age + float(item["probe_in"]),
                    latency=None if item["latency"] is None else float(item["latency"]),
                    served=int(item["served"]),
                    failed=int(item["failed"]),
                    last_error=item["last_error"],
                )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no health report: {error!r}") from error

    def _record(self, key: Key) -> _Record:
        self.changed = True
        record = self._records.pop(key, None) or _Record()
        self._records[key] = record  # who was seen last stands last
        if len(self._records) > MAX_RECORDS:
            del self._records[next(iter(self._records))]
        return record

    def _recent(self, record: _Record) -> int:
        start = self._clock() - WINDOW
        while record.failures and record.failures[0] < start:
            record.failures.popleft()
        return len(record.failures)
