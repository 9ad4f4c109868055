"""Chat and text models: the Hugging Face router, TGI, Inference Endpoints, any OpenAI-compatible server."""

from plugmux_hf_inference import plugin

__all__ = ["plugin"]
