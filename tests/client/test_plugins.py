"""Finding, loading and setting aside."""

import threading
import time
import traceback
from types import SimpleNamespace

import pytest

from plugmux import Finish, Model, PluginError, PlugmuxError, Text, hookimpl, stream_wrapper
from plugmux.cache import Cache
from plugmux.entrypoints import find
from plugmux.plugins import Registry
from plugmux.versions import required_range, satisfies


@pytest.fixture
def registry(settings, tmp_path):
    def make(*entry_points, own="0.1.0", environ=None, seconds=5.0):
        found = type("Found", (list,), {"select": lambda self, group: [e for e in self if e.group == group]})
        plugins, extensions = find(own, entry_points=found(entry_points))
        return Registry(
            settings=settings(**(environ or {})),
            found=plugins,
            extensions=extensions,
            load_seconds=seconds,
            cache=Cache(tmp_path / "verdicts"),
        )

    return make


def raising(error):
    def load():
        raise error

    return load


async def reason_of(registry, name="bad"):
    with pytest.raises(PluginError) as caught:
        await registry.load(name)
    assert caught.value.plugin == name
    assert caught.value.remedy
    return caught.value.reason


async def test_a_plugin_is_imported_once(registry, entry_point, scripted):
    loads = []

    def load():
        loads.append(1)
        return scripted()

    plugins = registry(entry_point("good", load))
    assert await plugins.load("good") is await plugins.load("good")
    assert loads == [1]


def test_finding_imports_nothing(registry, entry_point):
    assert list(registry(entry_point("bad", raising(ImportError("no")))).instances()) == ["bad"]


@pytest.mark.parametrize(
    "error", [ImportError("no"), SyntaxError("no"), SystemExit(3), KeyboardInterrupt(), RuntimeError("no")]
)
async def test_whatever_an_import_raises_sets_one_plugin_aside(registry, entry_point, scripted, error):
    plugins = registry(entry_point("bad", raising(error)), entry_point("good", scripted()))
    assert type(error).__name__ in await reason_of(plugins)
    assert (await plugins.load("good")).found.name == "good"


async def test_an_endless_import_costs_its_time_limit(registry, entry_point):
    released = threading.Event()
    plugins = registry(entry_point("bad", released.wait), seconds=0.05)
    started = time.monotonic()
    assert "did not end" in await reason_of(plugins)
    assert time.monotonic() - started < 2
    released.set()


async def test_a_misspelt_hook_is_an_error(registry, entry_point):
    class Misspelt:
        @hookimpl
        def create_streams(self, request): ...

    assert "create_streams" in await reason_of(registry(entry_point("bad", Misspelt())))


async def test_a_hook_with_unknown_arguments_is_an_error(registry, entry_point):
    class Wrong:
        @hookimpl
        def create_stream(self, request, colour): ...

    assert "colour" in await reason_of(registry(entry_point("bad", Wrong())))


async def test_what_has_no_create_stream_is_no_provider(registry, entry_point):
    assert "create_stream" in await reason_of(registry(entry_point("bad", object())))


async def test_two_distributions_with_one_name_are_both_named(registry, entry_point, scripted):
    plugins = registry(
        entry_point("bad", scripted(), distribution="one"), entry_point("bad", scripted(), distribution="two")
    )
    assert "one and two" in await reason_of(plugins)


async def test_a_plugin_for_another_core_is_set_aside_before_it_is_imported(registry, entry_point):
    loads = []
    plugins = registry(entry_point("bad", lambda: loads.append(1), requires=("plugmux>=9",)))
    assert "wants plugmux>=9" in await reason_of(plugins)
    assert loads == []


async def test_a_verdict_outlives_the_process(registry, entry_point):
    bad = entry_point("bad", raising(ImportError("no")))
    await reason_of(registry(bad))
    assert "ImportError" in registry(bad).verdict("bad")


async def test_a_disabled_plugin_is_not_there(registry, entry_point, scripted):
    plugins = registry(entry_point("good", scripted()), environ={"PLUGMUX_DISABLE": "good"})
    assert plugins.instances() == {}


async def test_what_is_not_installed_says_what_to_install(registry):
    with pytest.raises(PluginError, match="pip install plugmux-hf-space"):
        await registry().load("hf-space")


async def test_a_broken_plugin_does_not_keep_a_healthy_one_from_serving(client, entry_point, scripted):
    bad = entry_point("bad", raising(ImportError("no")))
    async with client(bad, entry_point("good", scripted())) as one:
        assert (await one.complete("org/model", "hi")).text == "hello"
        verdicts = {status.name: status.verdict for status in await one.providers()}
    assert verdicts["good"] == "ok"
    assert "ImportError" in verdicts["bad"]


@pytest.mark.parametrize("junk", [None, 5, "text", [1, 2], {"a": 1}])
async def test_junk_for_a_list_of_models_harms_nobody_else(client, scripted, junk):
    class Junk(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            return junk

    async with client(bad=Junk(), good=scripted()) as one:
        assert (await one.complete("org/model", "hi")).provider == "good"


@pytest.mark.parametrize("junk", [5, "text", ["not", "events"]])
async def test_junk_for_a_stream_moves_on(client, scripted, junk):
    class Junk(scripted):
        @hookimpl
        def create_stream(self, request, session):
            return junk

    one = client(bad=Junk(latency=0.1), good=scripted(latency=0.2))
    completion = await one.complete("org/model", "hi")
    assert completion.provider == "good"
    assert "async generator" in str(completion.trace.attempts[0].error)


async def test_junk_among_the_events_moves_on(client, scripted):
    one = client(bad=scripted(["no event"], latency=0.1), good=scripted(latency=0.2))
    completion = await one.complete("org/model", "hi")
    assert "gave str, which is no event" in str(completion.trace.attempts[0].error)


async def test_any_exception_in_a_stream_is_the_plugins_failure(client, scripted):
    one = client(bad=scripted([ZeroDivisionError("oops")], latency=0.1), good=scripted(latency=0.2))
    completion = await one.complete("org/model", "hi")
    assert "ZeroDivisionError: oops" in str(completion.trace.attempts[0].error)


async def test_an_exception_in_authenticate_is_the_plugins_failure(client, scripted):
    class Broken(scripted):
        @hookimpl
        async def authenticate(self, session, challenge):
            raise ZeroDivisionError("oops")

    one = client(bad=Broken(latency=0.1), good=scripted(latency=0.2))
    completion = await one.complete("org/model", "hi")
    assert completion.provider == "good"
    assert "authenticate raised ZeroDivisionError" in str(completion.trace.attempts[0].error)


async def test_too_many_models_are_refused(client, scripted):
    bad = scripted()
    bad.models = bad.models * 100_001
    async with client(bad=bad, good=scripted(models=["org/other"])) as one:
        await one.complete("org/other", "hi")
        problems = {status.name: status.problem for status in await one.providers()}
    assert "100,001 models" in problems["bad"]


async def test_an_extension_wraps_every_providers_stream(client, entry_point, scripted):
    closed = []

    @stream_wrapper
    async def shouting(stream, request, session):
        try:
            async for event in stream:
                yield Text(text=event.text.upper()) if isinstance(event, Text) else event
        finally:
            closed.append(session.provider)

    extension = SimpleNamespace(create_stream=shouting)
    shout = entry_point("shout", lambda: extension, group="plugmux.extensions")
    completion = await client(shout, entry_point("good", scripted())).complete("org/model", "hi")
    assert completion.text == "HELLO"
    assert closed == ["good"]


async def test_a_provider_and_an_extension_may_have_the_same_name(client, entry_point, scripted):
    @stream_wrapper
    async def shouting(stream, request, session):
        async for event in stream:
            yield Text(text=event.text.upper()) if isinstance(event, Text) else event

    extension = SimpleNamespace(create_stream=shouting)
    both = entry_point("acme", lambda: extension, group="plugmux.extensions"), entry_point("acme", scripted())
    assert (await client(*both).complete("org/model", "hi")).text == "HELLO"


@pytest.mark.parametrize("name", ["bad", "good"])
async def test_a_broken_extension_is_left_out_with_a_word(client, entry_point, scripted, caplog, name):
    bad = entry_point(name, raising(ImportError("no")), group="plugmux.extensions")
    one = client(bad, entry_point("good", scripted()), entry_point("other", scripted()))
    assert (await one.complete("org/model", "hi")).text == "hello"
    assert [status.verdict for status in await one.providers(check=True)] == ["ok", "ok"]
    assert caplog.text.count("an extension is left out") == 1


@pytest.mark.parametrize(
    ("requirements", "wanted"),
    [
        (["httpx>=0.28", "plugmux>=0.1,<0.2"], ">=0.1,<0.2"),
        (["plugmux (>=0.1)"], ">=0.1"),
        (["plugmux[cli]>=0.3; extra == 'cli'"], None),
        (["plugmux[cli]~=0.3"], "~=0.3"),
        (["Plugmux"], ""),
        ([], None),
    ],
)
def test_the_wanted_range_is_read_from_the_requirements(requirements, wanted):
    assert required_range(requirements) == wanted


@pytest.mark.parametrize(
    ("version", "wanted", "met"),
    [
        ("0.1.0", ">=0.1,<0.2", True),
        ("0.2.0", ">=0.1,<0.2", False),
        ("0.10.0", ">0.9", True),
        ("1.0", "==1.*", True),
        ("1.4.2", "~=1.4.0", True),
        ("1.5.0", "~=1.4.0", False),
        ("1.0.0", "!=1.0", False),
        ("1.0", "", True),
        ("1.0.dev1", ">=1.0", True),
        ("1.0", "<=0.9", False),
        ("1.0", "@ https://example.org/x.whl", True),
    ],
)
def test_a_version_lies_in_a_range_or_not(version, wanted, met):
    assert satisfies(version, wanted) is met


class Flat:
    """A provider that asks for one flat prompt and gives it back."""

    def __init__(self, own=None):
        self.own = own

    @hookimpl
    async def get_models(self):
        return [Model(id="org/model", auth="none")]

    @hookimpl
    async def create_stream(self, request, session):
        yield Text(text=session.format_prompt(request.messages))
        yield Finish()

    @hookimpl
    def format_prompt(self, model, messages):
        return self.own


@pytest.mark.parametrize(
    ("own", "extensions", "prompt"),
    [
        ("own format", "extension's format", "own format"),
        (None, "extension's format", "extension's format"),
        (None, None, "User: hi\nAssistant:"),
    ],
)
async def test_the_providers_format_comes_first_then_an_extensions_then_the_plain_one(
    client, entry_point, own, extensions, prompt
):
    class Format:
        @hookimpl
        def format_prompt(self):
            return extensions

    formats = entry_point("formats", Format(), group="plugmux.extensions")
    completion = await client(formats, entry_point("flat", lambda: Flat(own))).complete("org/model", "hi")
    assert completion.text == prompt


async def test_a_broken_plugin_raises_each_time_anew(client, entry_point):
    """One error raised again and again would keep the frames of everybody whom it ever reached."""
    one = client(entry_point("a", ImportError("half of it is missing")))
    caught = []
    for _ in range(3):
        with pytest.raises(PlugmuxError) as failure:
            await one.complete("a::org/model", "Hi")
        caught.append(failure.value)
    assert len({id(error) for error in caught}) == 3
    assert len({str(error) for error in caught}) == 1
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in caught[1:]}) == 1
