"""Those that stream, each a process in an environment of its own, taking turns on one server.

In a round everyone plays every turn, one after the other: what disturbs the machine disturbs a whole round,
so that a ratio is taken within each round, and its median counts. A short round before them warms up.
Who cannot play is left out, with a word.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO, Any

import server
from attrs import define, evolve, field, frozen

RUNNER = Path(__file__).parent / "contenders" / "runner.py"
TURN_SECONDS = 120.0


@frozen(kw_only=True)
class Contender:
    """`program` is a module in contenders/, `environment` the variable that names its interpreter."""

    name: str
    program: str
    environment: str
    variables: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Turn:
    """`requests` answers of `tokens` each, `pause` ms between the tokens, `at_once` at a time; `first` notes
    when each first text came, and what is steady from when `at_once` of them have."""

    tokens: int
    pause: int = 0
    requests: int = 1
    at_once: int = 1
    first: bool = False

    @property
    def all_tokens(self) -> int:
        return self.tokens * self.requests

    def as_dict(self) -> dict[str, Any]:
        """What the runner is told."""
        prompt = f"bench-{self.tokens}-{self.pause}"
        return {"prompt": prompt, "requests": self.requests, "at_once": self.at_once, "first": self.first}


@frozen(kw_only=True)
class Outcome:
    """Of one turn: seconds of CPU and on the wall, what came, and what the process still holds."""

    cpu: float
    seconds: float
    tokens: int
    words: int
    first: Sequence[float]
    steady_cpu: float
    steady_tokens: int
    files: int
    memory: int | None


@define(kw_only=True)
class Result:
    """All outcomes of one contender, by round and then by turn; or why there are none."""

    name: str
    version: str = ""
    rounds: list[list[Outcome]] = field(factory=list)
    left_out: str | None = None

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".rstrip()


def contest(contenders: Sequence[Contender], turns: Sequence[Turn], usual: int) -> list[Result]:
    """The results in the order of the contenders, of `usual` rounds or as many as `--rounds` said."""
    with server.running() as address, ExitStack() as stack:
        players = [stack.enter_context(_playing(contender, address)) for contender in contenders]
        for player in players:
            player.greet()
        _play_round(players, [_warming(turn) for turn in turns])
        for player in players:
            player.result.rounds.clear()
        for number in range(rounds(usual)):
            start = number % len(players)  # nobody is always the first
            _play_round(players[start:] + players[:start], turns)
    return [player.result for player in players]


def _warming(turn: Turn) -> Turn:
    """As many answers at once, but short ones."""
    return evolve(turn, tokens=max(1, min(turn.tokens, 1000) // turn.at_once), pause=0)


def _play_round(players: Sequence[_Player], turns: Sequence[Turn]) -> None:
    for player in players:
        player.play(turns)


def rounds(usual: int) -> int:
    """How many rounds: what `--rounds` said, else `usual`."""
    return int(os.environ.get("PLUGMUX_BENCH_ROUNDS") or usual)


def interpreter(variable: str) -> str | None:
    """The interpreter that an environment variable names. For plugmux alone, this one will do."""
    found = os.environ.get(variable)
    if not found and variable == "PLUGMUX_BENCH_LEAN":
        return sys.executable
    return found if found and Path(found).exists() else None


def clean_environment(**added: str) -> dict[str, str]:
    """Without the user's settings and tokens. LiteLLM would ask the network for prices while it is
    imported."""
    dropped = ("HF_", "PLUGMUX_", "OPENAI_", "LITELLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"} | added


@contextmanager
def _playing(contender: Contender, address: str) -> Iterator[_Player]:
    """The contender's process, which is yet to say that it is ready; or the reason why there is none."""
    python = interpreter(contender.environment)
    result = Result(name=contender.name)
    if python is None:
        result.left_out = f"{contender.environment} names no interpreter"
        yield _Player(None, result)
        return
    command = [python, str(RUNNER), contender.program, address]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as complaints:
        env = clean_environment(PLUGMUX_HOME=home, PLUGMUX_INSTANCES=f"local=hf-inference@{address}")
        with subprocess.Popen(
            command,
            env={**env, **contender.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process:
            player = _Player(process, result, complaints)
            yield player
            player.leave()


class _Player:
    """The parent's end of one contender's process."""

    def __init__(
        self, process: subprocess.Popen[str] | None, result: Result, complaints: IO[str] | None = None
    ) -> None:
        self.result = result
        self._process: Any = process
        self._complaints: Any = complaints

    def greet(self) -> None:
        """Wait until it is ready, or says what is missing."""
        if self.result.left_out is not None:
            return
        said = self._read()
        self.result.version = said.get("ready", "")
        if "missing" in said:
            self.result.left_out = said["missing"]

    def play(self, turns: Sequence[Turn]) -> None:
        """Play all turns, unless this one is out."""
        outcomes = [self._play(turn) for turn in turns if self.result.left_out is None]
        if self.result.left_out is None:
            self.result.rounds.append([outcome for outcome in outcomes if outcome is not None])

    def _play(self, turn: Turn) -> Outcome | None:
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(turn.as_dict()) + "\n")
            self._process.stdin.flush()
        said = self._read()
        if not said:
            return None
        outcome = Outcome(**said)
        if not outcome.tokens == outcome.words == turn.all_tokens:
            self.result.left_out = f"{outcome.tokens} texts came of {turn.all_tokens} tokens"
        return outcome

    def _read(self) -> dict[str, Any]:
        """What it says; nothing when its process has ended."""
        late = Timer(TURN_SECONDS, self._process.kill)
        late.start()
        line = self._process.stdout.readline()
        late.cancel()
        if line:
            return json.loads(line)  # type: ignore[no-any-return]
        self._complaints.seek(0)
        last = (self._complaints.read().strip().splitlines() or ["without a word"])[-1]
        self.result.left_out = f"its process ended: {last}"
        return {}

    def leave(self) -> None:
        """End the process by closing its input; one that does not end so is killed."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
