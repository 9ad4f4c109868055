"""Settings: `PLUGMUX_…` environment variables over `config.toml`, read once and passed on as a value.

    default_model = "openai/gpt-oss-120b"
    transport = "httpx"

    [aliases]
    fast = "meta-llama/Llama-3.1-8B-Instruct"

    [policy]
    order = ["my-endpoint", "hf-inference"]

    [providers.my-endpoint]
    plugin = "hf-inference"
    base_url = "http://127.0.0.1:8000/v1"

A damaged file, or what is wrong in it, is set aside with a word (`problems`) and never fatal. A wrong
environment variable raises ConfigurationError, because somebody just set it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from plugmux.errors import ConfigurationError, InvalidInputError
from plugmux.value import Value

__all__ = ["Instance", "Settings", "variable_prefix"]

KEYS = frozenset({"aliases", "default_model", "policy", "providers", "transport"})
"""Of the configuration file."""
RESERVED = frozenset(
    {
        "PLUGMUX_HOME",
        "PLUGMUX_DISABLE",
        "PLUGMUX_CONFIG",
        "PLUGMUX_INSTANCES",
        "PLUGMUX_MODEL",
        "PLUGMUX_TRANSPORT",
    }
)


@frozen(kw_only=True, eq=False, repr=False)
class Instance(Value):
    """A named provider: a plugin with settings of its own."""

    name: str
    plugin: str
    settings: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True, eq=False, repr=False)
class Settings(Value):
    """All settings of one client. `load` reads them; tests and tools may build them."""

    home: Path
    cache_folder: Path | None
    config_path: Path
    environ: Mapping[str, str] = field(factory=dict, repr=False)
    default_model: str | None = None
    transport: str | None = None
    """`httpx`, `httpcore` or `fast`; None is the fastest that can be had."""
    disabled: frozenset[str] = frozenset()
    instances: Mapping[str, Instance] = field(factory=dict)
    aliases: Mapping[str, str] = field(factory=dict)
    policy: Mapping[str, Any] = field(factory=dict)
    providers: Mapping[str, Mapping[str, Any]] = field(factory=dict, repr=False)
    problems: tuple[str, ...] = ()

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment, the configuration file, and the tokens that `plugmux auth login` keeps."""
        environ = dict(os.environ if environ is None else environ)
        home = _home(environ)
        config_path = _config_path(environ, home)
        file, problems = _read(config_path)
        faults = [f"{key}: there is no such setting" for key in file if key not in KEYS]
        providers = dict(_table(file, "providers", faults))
        instances = _file_instances(providers, faults) | _environ_instances(environ)
        settings = cls(
            home=home,
            cache_folder=_cache_folder(environ, home),
            config_path=config_path,
            environ=environ,
            default_model=environ.get("PLUGMUX_MODEL") or _default_model(file, faults),
            transport=_transport(environ, file, faults),
            disabled=frozenset(_split(environ.get("PLUGMUX_DISABLE", ""))),
            instances=instances,
            aliases=_aliases(file, faults),
            policy=_policy(file, faults),
            providers=providers,
        )
        problems += [f"{config_path}: {fault}; it is left out" for fault in faults]
        return _with_logins(evolve(settings, problems=tuple(problems)))

    def for_provider(self, name: str) -> dict[str, Any]:
        """A provider's settings by lower-case name: the environment over the configuration file."""
        merged = dict(self.providers.get(name, {}))
        merged.pop("plugin", None)
        if name in self.instances:
            merged |= self.instances[name].settings
        prefix = variable_prefix(name)
        for variable, value in self.environ.items():
            if variable.startswith(prefix) and variable not in RESERVED and value:
                merged[variable.removeprefix(prefix).lower()] = value
        return merged


def variable_prefix(provider: str) -> str:
    """What the environment variables of a provider's settings begin with."""
    letters = (letter if letter.isascii() and letter.isalnum() else "_" for letter in provider.upper())
    return f"PLUGMUX_{''.join(letters)}_"


def _with_logins(settings: Settings) -> Settings:
    from plugmux.logins import StoredTokens, settings_with

    tokens = StoredTokens(settings.home)
    if not tokens.path.exists():
        return settings
    kept = settings_with(settings, tokens.load())
    return kept if tokens.problem is None else evolve(kept, problems=(*kept.problems, tokens.problem))


def _home(environ: Mapping[str, str]) -> Path:
    if environ.get("PLUGMUX_HOME"):
        return _path("PLUGMUX_HOME", environ["PLUGMUX_HOME"])
    base = environ.get("XDG_CONFIG_HOME") or (environ.get("APPDATA") if os.name == "nt" else None)
    return (Path(base) if base else _user_home() / ".config") / "plugmux"


def _config_path(environ: Mapping[str, str], home: Path) -> Path:
    named = environ.get("PLUGMUX_CONFIG")
    if not named:
        return home / "config.toml"
    path = _path("PLUGMUX_CONFIG", named)
    if not path.exists():
        raise ConfigurationError(f"PLUGMUX_CONFIG: there is no file {path}")
    return path


def _path(variable: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"{variable}: {text!r}: there is no such user, or no home folder") from error


def _cache_folder(environ: Mapping[str, str], home: Path) -> Path:
    if environ.get("PLUGMUX_HOME"):
        return home / "cache"
    base = environ.get("XDG_CACHE_HOME") or (environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return (Path(base) if base else _user_home() / ".cache") / "plugmux"


def _user_home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigurationError("there is no home folder; set PLUGMUX_HOME") from error


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except OSError as error:
        return {}, [f"cannot read {path}: {error.strerror}; it is left out"]
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8-sig")), []
    except ValueError as error:
        return {}, [f"{path} is not valid TOML ({error}); it is left out"]


def _default_model(file: Mapping[str, Any], faults: list[str]) -> str | None:
    value = file.get("default_model")
    if value is None or isinstance(value, str):
        return value
    faults.append(f"default_model = {value!r} is not a name")
    return None


def _aliases(file: Mapping[str, Any], faults: list[str]) -> dict[str, str]:
    table = _table(file, "aliases", faults)
    wrong = {name: value for name, value in table.items() if not isinstance(value, str)}
    faults += [f"{name} = {value!r} in [aliases] is not a name" for name, value in wrong.items()]
    return {name: value for name, value in table.items() if name not in wrong}


def _policy(file: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    kept = {}
    for name, value in _table(file, "policy", faults).items():
        from plugmux.requests import policy_from

        try:
            policy_from({name: value})
        except InvalidInputError as error:
            faults.append(f"{name} = {value!r} in [policy] is wrong ({error})")
        else:
            kept[name] = value
    return kept


def _transport(environ: Mapping[str, str], file: Mapping[str, Any], faults: list[str]) -> str | None:
    if wanted := environ.get("PLUGMUX_TRANSPORT"):
        if fault := _transport_fault(wanted):
            raise ConfigurationError(f"PLUGMUX_TRANSPORT: {fault}")
        return wanted
    kept = file.get("transport")
    fault = None if kept is None else _transport_fault(kept)
    if fault:
        faults.append(f"transport: {fault}")
    return None if fault else kept


def _transport_fault(name: object) -> str | None:
    if name not in ("httpx", "httpcore", "fast"):
        return f"{name!r} is none of 'httpx', 'httpcore' and 'fast'"
    if name == "fast":
        from importlib.util import find_spec

        if find_spec("httptools") is None:
            return "'fast' is not installed: pip install 'plugmux[fast]'"
    return None


def _table(file: Mapping[str, Any], name: str, faults: list[str]) -> dict[str, Any]:
    value = file.get(name, {})
    if not isinstance(value, dict):
        faults.append(f"[{name}] is not a table")
        return {}
    return value


def _file_instances(providers: dict[str, Any], faults: list[str]) -> dict[str, Instance]:
    found = {}
    for name, value in list(providers.items()):
        if not isinstance(value, dict):
            faults.append(f"[providers.{name}] is not a table")
            del providers[name]
        elif isinstance(value.get("plugin"), str):
            found[name] = Instance(name=name, plugin=value["plugin"])
    return found


def _environ_instances(environ: Mapping[str, str]) -> dict[str, Instance]:
    """`PLUGMUX_INSTANCES="local=hf-inference@http://127.0.0.1:8000/v1"`, several by blanks or commas."""
    found = {}
    for item in _split(environ.get("PLUGMUX_INSTANCES", "")):
        match = re.fullmatch(r"([\w.-]+)=([\w.-]+)(?:@(\S+))?", item)
        if match is None:
            raise ConfigurationError(f"PLUGMUX_INSTANCES: {item!r} is not of the form name=plugin@URL")
        name, plugin, url = match.groups()
        found[name] = Instance(name=name, plugin=plugin, settings={"base_url": url} if url else {})
    return found


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()
