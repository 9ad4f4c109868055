"""Reading `[MODEL] [PROMPT]`: which word of a command line is which."""

from __future__ import annotations

from collections.abc import Sequence

from plugmux.errors import InvalidInputError

__all__ = ["model_and_prompt"]


def model_and_prompt(
    words: Sequence[str], models: Sequence[str], *, known: Sequence[str] | None = None
) -> tuple[tuple[str, ...], str | None]:
    """The models and the prompt that the arguments give.

    Two words are MODEL and PROMPT. One is the PROMPT if the model is given otherwise (`models` of `-m`,
    or `known` of the last chat) or if it has a blank in it, which no model's name has; else the MODEL.
    Raises InvalidInputError for more.
    """
    if len(words) > 2 or (models and len(words) > 1):
        raise InvalidInputError("too many words; put the prompt in quotation marks", field="PROMPT")
    first = next(iter(words), None)
    if models:
        return tuple(models), first
    if len(words) == 2:
        return (words[0],), words[1]
    if known is not None:
        return tuple(known), first
    if first is not None and any(char.isspace() for char in first.strip()):
        return (), first
    return tuple(words), None
