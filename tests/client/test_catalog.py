"""The model map over time."""

import anyio
import pytest

from plugmux import Model, NoRouteError, hookimpl


class Failing:
    static_models = (Model(id="org/static", auth="none"),)

    @hookimpl
    async def get_models(self):
        raise OSError("the service is down")

    @hookimpl
    async def create_stream(self, request):
        yield


async def ids(client, **facts):
    return [model.id for model in await client.models(**facts)]


async def test_a_list_is_asked_for_once_while_it_is_fresh(client, scripted):
    a = scripted()
    async with client(a=a) as one:
        await one.models()
        await one.models()
    assert a.listed == 1


async def test_a_fresh_list_on_disk_imports_no_plugin(client, entry_point, scripted):
    await client(entry_point("a", scripted())).models()

    def explode():
        raise AssertionError("imported")

    assert await ids(client(entry_point("a", explode))) == ["org/model"]


async def test_an_old_list_is_asked_for_anew(client, scripted, clock):
    a = scripted()
    async with client(a=a) as one:
        await one.models()
        clock.now += 3601
        a.models = [Model(id="org/new", auth="none")]
        assert await ids(one) == ["org/new"]


async def test_when_the_service_is_down_the_last_known_list_serves(client, scripted, clock):
    a = scripted()
    async with client(a=a) as one:
        await one.models()
        clock.now += 3601
        a.models = None
        assert await ids(one) == ["org/model"]


async def test_when_nothing_is_known_the_static_list_serves(client):
    async with client(a=Failing()) as one:
        assert await ids(one) == ["org/static"]
        (status,) = await one.providers()
    assert status.source == "static"
    assert "the service is down" in status.problem


async def test_one_hanging_provider_delays_nobody_for_long(client, scripted):
    class Hanging(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            await anyio.sleep_forever()

    async with client(good=scripted()) as one:
        await one.models()
    async with client(bad=Hanging(), good=scripted()) as one:
        with anyio.fail_after(4):
            assert await ids(one) == ["org/model"]
        with anyio.fail_after(0.5):
            assert await ids(one) == ["org/model"]


async def test_many_callers_at_once_ask_once(client, scripted):
    a = scripted()
    async with client(a=a) as one, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one.models)
    assert a.listed == 1


async def test_a_refresh_survives_the_cancellation_of_who_began_it(client, scripted):
    begun = anyio.Event()
    go_on = anyio.Event()

    class Slow(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            begun.set()
            await go_on.wait()
            return self.models

    async with client(a=Slow()) as one, anyio.create_task_group() as group:
        with anyio.CancelScope() as leader:
            async with anyio.create_task_group() as first:

                async def cancel_leader():
                    await begun.wait()
                    leader.cancel()
                    go_on.set()

                group.start_soon(cancel_leader)
                first.start_soon(one.models)
        assert await ids(one) == ["org/model"]


async def test_another_credential_has_another_list(client, scripted):
    a = scripted()
    await client(a=a, environ={"HF_TOKEN": "one"}).models()
    await client(a=a, environ={"HF_TOKEN": "two"}).models()
    await client(a=a, environ={"HF_TOKEN": "one"}).models()
    assert a.listed == 2


async def test_a_damaged_cache_is_ignored(client, scripted, settings):
    a = scripted()
    await client(a=a).models()
    for path in (settings().cache_folder / "models").iterdir():
        path.write_text('{"half": ')
    assert await ids(client(a=a)) == ["org/model"]


async def test_models_can_be_chosen_by_task_and_provider(client, scripted):
    a, b = scripted(models=["org/a"]), scripted(models=["org/b"], tasks=["text-to-image"])
    async with client(a=a, b=b) as one:
        assert await ids(one, task="text-to-image") == ["org/b"]
        assert await ids(one, provider="a") == ["org/a"]


async def test_a_refresh_can_be_asked_for(client, scripted):
    a = scripted()
    async with client(a=a) as one:
        await one.models()
        await one.models(refresh=True)
    assert a.listed == 2


async def test_a_failed_listing_is_remembered_by_the_next_client(client):
    class Counting(Failing):
        asked = 0

        @hookimpl
        async def get_models(self):
            self.asked += 1
            raise OSError("the service is down")

    plugin = Counting()
    for _ in range(3):
        assert await ids(client(a=plugin)) == ["org/static"]
    assert plugin.asked == 1


async def test_a_pinned_provider_waits_for_nobody_else(client, scripted):
    a, b = scripted(), scripted()
    await client(a=a, b=b).complete("a::org/model", "hi")
    assert (a.listed, b.listed) == (1, 0)


async def test_a_list_that_no_file_can_hold_is_a_problem_of_its_provider_alone(client, scripted):
    odd = scripted()
    odd.models = [Model(id="org/odd", auth="none", extra={"made": object()})]
    async with client(odd=odd, good=scripted()) as one:
        assert await ids(one) == ["org/model"]
        assert {status.name: bool(status.problem) for status in await one.providers()} == {
            "good": False,
            "odd": True,
        }


async def test_a_list_that_takes_its_time_comes_when_it_is_old(client, scripted, clock, monkeypatch):
    class Slow(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            await anyio.sleep(0.01)
            return self.models

    a = Slow()
    async with client(a=a) as one:
        await one.models()
        clock.now += 3601
        a.models = [Model(id="org/new", auth="none")]
        monkeypatch.setattr("plugmux.catalog.PATIENCE", (0.0, 20.0))
        assert await ids(one) == ["org/model"]
        clock.now += 31
        assert await ids(one) == ["org/new"]


async def test_how_long_a_list_takes_is_known_to_the_next_client(client, scripted, clock, monkeypatch):
    class Slow(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            await anyio.sleep(0.01)
            return self.models

    await client(a=Slow()).models()
    clock.now += 3601
    monkeypatch.setattr("plugmux.catalog.PATIENCE", (0.0, 20.0))
    await client(a=Slow()).models()
    clock.now += 31
    assert await ids(client(a=Slow(models=("org/new",)))) == ["org/new"]


async def test_an_instance_whose_plugin_is_gone_stops_nobody(client, scripted):
    async with client(a=scripted(), environ={"PLUGMUX_INSTANCES": "gone=acme@http://127.0.0.1:1"}) as one:
        assert await ids(one) == ["org/model"]
        said = {status.name: status.verdict for status in await one.providers()}
        assert str(await one.complete("org/model", "Hi")) == "hello"
    assert said["gone"] == "plugin 'acme' is not installed"


async def test_only_so_many_looked_up_names_are_remembered(client, scripted, monkeypatch):
    monkeypatch.setattr("plugmux.catalog.MAX_LOOKED_UP", 2)
    a = scripted()
    async with client(a=a) as one:
        await one.models()
        for name in ("org/1", "org/2", "org/3", "org/3", "org/1"):
            with pytest.raises(NoRouteError):
                await one.explain(name)
    assert a.listed == 1 + 4


async def test_a_looked_up_model_stands_beside_those_of_the_map(client, scripted):
    a = scripted()
    a.known = {"org/rare": [Model(id="org/rare", auth="none")]}
    async with client(a=a) as one:
        assert str(await one.complete("org/rare", "Hi")) == "hello"
        assert str(await one.complete("org/model", "Hi")) == "hello"
        await one.explain("org/rare")
        assert await ids(one) == ["org/model"]
    assert a.listed == 2
