"""One call, any model on Hugging Face, whichever service can serve it now.

    import plugmux
    plugmux.complete("llama-3.3-70b", "What is machine learning?").text

Names are imported when they are first used, so `import plugmux` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "plugmux.attachments": ("Attachment",),
    "plugmux.blocking": ("Client", "complete", "explain", "models", "stream"),
    "plugmux.client": ("AsyncClient",),
    "plugmux.completion": ("Completion",),
    "plugmux.credentials": ("Credential",),
    "plugmux.errors": (
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
        "PlugmuxError",
        "PluginError",
        "ProviderError",
        "QuotaExceededError",
        "RateLimitError",
        "Scope",
        "ServerError",
        "StreamCutError",
        "UnsupportedOptionError",
    ),
    "plugmux.events": (
        "Attempt",
        "ConversationState",
        "Event",
        "Finish",
        "FinishReason",
        "Notice",
        "Preview",
        "Progress",
        "Reasoning",
        "Reset",
        "ServedBy",
        "Source",
        "Sources",
        "Text",
        "Title",
        "ToolCall",
        "Usage",
    ),
    "plugmux.hooks": ("hookimpl", "stream_wrapper"),
    "plugmux.media": ("Media", "MediaKind"),
    "plugmux.messages": ("Conversation", "Message"),
    "plugmux.model": ("Auth", "Capability", "Model", "Pricing", "Task"),
    "plugmux.requests": ("Limits", "Options", "Policy", "Request"),
    "plugmux.session": ("Session",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("plugmux")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'plugmux' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
