"""The last chat, kept for `-c`: one JSON file in the settings' folder, readable by its owner only."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from attrs import field, frozen

from plugmux.cache import write_private
from plugmux.cli.exits import describe
from plugmux.errors import ConfigurationError, PlugmuxError
from plugmux.messages import Conversation, messages_from

__all__ = ["Chat", "LastChat", "instructed"]


@frozen(kw_only=True)
class Chat:
    """A conversation and the models it was held with."""

    models: tuple[str, ...] = ()
    conversation: Conversation = field(factory=Conversation)


def instructed(conversation: Conversation, system: str | None) -> Conversation:
    """The conversation under another system message; None leaves it, "" removes it.

    What providers kept of the conversation no longer fits then, and is dropped. Raises InvalidInputError
    for text that cannot be sent.
    """
    if system is None:
        return conversation
    told = tuple(message for message in conversation.messages if message.role != "system")
    first = messages_from((), system=system, may_be_empty=True) if system else ()
    return Conversation(messages=(*first, *told))


class LastChat:
    """The file `last-chat.json` in `home`. `problem` is what was wrong with it, for a word to the user."""

    def __init__(self, home: Path) -> None:
        self.path = home / "last-chat.json"
        self.problem: str | None = None

    def load(self) -> Chat:
        """The last chat. Raises ConfigurationError if there is none.

        A damaged one is set aside as `last-chat.json.damaged`, and a new chat begins.
        """
        try:
            return _chat_of(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            raise ConfigurationError("there is no last chat to go on with") from None
        except OSError as error:
            self.problem = f"cannot read {self.path}: {error.strerror}; this is a new chat"
        except (PlugmuxError, ValueError, KeyError, TypeError, AttributeError):
            self.problem = self._set_aside()
        return Chat()

    def save(self, chat: Chat) -> str | None:
        """Keep `chat`. Returns why it could not be kept, or None."""
        plain = {"version": 1, "models": list(chat.models), "conversation": chat.conversation.to_dict()}
        try:
            write_private(self.path, json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace"))
        except (OSError, TypeError, ValueError) as error:
            return f"this chat is not kept for -c: {describe(error)}"
        return None

    def _set_aside(self) -> str:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        with contextlib.suppress(OSError):
            self.path.replace(aside)
            return f"the last chat is damaged and set aside as {aside}; this is a new one"
        return f"the last chat is damaged, and {self.path} cannot be moved; this is a new one"


def _chat_of(plain: Any) -> Chat:
    if plain["version"] != 1:
        raise ValueError("another version")
    models = tuple(str(name) for name in plain["models"])
    return Chat(models=models, conversation=Conversation.from_dict(plain["conversation"]))
