from importlib.util import find_spec
from pathlib import Path

import pytest

from plugmux import ConfigurationError
from plugmux.credentials import Secret
from plugmux.logins import StoredTokens, keeper_of
from plugmux.settings import Settings


def load(tmp_path, toml="", **environ):
    (tmp_path / "config.toml").write_text(toml)
    return Settings.load({"PLUGMUX_HOME": str(tmp_path)} | environ)


def test_without_a_home_variable_the_users_folders_are_used(tmp_path):
    settings = Settings.load({"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_CACHE_HOME": str(tmp_path / "k")})
    assert settings.home == tmp_path / "c" / "plugmux"
    assert settings.cache_folder == tmp_path / "k" / "plugmux"


def test_a_missing_file_is_no_problem(tmp_path):
    settings = Settings.load({"PLUGMUX_HOME": str(tmp_path / "nowhere")})
    assert settings.problems == ()
    assert settings.instances == {}


@pytest.mark.parametrize("content", ["not = = toml", "\x00\xff", "[providers\n"])
def test_a_damaged_file_is_said_and_left_out(tmp_path, content):
    settings = load(tmp_path, content)
    assert "left out" in settings.problems[0]
    assert settings.default_model is None


def test_a_table_that_is_none_is_said_and_left_out(tmp_path):
    settings = load(tmp_path, 'aliases = "x"\n[providers]\nlocal = 5\n')
    assert len(settings.problems) == 2
    assert settings.aliases == {}
    assert settings.instances == {}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("modell = 'm'", "modell: there is no such setting"),
        ("default_model = 5", "default_model = 5 is not a name"),
        ("[aliases]\nfast = 5", "fast = 5 in [aliases] is not a name"),
        ('[aliases]\nfast = ["m"]', "fast = ['m'] in [aliases] is not a name"),
        ("[policy]\norder = 5", "order = 5 in [policy] is wrong"),
        ("[policy]\nbogus = 1", "unknown key; known: allow_fallbacks"),
    ],
)
def test_a_wrong_value_is_said_with_its_file_and_left_out(tmp_path, toml, said):
    settings = load(tmp_path, toml)
    assert said in settings.problems[0]
    assert str(tmp_path / "config.toml") in settings.problems[0]
    assert (settings.default_model, settings.aliases, settings.policy) == (None, {}, {})


def test_what_is_right_beside_a_wrong_value_counts(tmp_path):
    settings = load(tmp_path, '[aliases]\na = 5\nb = "org/b"\n[policy]\nignore = ["local"]\nmax_tries = 0\n')
    assert settings.aliases == {"b": "org/b"}
    assert settings.policy == {"ignore": ["local"]}


def test_a_file_that_is_named_has_to_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"PLUGMUX_CONFIG: there is no file .*typo\.toml"):
        load(tmp_path, PLUGMUX_CONFIG=str(tmp_path / "typo.toml"))


def test_a_named_file_may_lie_in_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine.toml").write_text('default_model = "org/mine"')
    assert load(tmp_path, PLUGMUX_CONFIG="~/mine.toml").default_model == "org/mine"


def test_the_environment_wins_over_the_file(tmp_path):
    toml = '[providers.hf-inference]\nrouter_url = "http://file"\nbill_to = "org"\n'
    settings = load(tmp_path, toml, PLUGMUX_HF_INFERENCE_ROUTER_URL="http://environ")
    assert settings.for_provider("hf-inference") == {"router_url": "http://environ", "bill_to": "org"}


def test_an_instance_of_the_file_has_its_plugin_and_settings(tmp_path):
    settings = load(tmp_path, '[providers.mine]\nplugin = "hf-inference"\nbase_url = "http://x/v1"\n')
    assert settings.instances["mine"].plugin == "hf-inference"
    assert settings.for_provider("mine") == {"base_url": "http://x/v1"}


def test_instances_come_from_one_variable(tmp_path):
    given = "local=hf-inference@http://127.0.0.1:8000/v1, other=hf-chat"
    settings = load(tmp_path, PLUGMUX_INSTANCES=given)
    assert {name: one.plugin for name, one in settings.instances.items()} == {
        "local": "hf-inference",
        "other": "hf-chat",
    }
    assert settings.for_provider("local") == {"base_url": "http://127.0.0.1:8000/v1"}


def test_a_wrong_variable_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigurationError, match="PLUGMUX_INSTANCES: 'nonsense'"):
        load(tmp_path, PLUGMUX_INSTANCES="nonsense")


def test_disabled_plugins_are_a_set(tmp_path):
    assert load(tmp_path, PLUGMUX_DISABLE="a, b c").disabled == {"a", "b", "c"}


def test_settings_show_no_secret(tmp_path):
    settings = load(tmp_path, '[providers.x]\napi_key = "sesame-open"\n', HF_TOKEN="sesame-shut")
    assert "sesame" not in repr(settings)
    assert settings.config_path == Path(tmp_path) / "config.toml"


def test_a_kept_login_is_a_setting_of_its_provider(tmp_path):
    StoredTokens(tmp_path).keep(keeper_of("hf-inference"), Secret("kept-word"))
    assert load(tmp_path).for_provider("hf-media")["token"] == "kept-word"


def test_a_kept_hub_login_goes_to_no_server_of_the_users_own(tmp_path):
    StoredTokens(tmp_path).keep(keeper_of("hf-inference"), Secret("kept-word"))
    settings = load(tmp_path, PLUGMUX_HF_INFERENCE_BASE_URL="http://127.0.0.1:8000/v1")
    assert "token" not in settings.for_provider("hf-inference")


def test_damaged_logins_are_said_and_set_aside(tmp_path):
    (tmp_path / "credentials.json").write_text("{")
    assert "damaged" in load(tmp_path).problems[0]


def test_a_transport_is_chosen_by_the_file_or_over_it_by_the_environment(tmp_path):
    assert load(tmp_path).transport is None
    assert load(tmp_path, 'transport = "httpx"').transport == "httpx"
    assert load(tmp_path, 'transport = "nonsense"', PLUGMUX_TRANSPORT="httpx").transport == "httpx"


def test_an_unknown_transport_is_an_error_in_the_environment_and_a_word_in_the_file(tmp_path):
    with pytest.raises(ConfigurationError, match="PLUGMUX_TRANSPORT: 'carrier-pigeon'"):
        load(tmp_path, PLUGMUX_TRANSPORT="carrier-pigeon")
    for value in ('"carrier-pigeon"', "5", "[]"):
        settings = load(tmp_path, f"transport = {value}")
        assert settings.transport is None
        assert "transport" in settings.problems[0]


def test_the_fast_transport_can_be_asked_for_where_it_is_installed(tmp_path):
    if find_spec("httptools"):
        assert load(tmp_path, PLUGMUX_TRANSPORT="fast").transport == "fast"
        return
    with pytest.raises(ConfigurationError, match=r"pip install 'plugmux\[fast\]'"):
        load(tmp_path, PLUGMUX_TRANSPORT="fast")
