"""What importing costs, and how long it takes to the first request: fresh interpreters, medians.

Time counts from the first line on, so the interpreter's own start is not in it. `before the request` ends
when everything is settled and what sends it is about to be imported; a request counts when its bytes arrive
at the server, which the model map on disk knows already. `lean` is an environment with core and hf-inference
alone, the command line's has click and rich beside them. `all` is this one: with all plugins, and with trio,
which httpx imports where it is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from arrivals import Arrivals
from attrs import define, field, frozen
from contest import interpreter, rounds
from rows import Row
from standings import ratios

TITLE = "importing: ratio of the peers' imports to Client's, of their first requests to the lean one"
ROUNDS = 15
PEER_ROUNDS = 3
SECONDS = 60
PROBE = """
import sys, time
settled = []
class Onlooker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "plugmux.transports":
            settled.append(time.monotonic())
sys.meta_path.insert(0, Onlooker)
before = set(sys.modules)
start, started = time.monotonic(), time.process_time()
{code}
seconds, cpu = time.monotonic() - start, time.process_time() - started
import json
modules = sorted(set(sys.modules) - before)
print(json.dumps([start, seconds, cpu, modules, settled[:1]]))
"""


@define(kw_only=True)
class Start:
    """Code for fresh interpreters of the environment that a variable names, and what they took, in ms.

    `asks`: the time to the arrival of its request counts, not that of all the code; `settled` is the part of
    it before the request. `cpu` is of all the code.
    """

    what: str
    code: str
    environment: str = "PLUGMUX_BENCH_LEAN"
    budget: float | None = None
    rounds: int = ROUNDS
    asks: bool = False
    taken: list[float] = field(factory=list)
    settled: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)
    modules: list[str] = field(factory=list)
    failed: str = ""

    def run(self, arrivals: Arrivals) -> None:
        """Start once more, unless it failed before."""
        python = sys.executable if self.environment == "all" else interpreter(self.environment)
        if python is None:
            self.failed = f"{self.environment} names no interpreter"
        if self.failed or python is None:
            return
        command = [python, "-c", PROBE.format(code=self.code)]
        try:
            done = _done(command, arrivals)
        except subprocess.SubprocessError as error:
            self.failed = _reason(error)
            return
        begun, seconds, cpu, self.modules, settled = json.loads(done.splitlines()[-1])
        self.cpu.append(cpu * 1000)
        self.settled += [(moment - begun) * 1000 for moment in settled]
        self.taken.append((arrivals.last - begun if self.asks else seconds) * 1000)

    def row(self, beside: Start | None = None) -> Row:
        """The median, and the ratio to another in the same rounds."""
        if self.failed:
            return Row(what=self.what, note=f"left out: {self.failed}")
        ratio = median(ratios(self.taken, beside.taken)) if beside and beside.taken else None
        facts = {"rounds": self.taken, "cpu": self.cpu, **_module_facts(self.modules)}
        value = median(self.taken)
        return Row(what=self.what, value=value, unit="ms", budget=self.budget, ratio=ratio, facts=facts)

    def row_before(self) -> Row:
        """The median of what came before the request."""
        what = f"{self.what}, before it"
        if self.failed:
            return Row(what=what, note=f"left out: {self.failed}")
        facts = {"rounds": self.settled}
        return Row(what=what, value=median(self.settled), unit="ms", budget=120, facts=facts)


@frozen(kw_only=True)
class Peer:
    """How a peer is imported, and how one streamed answer is read to its end with it."""

    name: str
    environment: str
    imported: str
    client: str
    asked: str


ADDRESS = "import os; address = os.environ['BENCH_ADDRESS']"
ASK = "model='bench', messages=[{'role': 'user', 'content': 'Hi'}], stream=True"
PEERS = (
    Peer(
        name="openai",
        environment="PLUGMUX_BENCH_OPENAI",
        imported="from openai import OpenAI",
        client="OpenAI(base_url=address, api_key='bench')",
        asked=f"client.chat.completions.create({ASK})",
    ),
    Peer(
        name="huggingface_hub",
        environment="PLUGMUX_BENCH_HUB",
        imported="from huggingface_hub import InferenceClient",
        client="InferenceClient(base_url=address, api_key='bench')",
        asked=f"client.chat_completion({ASK})",
    ),
    Peer(
        name="any-llm",
        environment="PLUGMUX_BENCH_ANY_LLM",
        imported="from any_llm import AnyLLM",
        client="AnyLLM.create('openai', api_key='bench', api_base=address)",
        asked=f"client.completion({ASK})",
    ),
    Peer(
        name="LiteLLM",
        environment="PLUGMUX_BENCH_LITELLM",
        imported="import litellm",
        client="litellm",
        asked=f"client.completion(api_base=address, api_key='bench', custom_llm_provider='openai', {ASK})",
    ),
)


def measure() -> Iterator[Row]:
    ours, peers = _import_starts(), [_peer_import(peer) for peer in PEERS]
    asking, peers_asking = _asking_starts(), [_peer_asking(peer) for peer in PEERS]
    with Arrivals() as arrivals:
        _run_in_turn([*ours, *peers, *asking, *peers_asking], arrivals)
        yield from (start.row() for start in ours)
        yield from (start.row(beside=ours[1]) for start in peers)
        yield from (start.row_before() for start in asking)
        yield from (start.row() for start in asking)
        yield from (start.row(beside=asking[0]) for start in peers_asking)
        command_line = "cold command line to the request"
        yield _command_line_row(command_line, interpreter("PLUGMUX_BENCH_CLI"), arrivals, budget=300)
        yield _command_line_row(f"{command_line}, with all", sys.executable, arrivals)


def _import_starts() -> list[Start]:
    touched = "import plugmux; plugmux.Client; plugmux.Text"
    dependencies = "import anyio, attrs, httpx, importlib_metadata, pluggy"
    return [
        Start(what="import plugmux", code="import plugmux", budget=30),
        Start(what="… with Client and Text touched", code=touched, budget=60),
        Start(what="plugmux's dependencies, all imported", code=dependencies),
    ]


def _asking_starts() -> list[Start]:
    environments = {"lean": "PLUGMUX_BENCH_LEAN", "with [fast]": "PLUGMUX_BENCH_FAST", "with all": "all"}
    code = "import plugmux; plugmux.complete('local::bench', 'Hi')"
    return [
        Start(
            what=f"to the first request, {name}",
            code=code,
            environment=environment,
            asks=True,
        )
        for name, environment in environments.items()
    ]


def _peer_import(peer: Peer) -> Start:
    return Start(what=peer.imported, code=peer.imported, environment=peer.environment, rounds=PEER_ROUNDS)


def _peer_asking(peer: Peer) -> Start:
    return Start(
        what=f"to the first request of {peer.name}",
        code=f"{ADDRESS}\n{peer.imported}\nclient = {peer.client}\nlist({peer.asked})",
        environment=peer.environment,
        rounds=PEER_ROUNDS,
        asks=True,
    )


def _run_in_turn(starts: list[Start], arrivals: Arrivals) -> None:
    """Round by round. A first start of ours counts for nothing: modules may be compiled then."""
    for start in (start for start in starts if start.rounds == ROUNDS):
        start.run(arrivals)
        start.taken.clear()
        start.settled.clear()
        start.cpu.clear()
    for number in range(rounds(ROUNDS)):
        for start in starts:
            if number < start.rounds:
                start.run(arrivals)


def _command_line_row(
    what: str, python: str | None, arrivals: Arrivals, *, budget: float | None = None
) -> Row:
    taken: list[float] = []
    try:
        if python is None:
            raise OSError("PLUGMUX_BENCH_CLI names no interpreter")
        command = [str(Path(python).parent / "plugmux"), "complete", "local::bench", "Hi"]
        _done(command, arrivals)
        for _ in range(rounds(ROUNDS)):
            start = time.monotonic()
            _done(command, arrivals)
            taken.append((arrivals.last - start) * 1000)
    except (OSError, subprocess.SubprocessError) as error:
        return Row(what=what, note=f"left out: {_reason(error)}")
    return Row(what=what, value=median(taken), unit="ms", budget=budget, facts={"rounds": taken})


def _done(command: list[str], arrivals: Arrivals) -> str:
    """What it printed. Raises SubprocessError where it failed or hung."""
    done = subprocess.run(
        command,
        env=arrivals.environment(),
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    return done.stdout


def _reason(error: Exception) -> str:
    complaints = str(getattr(error, "stderr", "") or error).strip()
    return complaints.splitlines()[-1]


def _module_facts(modules: list[str]) -> dict[str, Any]:
    tops = {name.partition(".")[0] for name in modules}
    return {
        "modules": len(modules),
        "packages": sorted(top for top in tops if top not in sys.stdlib_module_names),
        "ours": [name for name in modules if name.startswith("plugmux")],
    }
