"""HuggingChat, and any chat-ui server, as a provider for plugmux."""

from plugmux_hf_chat.plugin import ChatUI, cohere, plugin

__all__ = ["ChatUI", "cohere", "plugin"]
