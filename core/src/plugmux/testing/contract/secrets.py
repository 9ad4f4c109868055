"""The contract of secrets: the token goes to the service, in a header, and nowhere else."""

from __future__ import annotations

import io
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from plugmux.testing import replies
from plugmux.testing.contract.bench import Bench, Stage, demand
from plugmux.testing.replies import Hang, Reply
from plugmux.testing.server import FaultServer

__all__ = ["SecretContract"]


class SecretContract(Bench):
    async def test_the_token_travels_in_a_header_only(self) -> None:
        async with self.stage() as stage:
            await stage.events()
        for request in stage.server.requests:
            where = f"{request.method} {request.path.partition('?')[0]}"
            demand(self.secret not in request.path, f"the token is in the address of {where}")
            demand(self.secret.encode() not in request.body, f"the token is in the body of {where}")

    async def test_the_token_goes_to_no_other_origin(self) -> None:
        async with self.stage() as stage:
            credential = await stage.credential()
        if credential is None:
            return
        for url in ("https://evil.example/", "http://127.0.0.1:9/", "https://localhost/"):
            demand(not credential.headers_for(url), f"the credential would be sent to {url}")

    async def test_a_redirect_never_takes_the_token_along(self) -> None:
        for status in (302, 307):
            with FaultServer(self.whole()).in_thread() as foreign:
                away = replies.redirect(f"{foreign.url}/elsewhere", status=status)
                async with self.stage(away) as stage:
                    await stage.outcome()
            for request in foreign.requests:
                sent = f"{request.path} {request.headers} {request.body!r}"
                demand(self.secret not in sent, f"a {status} took the token to a foreign server")

    async def test_the_token_shows_in_no_output(self) -> None:
        for name, reply in self._occasions().items():
            with _overheard() as heard:
                async with self.stage(reply, idle=0.3) as stage:
                    shown = await _everything_of(stage)
            for place, text in {**heard(), **shown}.items():
                demand(self.secret not in text, f"{name}: the token shows in {place}")

    def _occasions(self) -> dict[str, Reply]:
        quoting = {"error": {"message": f"the token {self.secret} has expired", "code": self.secret}}
        return {
            "a complete answer": self.whole(),
            "a cut answer": self.part(Hang()),
            "a refused token that the service quotes": self.error(401, quoting),
            "a server error that quotes the token": self.error(500, quoting),
            "a page that quotes the token": replies.answer(
                f"<html>{self.secret}</html>", content_type="text/html"
            ),
        }


async def _everything_of(stage: Stage) -> dict[str, str]:
    """All that an answer leaves behind, as text, by the place where it stands."""
    events, error = await stage.outcome()
    session = stage.session(await stage.credential(), token=stage.bench.secret)
    shown = {"an event": repr(events), "the session's repr": repr(session)}
    if error is not None:
        shown["the error"] = f"{error} {error!r} {vars(error)}"
        shown["the error's traceback"] = "".join(traceback.format_exception(error))
        shown["the pickled error"] = _pickled(error)
    return shown


def _pickled(error: BaseException) -> str:
    try:
        return pickle.dumps(error, protocol=0).decode("latin-1")
    except (pickle.PicklingError, TypeError, AttributeError):
        return ""  # what cannot be pickled gives nothing away


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.args} {record.exc_text or ''}")


@contextmanager
def _overheard() -> Iterator[Callable[[], dict[str, str]]]:
    """Everything logged at any level, and everything printed."""
    ear, out, err = _Ear(), io.StringIO(), io.StringIO()
    root = logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield lambda: {
                "the log": "\n".join(ear.lines),
                "stdout": out.getvalue(),
                "stderr": err.getvalue(),
            }
    finally:
        root.setLevel(level)
        root.removeHandler(ear)
