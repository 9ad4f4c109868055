"""httpx's errors in plugmux's words."""

from __future__ import annotations

import socket
import ssl

from plugmux.errors import ConnectionFailedError, MalformedResponseError, ProviderError, StreamCutError
from plugmux.stopwatch import Stopwatch
from plugmux.transports.lean_httpx import httpx

__all__ = ["body_error", "send_error"]


def send_error(error: Exception, watch: Stopwatch) -> ProviderError:
    """Why no answer came."""
    match error:
        case httpx.ConnectTimeout():
            return ConnectionFailedError("no connection within the time allowed", kind="connect")
        case httpx.TimeoutException():
            return watch.silence("first_sign")
        case ssl.SSLError():  # older httpcores let it through as it is, and it is a ValueError too
            return _connection_error(error)
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | ValueError():
            return ConnectionFailedError(f"bad address or header: {error}", kind="address")
        case httpx.ProxyError():
            return ConnectionFailedError(f"the proxy refused: {error}", kind="address")
        case httpx.RemoteProtocolError() if "disconnected without" not in str(error):
            return MalformedResponseError(f"not HTTP: {str(error)[:200]}")
    return _connection_error(error)


def _connection_error(error: Exception) -> ConnectionFailedError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return ConnectionFailedError(f"TLS failed: {getattr(cause, 'reason', None) or cause}", kind="tls")
        if isinstance(cause, socket.gaierror):
            return ConnectionFailedError(f"the host name is not known: {cause.strerror}", kind="dns")
        if isinstance(cause, ConnectionRefusedError):
            return ConnectionFailedError("the connection was refused", kind="connect")
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailedError(str(error) or "no connection", kind="connect")
    return ConnectionFailedError("the connection broke before any answer", kind="reset")


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or cause in found:
            continue
        found.append(cause)
        waiting += [cause.__cause__, cause.__context__, *getattr(cause, "exceptions", ())]
    return found


def body_error(error: Exception, watch: Stopwatch) -> ProviderError:
    """Why an answer broke off."""
    if isinstance(error, httpx.TimeoutException):
        return watch.silence("idle")
    return StreamCutError("the connection broke in the middle of the answer")
