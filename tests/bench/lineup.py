"""Who streams: the plain loops to compare with, plugmux in its three forms, and its peers."""

from __future__ import annotations

from contest import Contender

PLAIN = Contender(name="plain httpx loop", program="httpx_loop", environment="PLUGMUX_BENCH_LEAN")
PLAIN_AIOHTTP = Contender(
    name="plain aiohttp loop", program="aiohttp_loop", environment="PLUGMUX_BENCH_AIOHTTP"
)
PLUGMUX = Contender(
    name="plugmux",
    program="plugmux_async",
    environment="PLUGMUX_BENCH_LEAN",
    variables={"PLUGMUX_TRANSPORT": "httpcore"},
)
FAST = Contender(
    name="plugmux[fast]",
    program="plugmux_async",
    environment="PLUGMUX_BENCH_FAST",
    variables={"PLUGMUX_TRANSPORT": "fast"},
)
SYNC = Contender(
    name="plugmux sync",
    program="plugmux_sync",
    environment="PLUGMUX_BENCH_LEAN",
    variables={"PLUGMUX_TRANSPORT": "httpcore"},
)
PEERS = (
    Contender(name="openai", program="openai_client", environment="PLUGMUX_BENCH_OPENAI"),
    Contender(name="huggingface_hub", program="huggingface_client", environment="PLUGMUX_BENCH_HUB"),
    Contender(name="any-llm", program="any_llm_client", environment="PLUGMUX_BENCH_ANY_LLM"),
    Contender(name="LiteLLM", program="litellm_client", environment="PLUGMUX_BENCH_LITELLM"),
)
EVERYBODY = (PLAIN, PLAIN_AIOHTTP, PLUGMUX, FAST, *PEERS)
"""All that can stream many answers at once; the first is the yardstick."""
EVERYBODY_AND_SYNC = (PLAIN, PLAIN_AIOHTTP, PLUGMUX, FAST, SYNC, *PEERS)
