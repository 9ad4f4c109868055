"""The blocking client: the same answers, from any thread."""

import os
import subprocess
import sys
import threading

import anyio
import pytest

import plugmux
from plugmux import (
    ConfigurationError,
    Finish,
    InvalidRequestError,
    NoRouteError,
    PlugmuxError,
    Text,
    hookimpl,
)
from plugmux.background import BackgroundLoop


@pytest.fixture
def blocking(client):
    made = []

    def make(**providers):
        one = plugmux.Client()
        one._client = client(**providers)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_a_completion_comes_back(blocking, scripted):
    assert blocking(a=scripted()).complete("org/model", "hi").text == "hello"


def test_a_stream_gives_the_same_events(blocking, scripted):
    with blocking(a=scripted()).stream("org/model", "hi") as stream:
        kinds = [type(event).__name__ for event in stream]
    assert kinds == ["Attempt", "Text", "Finish"]
    assert stream.completion.text == "hello"


def test_a_long_stream_arrives_whole_and_in_order(blocking, scripted):
    events = [Text(text=f"{number} ") for number in range(5000)]
    with blocking(a=scripted([*events, Finish()])).stream("org/model", "hi") as stream:
        texts = [event for event in stream if isinstance(event, Text)]
    assert texts == events


def test_a_slow_reader_holds_the_stream_up(blocking, scripted):
    made = []

    class Counting(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            for number in range(10_000):
                made.append(number)
                yield Text(text="x")
            yield Finish()

    with blocking(a=Counting()).stream("org/model", "hi") as stream:
        next(iter(stream))
        assert len(made) < 2000


def test_leaving_a_stream_closes_it(blocking, scripted):
    a = scripted([Text(text="x")] * 2000)
    with blocking(a=a).stream("org/model", "hi") as stream:
        for _ in stream:
            break
    assert a.closed == 1


def test_a_client_that_could_not_begin_can_be_closed(monkeypatch, tmp_path):
    monkeypatch.setenv("PLUGMUX_CONFIG", str(tmp_path / "typo.toml"))
    one = plugmux.Client()
    with pytest.raises(ConfigurationError, match=r"typo\.toml"):
        one.models()
    one.close()


def test_a_call_that_is_under_way_is_told_that_the_client_was_closed(blocking, endless):
    failures = []

    def call():
        try:
            one.complete("org/model", "hi")
        except PlugmuxError as error:
            failures.append(str(error))

    one = blocking(a=endless)
    thread = threading.Thread(target=call)
    thread.start()
    assert endless.begun.wait(5)
    one.close()
    thread.join(10)
    assert failures == ["the client was closed while the request was under way"]


def test_a_loop_that_is_being_given_work_is_not_stopped_before_it_has_it():
    class Portal:
        """Somebody else stops the loop just when work is handed over."""

        def __init__(self, portal):
            self.portal = portal

        def __getattr__(self, name):
            return getattr(self.portal, name)

        def start_task_soon(self, work):
            stopping.start()
            stopping.join(0.1)
            return self.portal.start_task_soon(work)

    async def work():
        return "served"

    loop = BackgroundLoop()
    assert loop.call(work) == "served"
    stopping = threading.Thread(target=loop.stop)
    loop._portal = Portal(loop._portal)
    task = loop.start(work)
    stopping.join(10)
    assert task.future.done()


@pytest.fixture
def endless(scripted):
    """A provider that says one word and then nothing, until its stream is closed."""

    class Endless(scripted):
        def __init__(self):
            super().__init__()
            self.begun = threading.Event()
            self.left = threading.Event()

        @hookimpl
        async def create_stream(self, request, session):
            self.requests.append(request)
            try:
                yield Text(text="x")
                self.begun.set()
                await anyio.sleep_forever()
            finally:
                self.left.set()

    return Endless()


def first_text(stream):
    return next(event for event in stream if isinstance(event, Text))


def test_a_stream_that_is_dropped_without_a_word_is_closed(blocking, endless):
    first_text(blocking(a=endless).stream("org/model", "hi"))
    assert endless.left.wait(5)


def test_leaving_the_text_alone_closes_the_stream(blocking, endless):
    stream = blocking(a=endless).stream("org/model", "hi")
    for _ in stream.text():
        break
    assert endless.left.wait(5)
    assert list(stream) == []


def test_an_interrupt_in_the_body_of_a_loop_closes_the_stream(blocking, endless):
    def cell():
        for event in one.stream("org/model", "hi"):
            if isinstance(event, Text):
                raise KeyboardInterrupt

    one = blocking(a=endless)
    with pytest.raises(KeyboardInterrupt):
        cell()
    assert endless.left.wait(5)


def test_a_stream_may_be_dropped_on_the_loops_own_thread(blocking, endless):
    one = blocking(a=endless)
    held = [iter(one.stream("org/model", "hi"))]
    first_text(held[0])
    one._loop.soon(held.clear)
    assert endless.left.wait(5)


def test_closing_from_another_thread_ends_the_reading(blocking, endless):
    stream = blocking(a=endless).stream("org/model", "hi")
    begun, read = threading.Event(), []

    def reader():
        for event in stream:
            read.append(type(event).__name__)
            if isinstance(event, Text):
                begun.set()
        read.append("the end")

    thread = threading.Thread(target=reader)
    thread.start()
    assert begun.wait(5)
    stream.close()
    assert endless.left.is_set()
    thread.join(5)
    assert read == ["Attempt", "Text", "the end"]


def test_a_stream_closed_before_it_began_asks_nobody(blocking, scripted):
    a = scripted()
    stream = blocking(a=a).stream("org/model", "hi")
    stream.close()
    assert list(stream) == []
    assert a.requests == []


def test_a_loop_that_ends_under_a_reader_is_a_typed_error(blocking, endless):
    one = blocking(a=endless)
    reading = iter(one.stream("org/model", "hi"))
    first_text(reading)
    one._loop.stop()
    with pytest.raises(PlugmuxError, match="closed before the answer had ended"):
        list(reading)


def test_errors_come_as_they_are(blocking, scripted):
    with pytest.raises(NoRouteError):
        blocking(a=scripted()).complete("org/nobody", "hi")
    stream = blocking(a=scripted([InvalidRequestError("no")])).stream("org/model", "hi")
    with stream, pytest.raises(plugmux.AllProvidersFailedError, match="no"):
        list(stream)


def test_text_alone_can_be_read(blocking, scripted):
    assert "".join(blocking(a=scripted()).stream("org/model", "hi").text()) == "hello"


def test_many_threads_share_one_client(blocking, scripted):
    one = blocking(a=scripted())
    answers = []

    def ask():
        answers.append(one.complete("org/model", "hi").text)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hello"] * 8


def test_it_works_while_another_event_loop_runs_here(blocking, scripted):
    import asyncio

    one = blocking(a=scripted())

    async def notebook_cell():
        return one.complete("org/model", "hi").text

    assert asyncio.run(notebook_cell()) == "hello"


def test_a_call_from_its_own_loop_is_a_typed_error(blocking, scripted):
    class Inward(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            one.complete("org/model", "hi")
            yield Finish()

    one = blocking(a=Inward())
    with pytest.raises(PlugmuxError, match="own event loop"):
        one.complete("org/model", "hi")


def test_a_closed_client_may_be_used_again(blocking, scripted):
    one = blocking(a=scripted())
    one.complete("org/model", "hi")
    one.close()
    assert one.complete("org/model", "hi").text == "hello"


def test_the_module_functions_end_with_the_program(tmp_path):
    code = (
        "import plugmux\n"
        "try: plugmux.complete('org/nobody', 'hi')\n"
        "except plugmux.NoRouteError as error: print('no route')\n"
    )
    done = _program(code, tmp_path, "-W", "error")
    assert done.stdout == "no route\n"
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("asked", ["plugmux", "client"])
def test_a_forked_child_has_connections_of_its_own(tmp_path, asked):
    code = (
        "import os, plugmux\n"
        "client = plugmux.Client()\n"
        "def ask():\n"
        f"    try: {asked}.complete('org/nobody', 'hi')\n"
        "    except plugmux.NoRouteError: return 0\n"
        "    return 1\n"
        "ask()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    status = ask()\n"
        "    client.close()\n"
        "    os._exit(status)\n"
        "print(os.waitpid(child, 0)[1], ask())\n"
    )
    assert _program(code, tmp_path).stdout == "0 0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_neither_reads_the_parents_stream_nor_waits_for_it(tmp_path):
    code = (
        "import os, time, plugmux\n"
        "from plugmux.testing import Hang, ScriptedProvider, installed\n"
        "entry_points = installed(a=ScriptedProvider([plugmux.Text(text='a'), Hang()]))\n"
        "client = plugmux.Client(entry_points=entry_points)\n"
        "stream = client.stream('org/model', 'hi')\n"
        "events = iter(stream)\n"
        "next(events), next(events)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    began = time.monotonic()\n"
        "    try: next(events)\n"
        "    except plugmux.PlugmuxError as error: print(error)\n"
        "    stream.close()\n"
        "    print(time.monotonic() - began < 5, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "stream.close()\n"
        "print(client.complete('org/model', 'hi').text)\n"
    )
    said = "a stream stays with the process that began it"
    assert _program(code, tmp_path).stdout.splitlines() == [said, "True", "hello"]


def _program(code, home, *flags):
    environ = {**os.environ, "PLUGMUX_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
