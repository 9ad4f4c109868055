"""plugmux-hf-space: any Gradio app becomes a model.

    plugmux.complete("spaces/owner/name", "a red fox")
    plugmux.complete("http://127.0.0.1:7860", "…")

`plugin` is what the entry point names.
"""

from __future__ import annotations

from plugmux_hf_space.plugin import plugin

__all__ = ["plugin"]
