"""Images, video and speech through Hugging Face's inference providers."""

from plugmux_hf_media import plugin

__all__ = ["plugin"]
