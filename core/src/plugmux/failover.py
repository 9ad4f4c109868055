"""What happens after a failure: the rules, as a state machine without any I/O.

`Failover` holds the candidates of one request. `next_turn` says whom to try and how long to wait before;
`failed` takes in what went wrong. It asks the error what may be done and never tests its class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from plugmux.errors import ProviderError, Scope
from plugmux.requests import Policy
from plugmux.routing import Candidate, Key

__all__ = ["Failover", "Turn"]

SWITCH_OVER = 5.0
"""With another candidate ready, a service's wished wait above this many seconds is not sat out."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 4.0


class Turn(NamedTuple):
    """Whom to try next, and how many seconds to wait before."""

    candidate: Candidate
    wait: float
    fallback: bool
    """Whether somebody else stands ready should this fail."""


class _Chance:
    """One candidate's part in this request.

    `out`     why it is out of the race, or None
    `sticky`  to be tried again before anybody else
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.tries = 0
        self.waits = 0
        self.not_before = 0.0
        self.renewed = False
        self.out: str | None = None
        self.sticky = False


class Failover:
    """The race of one request. `now` arguments are seconds on one clock; `jitter` gives 0 to 1."""

    def __init__(
        self,
        *,
        candidates: Sequence[Candidate],
        policy: Policy,
        jitter: Callable[[], float],
        total_until: float = float("inf"),
    ) -> None:
        self.policy = policy
        self.jitter = jitter
        self.total_until = total_until
        self.tries = 0
        self._chances = [_Chance(candidate) for candidate in candidates]

    def next_turn(self, now: float) -> Turn | None:
        """The next attempt, or None when nobody is left within the limits."""
        open_ = [chance for chance in self._chances if chance.out is None and self._affordable(chance)]
        if not open_:
            return None
        ready = [chance for chance in open_ if chance.sticky] or [c for c in open_ if c.not_before <= now]
        chosen = ready[0] if ready else min(open_, key=lambda chance: chance.not_before)
        wait = max(0.0, chosen.not_before - now)
        if now + wait > self.total_until:
            return None
        chosen.sticky = False
        chosen.tries += 1
        self.tries += 1
        others = any(chance is not chosen for chance in open_) and self.tries < self.policy.max_tries
        return Turn(chosen.candidate, wait, others)

    def failed(self, candidate: Candidate, error: ProviderError, now: float, *, spoke: bool = False) -> None:
        """Take a failure in. `spoke`: the attempt had given content before it broke."""
        chance = self._chance(candidate.key)
        self._rule_out(candidate, error)
        if chance.out is not None:
            return
        if error.renewable and not chance.renewed:
            chance.renewed = True
            chance.sticky = True
        elif not error.retryable or spoke:
            chance.out = "it failed in a way that a repeat does not mend"
        elif chance.tries >= self.policy.max_tries_per_candidate:
            chance.out = f"tried {chance.tries} times"
        elif error.retry_after is not None:
            self._wait_as_asked(chance, error.retry_after, now)
        else:
            self._pause(chance, now)

    def rest(self, candidate: Candidate) -> None:
        """Spare a candidate whose breaker is open, if there is anybody else."""
        chance = self._chance(candidate.key)
        if any(other is not chance and other.out is None for other in self._chances):
            chance.out = chance.out or "it is resting after too many failures"

    def again(self, candidate: Candidate) -> None:
        """Let a candidate that refused a prefill have the plain request."""
        chance = self._chance(candidate.key)
        if chance.tries < self.policy.max_tries_per_candidate:
            chance.out, chance.sticky = None, True

    def prefer(self, keys: Collection[Key]) -> None:
        """Let these candidates come first from now on."""
        self._chances.sort(key=lambda chance: chance.candidate.key not in keys)

    def _wait_as_asked(self, chance: _Chance, seconds: float, now: float) -> None:
        chance.not_before = now + seconds
        if chance.waits or seconds > self.policy.max_wait or chance.not_before > self.total_until:
            chance.out = f"it asks to wait {seconds:g} s"
            return
        chance.waits += 1
        others = any(c is not chance and c.out is None and self._affordable(c) for c in self._chances)
        chance.sticky = seconds <= SWITCH_OVER or not others

    def _pause(self, chance: _Chance, now: float) -> None:
        """One jittered retry here before the next candidate; later ones only when nobody else is left."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 4 ** (chance.tries - 1))
        chance.not_before = now + pause * (0.5 + self.jitter())
        chance.sticky = chance.tries == 1

    def _rule_out(self, candidate: Candidate, error: ProviderError) -> None:
        """Apply the error's scope to everybody it concerns."""
        renewable = error.renewable and not self._chance(candidate.key).renewed
        if renewable:
            return
        for chance in self._chances:
            if chance.out is None and _concerns(error.scope, candidate, chance.candidate):
                chance.out = f"{error.scope.value} of {candidate}: {error.message}"
            small = chance.candidate.model.context_length
            if error.needs_context and small and small < error.needs_context:
                chance.out = f"its context of {small:,} tokens is too small"

    def _affordable(self, chance: _Chance) -> bool:
        """Whether the request's tries reach: one is kept for each model that was not tried yet."""
        left = self.policy.max_tries - self.tries
        waiting = {c.candidate.wish for c in self._chances if c.out is None}
        tried = {c.candidate.wish for c in self._chances if c.tries}
        kept = len(waiting - tried - {chance.candidate.wish})
        return left > kept

    def _chance(self, key: Key) -> _Chance:
        return next(chance for chance in self._chances if chance.candidate.key == key)


def _concerns(scope: Scope, failed: Candidate, other: Candidate) -> bool:
    one, two = failed.model, other.model
    match scope:
        case Scope.REQUEST:
            return True
        case Scope.CREDENTIAL:
            return one.provider == two.provider
        case Scope.ACCOUNT:
            return one.account == two.account if one.account else one.provider == two.provider
        case Scope.UPSTREAM:
            return (one.upstream, one.account) == (two.upstream, two.account) and one.upstream is not None
    return False
