"""Every error of plugmux, and what the router may do about each.

    PlugmuxError
    ├── InvalidInputError            refused at the door: names the field (also a ValueError)
    ├── ConfigurationError           a setting, a file or an environment variable is wrong
    ├── PluginError                  a plugin cannot be used: names it, the reason and the remedy
    ├── NoRouteError                 nobody can serve this model, or every candidate was dropped
    ├── AllProvidersFailedError      every candidate was tried; holds each attempt
    └── ProviderError                one provider's answer to one attempt
        ├── AuthenticationError      401: the credential is missing, wrong or expired
        ├── PermissionDeniedError    403: the credential may not do this, or a gate is closed
        ├── QuotaExceededError       402 and its like: credit or quota is used up
        ├── RateLimitError           429: too many requests
        ├── ModelNotFoundError       404, 410: gone from this provider
        ├── InvalidRequestError      400, 422: this provider does not take this request
        │   ├── ContextLengthError   the prompt is longer than the model's window
        │   └── UnsupportedOptionError
        ├── ContentFilterError       the provider refuses the content; final
        ├── ServerError              5xx, 424: the provider failed
        │   └── ModelLoadingError    503 with an estimate
        ├── ConnectionFailedError    refused, reset, DNS, TLS: no answer came
        ├── DeadlineError            a time limit passed (also a TimeoutError)
        ├── StreamCutError           the answer broke off, or ended without saying so
        └── MalformedResponseError   not what the protocol promises

The router never tests a class. It asks the attributes that every `ProviderError` has:

`retryable`   the same candidate may be asked again
`renewable`   `authenticate` may find a better credential
`scope`       what else this failure rules out for the request (`Scope`)
`forget`      the model map should drop the model at this provider
`needs_context`  tokens a candidate's window must hold to be worth trying
`flaw`        the failure counts against the candidate's health
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AllProvidersFailedError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextLengthError",
    "DeadlineError",
    "InvalidInputError",
    "InvalidRequestError",
    "MalformedResponseError",
    "ModelLoadingError",
    "ModelNotFoundError",
    "NoRouteError",
    "PermissionDeniedError",
    "PluginError",
    "PlugmuxError",
    "ProviderError",
    "QuotaExceededError",
    "RateLimitError",
    "Scope",
    "ServerError",
    "StreamCutError",
    "UnsupportedOptionError",
]


class Scope(str, Enum):
    """What a failure rules out for the rest of the request."""

    CANDIDATE = "candidate"
    """The candidate that failed, and nothing else."""
    UPSTREAM = "upstream"
    """Every candidate that this upstream computes for the same account."""
    ACCOUNT = "account"
    """Every candidate that the same account pays for."""
    CREDENTIAL = "credential"
    """Every candidate that uses the same credential."""
    REQUEST = "request"
    """Everything: no other provider may be asked. The error itself is raised."""


class PlugmuxError(Exception):
    """The base of all errors that plugmux raises on purpose."""


class InvalidInputError(PlugmuxError, ValueError):
    """An argument was refused before anything was sent. `field` names it."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:
        message = str(self).removeprefix(f"{self.field}: ")
        return _rebuild, (type(self), (message,), {"field": self.field})


class ConfigurationError(PlugmuxError):
    """A setting is wrong. The message names the setting, its place and what would be right."""


class PluginError(PlugmuxError):
    """A plugin cannot be used. `plugin` names it, `remedy` says what to do."""

    def __init__(self, message: str, *, plugin: str, remedy: str = "") -> None:
        super().__init__(f"plugin {plugin!r}: {message}" + (f" ({remedy})" if remedy else ""))
        self.plugin = plugin
        self.reason = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            (self.reason,),
            {"plugin": self.plugin, "remedy": self.remedy},
        )


class NoRouteError(PlugmuxError):
    """No candidate is left to try.

    `model` is the name asked for, `near` the known names closest to it, `reasons` maps a provider
    or candidate to why it cannot serve.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        near: Sequence[str] = (),
        reasons: Mapping[str, str] | None = None,
        remedy: str = "",
    ) -> None:
        self.message = message
        self.model = model
        self.near = tuple(near)
        self.reasons = dict(reasons or {})
        self.remedy = remedy
        lines = [message]
        lines += [f"  {who}: {why}" for who, why in self.reasons.items()]
        if self.near:
            lines.append(f"  did you mean: {', '.join(self.near)}?")
        if remedy:
            lines.append(f"  {remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {"model": self.model, "near": self.near, "reasons": self.reasons}
        return _rebuild, (type(self), (self.message,), facts | {"remedy": self.remedy})


class AllProvidersFailedError(PlugmuxError):
    """Every candidate failed. `attempts` holds each try, oldest first, with its error."""

    def __init__(self, message: str, *, model: str | None = None, attempts: Sequence[Any] = ()) -> None:
        self.message = message
        self.model = model
        self.attempts = tuple(attempts)
        lines = [message]
        lines += [f"  {attempt}" for attempt in self.attempts]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {"model": self.model, "attempts": self.attempts}
        return _rebuild, (type(self), (self.message,), facts)


class ProviderError(PlugmuxError):
    """What went wrong at one provider.

    A plugin raises it with the facts it has; the core fills in `provider`, `model`, `upstream` and
    `request_id` where they are missing.

    `status` is the HTTP status (an error inside a 200 stream carries the status it stands for),
    `retry_after` seconds, `body` a short excerpt of the answer, free of secrets.
    """

    retryable = False
    renewable = False
    rephrasable = False
    forget = False
    flaw = True
    scope = Scope.CANDIDATE
    needs_context: int | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        upstream: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        body: str | None = None,
        code: str | None = None,
        remedy: str = "",
        scope: Scope | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.upstream = upstream
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id
        self.body = body
        self.code = code
        self.remedy = remedy
        if scope is not None:
            self.scope = scope
        if retryable is not None:
            self.retryable = retryable

    @property
    def brief(self) -> str:
        """The message and its facts without saying whose it is."""
        facts = []
        if self.status is not None:
            facts.append(f"status {self.status}")
        if self.retry_after is not None:
            facts.append(f"retry after {self.retry_after:g} s")
        if self.request_id:
            facts.append(f"request {self.request_id}")
        text = self.message + (f" [{', '.join(facts)}]" if facts else "")
        return f"{text}; {self.remedy}" if self.remedy else text

    def __str__(self) -> str:
        where = "/".join(part for part in (self.provider, self.upstream) if part)
        where += f" ({self.model})" if self.model else ""
        return f"{where.strip()}: {self.brief}" if where else self.brief

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {key: value for key, value in vars(self).items() if key != "message"}
        return _rebuild_provider_error, (type(self), self.message, facts)


class AuthenticationError(ProviderError):
    """401. The remedy says how to get a working credential."""

    renewable = True
    flaw = False
    scope = Scope.CREDENTIAL


class PermissionDeniedError(ProviderError):
    """403. The message names the missing permission or the closed gate."""

    flaw = False
    scope = Scope.CREDENTIAL


class QuotaExceededError(ProviderError):
    """402, `insufficient_quota`, GPU quota. `scope` says whether account or upstream is empty."""

    flaw = False
    scope = Scope.ACCOUNT


class RateLimitError(ProviderError):
    """429. `retry_after` is what the service asked for, None if it did not say."""

    retryable = True


class ModelNotFoundError(ProviderError):
    """404 or 410: this provider no longer serves the model."""

    forget = True
    flaw = False


class InvalidRequestError(ProviderError):
    """400 or 422: this provider refuses the request as it stands. `param` names the culprit."""

    rephrasable = True
    flaw = False

    def __init__(self, message: str, *, param: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.param = param


class ContextLengthError(InvalidRequestError):
    """The prompt and the wished answer do not fit the model's window. Counts are tokens."""

    rephrasable = False

    def __init__(
        self,
        message: str,
        *,
        limit: int | None = None,
        given: int | None = None,
        wanted: int | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.limit = limit
        self.given = given
        self.wanted = wanted
        self.needs_context = (given + (wanted or 0)) if given else (limit + 1 if limit else None)


class UnsupportedOptionError(InvalidRequestError):
    """An option that this candidate cannot take, where the caller required it."""


class ContentFilterError(ProviderError):
    """The provider refuses this content. No other provider is asked behind the caller's back."""

    flaw = False
    scope = Scope.REQUEST


class ServerError(ProviderError):
    """The provider failed (5xx, 424)."""

    retryable = True


class ModelLoadingError(ServerError):
    """503: the model is being loaded. `retry_after` is the service's estimate."""

    flaw = False


class ConnectionFailedError(ProviderError):
    """No answer: refused, reset before the first byte, DNS, TLS, bad address.

    `kind` is `connect`, `reset`, `dns`, `tls` or `address`. Only the first two are worth a retry.
    """

    def __init__(self, message: str, *, kind: str = "connect", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.kind = kind
        self.retryable = facts.get("retryable") or kind in ("connect", "reset")


class DeadlineError(ProviderError, TimeoutError):
    """A limit passed. `limit` names it (`first_sign`, `first_content`, `idle`, `total`, or a
    plugin's own), `seconds` is its length."""

    def __init__(self, message: str, *, limit: str, seconds: float, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.limit = limit
        self.seconds = seconds


class StreamCutError(ProviderError):
    """The answer broke off, or ended without a finish."""


class MalformedResponseError(ProviderError):
    """Bytes that are not what the protocol promises: HTML for JSON, half a JSON, an endless line."""


def _rebuild(kind: type[PlugmuxError], args: tuple[Any, ...], facts: dict[str, Any]) -> PlugmuxError:
    return kind(*args, **facts)


def _rebuild_provider_error(kind: type[ProviderError], message: str, facts: dict[str, Any]) -> ProviderError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.message = message
    vars(error).update(facts)
    return error
