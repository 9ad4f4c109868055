"""What the `spaces` package says when the shared GPUs are not to be had, as typed errors.

Its words arrive as an app's own error (by that package's source; recorded for the quota). The title
"ZeroGPU quota exceeded" also stands over "No GPU was available", which is no quota: so the text is read.
"""

from __future__ import annotations

import re
from typing import Any

from plugmux.errors import (
    AuthenticationError,
    InvalidRequestError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    Scope,
)

__all__ = ["ACCOUNT", "GpuQuotaError", "zerogpu_error"]

ACCOUNT = "zerogpu"
"""Who pays for GPU seconds: one purse for all ZeroGPU Spaces of an account, or of an address."""


class GpuQuotaError(QuotaExceededError):
    """GPU seconds are used up. `requested` and `left` are seconds, `retry_after` until the reset."""

    def __init__(
        self, message: str, *, requested: float | None = None, left: float | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.requested = requested
        self.left = left


def zerogpu_error(text: str, title: str = "") -> ProviderError | None:
    """The error that a Space's own error message stands for; None if it is not about ZeroGPU."""
    said = _plain(text)
    if "No GPU was available" in said:
        return RateLimitError(f"busy: {said}", code="gpu-busy", retryable=False)
    if "Expired ZeroGPU proxy token" in said:
        return AuthenticationError(said, status=401, code="gpu-token-expired", remedy="try again")
    if _QUOTA.search(said) or title == "ZeroGPU quota exceeded" or "pending credits" in title:
        return _quota(said)
    if "larger than the maximum allowed" in said and "GPU duration" in said:
        return InvalidRequestError(said, code="gpu-duration")
    if title == "ZeroGPU queue timeout":
        return RateLimitError(f"busy: {said}", code="gpu-busy", retryable=False)
    return None


_QUOTA = re.compile(
    r"exceeded your .*?(GPU|ZeroGPU) (quota|runs limit)|reached its GPU limit|too many ZeroGPU credits"
    r"|GPU (task|quota) .*?exceeded",
    re.I,
)
_SECONDS = re.compile(r"\((\d+(?:\.\d+)?)s requested vs\.? (-?\d+(?:\.\d+)?)s left\)")
_RESET = re.compile(r"[Tt]ry again in (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")


def _quota(text: str) -> GpuQuotaError:
    seconds = _SECONDS.search(text)
    of_app = "Space app has reached" in text
    return GpuQuotaError(
        text,
        requested=float(seconds[1]) if seconds else None,
        left=max(0.0, float(seconds[2])) if seconds else None,
        retry_after=_reset(text),
        code="gpu-quota",
        scope=Scope.UPSTREAM if of_app else Scope.ACCOUNT,
        remedy="" if of_app else _REMEDY,
    )


_REMEDY = "an account has a larger quota: set HF_TOKEN and name the Space in the setting `trusted`"


def _reset(text: str) -> float | None:
    found = _RESET.search(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(days * 86400 + hours * 3600 + minutes * 60 + seconds)


def _plain(text: str) -> str:
    """Without the web page's links, and what follows the first of them."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.split(r"\s*<a ", text, maxsplit=1)[0]).split())
