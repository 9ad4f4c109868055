"""`plugmux auth`: where each provider's credential comes from, and logging in and out.

A plugin may bring a login of its own, as attributes of its entry-point object beside the hooks:

    async def login(session: Session, echo: Callable[[str], None]) -> Credential | None
    async def logout(session: Session, echo: Callable[[str], None]) -> bool

`login` talks to the person through `echo`, keeps what it gets below `session.home` (0600) where its own
`authenticate` finds it, and returns it; None means that nothing came of it. `logout` forgets it and says
whether there was anything. Without them, `login` asks for a token and keeps it in `credentials.json`, from
where it becomes the provider's setting `token`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from getpass import getpass
from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.terminal import Terminal
from plugmux.credentials import Secret
from plugmux.errors import InvalidInputError, PlugmuxError
from plugmux.logins import StoredTokens, keeper_of

if TYPE_CHECKING:
    from plugmux.runtime import Runtime

__all__ = ["auth"]

HEADER = ("PROVIDER", "CREDENTIAL FROM", "ACCOUNT", "EXPIRES")
DEFAULT = "hf-inference"


@click.group()
def auth() -> None:
    """Tokens and logins. No secret is ever shown."""


@auth.command()
@click.argument("provider", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(provider: str | None, as_json: bool) -> None:
    """Say where each provider's credential comes from."""
    from plugmux.cli.jsonlines import line
    from plugmux.cli.running import with_runtime
    from plugmux.cli.tables import show_table

    terminal = Terminal.of_process()
    found = with_runtime(terminal, lambda runtime: _credentials(runtime, provider))
    if as_json:
        terminal.answer("".join(map(line, found)))
        return
    keys = ("provider", "source", "account", "expires")
    show_table(terminal, HEADER, [tuple(str(one.get(key) or "") for key in keys) for one in found])
    for one in found:
        if one.get("problem"):
            terminal.note(f"{one['provider']}: {one['problem']}", "red")


@auth.command()
@click.argument("provider", default=DEFAULT)
def login(provider: str) -> None:
    """Log in at PROVIDER (hf-inference: the Hub's token, for all Hugging Face plugins)."""
    from plugmux.cli.running import with_runtime

    terminal = Terminal.of_process()
    own = with_runtime(terminal, lambda runtime: _own_login(runtime, provider, terminal))
    if own is None:
        _keep_token(terminal, provider)
    elif not own:
        terminal.error(f"no login at {provider}")
        raise SystemExit(1)


@auth.command()
@click.argument("provider", default=DEFAULT)
def logout(provider: str) -> None:
    """Forget what `login` kept for PROVIDER."""
    from plugmux.cli.running import load_settings, with_runtime

    terminal = Terminal.of_process()
    kept = StoredTokens(load_settings(terminal).home).forget(keeper_of(provider))
    own = with_runtime(terminal, lambda runtime: _own_logout(runtime, provider, terminal))
    terminal.note(f"logged out of {provider}" if kept or own else f"nothing was kept for {provider}")
    left = with_runtime(terminal, lambda runtime: _credentials(runtime, provider))
    for one in left:
        if one.get("source"):
            terminal.note(f"{provider} still has a credential from {one['source']}", "yellow")


async def _credentials(runtime: Runtime, only: str | None) -> list[dict[str, Any]]:
    """What each provider's `authenticate` finds, without the secret. One that fails is reported."""
    import anyio

    if only:
        runtime.registry.plugin_of(only)  # raises where there is none
    names = [only] if only else sorted(runtime.registry.instances())
    found: dict[str, dict[str, Any]] = {}

    async def look(name: str) -> None:
        found[name] = {"provider": name, **await _credential(runtime, name)}

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(look, name)
    return [found[name] for name in names]


async def _credential(runtime: Runtime, name: str) -> dict[str, Any]:
    try:
        credential = await runtime.credential(name)
    except PlugmuxError as error:
        return {"problem": str(error)}
    if credential is None:
        return {"source": None}
    expires = None if credential.expires_at is None else _moment(credential.expires_at)
    return {"source": credential.source or "yes", "account": credential.account, "expires": expires}


def _moment(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "minutes")


async def _own_login(runtime: Runtime, provider: str, terminal: Terminal) -> bool | None:
    """Run the plugin's own login: whether it gave a credential; None if it brings none."""
    own = await _attribute(runtime, provider, "login")
    if own is None:
        return None
    credential = await own(_patient_session(runtime, provider), terminal.note)
    if credential is not None:
        terminal.note(f"logged in at {provider}: {credential.source or 'the login'} is kept", "green")
    return credential is not None


async def _own_logout(runtime: Runtime, provider: str, terminal: Terminal) -> bool:
    own = await _attribute(runtime, provider, "logout")
    return own is not None and bool(await own(_patient_session(runtime, provider), terminal.note))


async def _attribute(runtime: Runtime, provider: str, name: str) -> Callable[..., Awaitable[Any]] | None:
    plugin = await runtime.registry.load(provider)
    found: Callable[..., Awaitable[Any]] | None = getattr(plugin.target, name, None)
    return found


def _patient_session(runtime: Runtime, provider: str) -> Any:
    from plugmux.requests import Limits

    return runtime.session(provider, limits=Limits())  # a person takes the time it takes


def _keep_token(terminal: Terminal, provider: str) -> None:
    token = Secret(_ask_token(provider))
    store = StoredTokens(_home(terminal))
    store.keep(keeper_of(provider), token)
    terminal.note(f"the token is kept in {store.path}, readable by you only", "green")


def _ask_token(provider: str) -> str:
    if sys.stdin.isatty():
        given = getpass(f"Token for {provider}: ", stream=sys.stderr)  # hides what is typed, and then asks
    else:
        given = sys.stdin.readline()
    token = str(given).strip()
    if not token:
        raise InvalidInputError("no token was given", field="token")
    return token


def _home(terminal: Terminal) -> Any:
    from plugmux.settings import Settings

    return Settings.load(terminal.environ).home
