"""The sandbox server: loads the plugins' routes, runs in a thread, answers on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from plugmux.errors import ConfigurationError
from plugmux.sandbox.faults import FAULTS, Fault, Timings
from plugmux.sandbox.log import SeenRequest

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import uvicorn
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["Routes", "Sandbox"]

GROUP = "plugmux.sandbox"
START_SECONDS = 10.0
MAX_REQUESTS = 10_000


class Routes(Protocol):
    """What an entry point of the group `plugmux.sandbox` names."""

    def routes(self, box: Sandbox) -> list[BaseRoute]: ...

    def environment(self, url: str) -> dict[str, str]: ...


class Sandbox:
    """A local server that plays every installed provider's service.

    `port` 0 takes a free one. `plugins` are the route objects by name; None loads the installed ones.
    One that cannot be used is left out and named, with why, in `broken`. `requests` are those that came
    in, oldest first, without secrets. Used as a context manager; the server runs in a thread.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        timings: Timings | None = None,
        plugins: Mapping[str, Routes] | None = None,
        on_request: Callable[[SeenRequest], None] | None = None,
    ) -> None:
        self.timings = timings or Timings()
        self.broken: dict[str, str] = {}
        self.requests: list[SeenRequest] = []
        self._port = port
        self._on_request = on_request
        self._plugins = dict(plugins) if plugins is not None else self._load()
        self._environment: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plugins that brought their routes."""
        return tuple(self._plugins)

    def environment(self) -> dict[str, str]:
        """The variables that point every provider at this sandbox."""
        return dict(self._environment)

    def fault(self, model_id: str) -> Fault | None:
        """The fault to play for this request to a model, or None. Counts the request."""
        fault = Fault.of(model_id)
        if fault is None:
            return None
        self._asked[model_id] += 1
        return None if fault.once and self._asked[model_id] % 2 == 0 else fault

    def reply(
        self,
        model_id: str,
        chunks: AsyncIterable[bytes],
        *,
        media_type: str = "text/event-stream",
        error: Callable[[Fault], Any] = Fault.openai_body,
        is_last: Callable[[bytes], bool] = lambda chunk: b"[DONE]" in chunk,
    ) -> Response:
        """The answer `chunks` (one event each), or what the fault in the model's name makes of it.

        `error` gives the body of an error answer in the service's own shape: JSON values, text, bytes
        or a whole Response. `is_last` knows the protocol's last word.
        """
        from plugmux.sandbox.application import faulty

        fault = self.fault(model_id)
        return faulty(
            fault, chunks, media_type=media_type, timings=self.timings, error=error, is_last=is_last
        )

    def record(self, entry: SeenRequest) -> None:
        """Keep a request in `requests` (the newest 10,000)."""
        self.requests.append(entry)
        del self.requests[:-MAX_REQUESTS]
        if self._on_request is not None:
            self._on_request(entry)

    def describe(self) -> str:
        """What this server is, in words: the index page, and what the command prints."""
        lines = [f"plugmux sandbox on {self.url}: every answer is synthetic, no model is asked."]
        lines += [f"routes of {', '.join(self._plugins) or 'no plugin'}"]
        lines += [f"left out: {name}: {why}" for name, why in self.broken.items()]
        lines += ["", "Point plugmux at it:", *self.exports(), "", "Models that fail on purpose:"]
        lines += [f"  sandbox/fault-{fault.name:<17} {fault.summary}" for fault in FAULTS.values()]
        return "\n".join(lines) + "\n"

    def exports(self) -> list[str]:
        """The environment as lines for a shell."""
        return [f"export {name}='{value}'" for name, value in sorted(self._environment.items())]

    def __enter__(self) -> Self:
        listener = self._bind()
        try:
            self._start(listener)
        except BaseException:
            listener.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None

    def wait(self) -> None:
        """Return when the server's thread has ended."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(0.2)  # in slices, so that Ctrl-C is heard

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except (OSError, OverflowError) as error:
            listener.close()
            why = error.strerror if isinstance(error, OSError) else "a port is 0 to 65535"
            raise ConfigurationError(f"the sandbox cannot use port {self._port}: {why}") from error
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return listener

    def _start(self, listener: socket.socket) -> None:
        try:
            from plugmux.sandbox.running import server_of
        except ImportError as error:
            raise ConfigurationError(
                f"the sandbox needs {error.name}: pip install 'plugmux[sandbox]'"
            ) from error
        ready = threading.Event()
        self._server = server = server_of(self, self._routes(), ready.set)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), name="plugmux-sandbox", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise ConfigurationError(f"the sandbox did not start within {START_SECONDS:g} s")

    def _load(self) -> dict[str, Routes]:
        found: dict[str, Routes] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            try:
                found[entry.name] = entry.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's fault stays its own
                self.broken[entry.name] = f"{type(error).__name__}: {error}"
        return found

    def _routes(self) -> list[BaseRoute]:
        """All plugins' routes; fills `_environment`. A plugin that fails here is left out."""
        routes: list[BaseRoute] = []
        self._environment = {}
        for name, plugin in list(self._plugins.items()):
            try:
                added, variables = list(plugin.routes(self)), dict(plugin.environment(self.url))
                self._refuse_conflict(variables)
            except Exception as error:  # noqa: BLE001 - a plugin's fault stays its own
                self.broken[name] = f"{type(error).__name__}: {error}"
                del self._plugins[name]
            else:
                routes += added
                self._environment |= variables
        return routes

    def _refuse_conflict(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            if self._environment.get(name, value) != value:
                raise ValueError(f"another plugin already sets {name} to something else")
