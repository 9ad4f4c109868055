"""chat-ui's routes for plugmux's local sandbox: today's server, and one of 2024 for Cohere's Space.

Answers are synthetic and say so. Statuses, bodies and the order of events follow the recorded traffic.
`/hf-chat/chat` needs no login, `/hf-chat/login` needs the cookies `hf-chat=sandbox-session` and
`token=sandbox-token`, `/hf-chat/older` is the older server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmux_hf_chat._sandbox_older import older_routes
from plugmux_hf_chat._sandbox_today import TodayServer

if TYPE_CHECKING:
    from plugmux.sandbox import Sandbox

__all__ = ["environment", "routes"]


def routes(box: Sandbox) -> list[Any]:
    """The routes, below `/hf-chat/`."""
    from starlette.routing import Mount

    return [
        Mount("/hf-chat/chat", routes=TodayServer(box).routes()),
        Mount("/hf-chat/login", routes=TodayServer(box, login=True).routes()),
        Mount("/hf-chat/older", routes=older_routes(box)),
    ]


def environment(url: str) -> dict[str, str]:
    """What points both providers at the sandbox."""
    return {
        "PLUGMUX_HF_CHAT_BASE_URL": f"{url}/hf-chat/chat",
        "PLUGMUX_COHERE_CHAT_BASE_URL": f"{url}/hf-chat/older",
    }
