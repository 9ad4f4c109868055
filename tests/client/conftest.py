"""Providers that play a script, handed to a client as entry points of made-up distributions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmux import AsyncClient, Finish, Model, Text, hookimpl
from plugmux.runtime import Clocks
from plugmux.settings import Settings


class Scripted:
    """A provider. `script` holds one item an attempt: a list of events, in which an exception is raised."""

    def __init__(self, *script, models=("org/model",), **facts):
        facts.setdefault("auth", "none")
        self.script = list(script)
        self.models = [Model(id=name, **facts) for name in models]
        self.requests = []
        self.sessions = []
        self.closed = 0
        self.listed = 0
        self.known = {}
        self.credentials = []
        self.challenges = []

    @hookimpl
    async def get_models(self, session, wanted):
        self.listed += 1
        return self.models if wanted is None else self.known.get(wanted, [])

    @hookimpl
    async def authenticate(self, session, challenge):
        self.challenges.append(challenge)
        return self.credentials.pop(0) if self.credentials else None

    @hookimpl
    async def create_stream(self, request, session):
        self.requests.append(request)
        self.sessions.append(session)
        events = self.script.pop(0) if self.script else [Text(text="hello"), Finish()]
        try:
            for event in events:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self.closed += 1


class EntryPoint:
    def __init__(self, name, target, group="plugmux", requires=("plugmux>=0.1",), distribution=None):
        self.name, self.group, self.value = name, group, f"{name}:plugin"
        self.dist = SimpleNamespace(name=distribution or f"plugmux-{name}", version="1.0", requires=requires)
        self._target = target

    def load(self):
        if isinstance(self._target, BaseException):
            raise self._target
        return self._target() if callable(self._target) else self._target


class EntryPoints(list):
    def select(self, group):
        return [entry_point for entry_point in self if entry_point.group == group]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def scripted():
    return Scripted


@pytest.fixture
def entry_point():
    return EntryPoint


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    def make(**environ):
        return Settings.load({"PLUGMUX_HOME": str(tmp_path / "home")} | environ)

    return make


@pytest.fixture
def client(settings, clock):
    """Make a client of providers by name, or of entry points."""

    def make(*entry_points, environ=None, **providers):
        found = EntryPoints(entry_points)
        found += [EntryPoint(name.replace("_", "-"), target) for name, target in providers.items()]
        clocks = Clocks(monotonic=clock, wall=clock, sleep=clock.sleep, jitter=lambda: 0.5)
        return AsyncClient(entry_points=found, settings=settings(**(environ or {})), clocks=clocks)

    return make
