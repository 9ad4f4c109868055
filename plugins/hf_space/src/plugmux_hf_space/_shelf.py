"""Fetching what an app says of itself, and keeping it for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
from attrs import define, field

from plugmux.errors import MalformedResponseError, ModelNotFoundError, ProviderError, ServerError
from plugmux.huggingface.endpoints import Endpoints
from plugmux_hf_space import _wire
from plugmux_hf_space._app import App, app_of, base_of, prefix_of

if TYPE_CHECKING:
    from plugmux.http import Response
    from plugmux.session import Session

__all__ = ["Shelf", "fetch_app", "open_shelf"]

FRESH_SECONDS = 300.0


@define
class Shelf:
    """Descriptions of apps, kept between attempts, by address."""

    _apps: dict[str, tuple[float, App]] = field(factory=dict)

    async def app(
        self,
        session: Session,
        url: str,
        *,
        max_age: float = FRESH_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> App:
        """The app at an address, fetched if what is known is older than `max_age` seconds."""
        known = self._apps.get(url)
        now = anyio.current_time()
        if known is None or now - known[0] > max_age:
            known = now, await fetch_app(session, url, headers)
            self._apps[url] = known
        return known[1]

    def forget(self, app: App) -> None:
        self._apps = {url: known for url, known in self._apps.items() if known[1] is not app}

    async def aclose(self) -> None:
        self._apps.clear()


async def open_shelf(session: Session) -> Shelf:
    """The shelf that all attempts of one client share."""

    async def new() -> Shelf:
        return Shelf()

    return await session.resource("apps", new)


async def fetch_app(session: Session, url: str, headers: Mapping[str, str] | None = None) -> App:
    """Ask an app for its description.

    Raises ServerError (`code` "unavailable") where no app answers, which a sleeping Space does not, and
    ModelNotFoundError for what is no Gradio app.
    """
    Endpoints.load(session.settings, session.environ).require_online(url)
    config = await _config(session, url, headers)
    base = base_of(config.url, url)
    try:
        said = config.json()
    except MalformedResponseError as error:
        raise ServerError(
            f"no Gradio app answers at {url}: {error.message}", code="unavailable", retryable=False
        ) from error
    if not isinstance(said, Mapping) or "dependencies" not in said:
        raise ModelNotFoundError(f"what answers at {url} is not a Gradio app", code="not-gradio")
    info = await session.http.request(
        "GET", f"{base}{prefix_of(said)}/info", headers=headers, error=_wire.error_of
    )
    return app_of(base, said, info.json())


async def _config(session: Session, url: str, headers: Mapping[str, str] | None) -> Response:
    """`/config`. What hf.space answers for a Space that does not run is not documented: 404 and 5xx count."""
    try:
        return await session.http.request("GET", f"{url}/config", headers=headers, error=_wire.error_of)
    except ProviderError as error:
        if error.status is not None and (error.status == 404 or error.status >= 500):
            raise ServerError(
                f"no Gradio app answers at {url}: {error.message}",
                status=error.status,
                code="unavailable",
                retryable=False,
            ) from error
        raise
