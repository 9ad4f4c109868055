"""The one flat prompt of a model that takes no messages, and the facts on the model that it needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from plugmux_hf_inference._facts import facts_of

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session
    from plugmux_hf_inference._families import PromptFacts
    from plugmux_hf_inference._places import Place
    from plugmux_hf_inference._prompts import Prompt

__all__ = ["continues", "flat_prompt", "is_bare", "prompt_facts"]


async def flat_prompt(request: Request, session: Session, place: Place) -> Prompt:
    """The conversation as one prompt.

    By the model's own template where it has one, else by its family, else as an extension or the core says.
    A single user message that is to be gone on with is the prompt itself. Made in a worker thread: a template
    is somebody else's program and may take its time. Raises InvalidRequestError if the template takes the
    messages in no form.
    """
    from plugmux_hf_inference._prompts import Prompt

    if is_bare(request):
        return Prompt(text=request.messages[0].text, source="the text itself")
    name = request.model.extra.get("hub_id") or request.model.id
    facts = await prompt_facts(session, place, name)
    build = partial(_build, facts, request, session)
    return await anyio.to_thread.run_sync(build, abandon_on_cancel=True)


def _build(facts: PromptFacts, request: Request, session: Session) -> Prompt:
    from plugmux_hf_inference._families import family_of
    from plugmux_hf_inference._prompts import Prompt, build_prompt

    goes_on = continues(request)
    if facts.template is not None or family_of(facts) is not None:
        return build_prompt(facts, request.messages, continue_final=goes_on)
    text = session.format_prompt(request.messages, continue_final=goes_on)
    return Prompt(text=text, source="an extension, or plain")


async def prompt_facts(session: Session, place: Place, name: str) -> PromptFacts:
    """What decides about a model's prompt: by its own tokenizer, else by its name alone."""
    from plugmux_hf_inference._families import PromptFacts

    known = await facts_of(session, place, name)
    if known is None:
        return PromptFacts(id=name)
    return PromptFacts.from_tokenizer(known.id, known.tokenizer, known.model_type)


def is_bare(request: Request) -> bool:
    """Whether the one message there is is itself the text to be gone on with."""
    wanted = request.options.action == "continue"
    return wanted and len(request.messages) == 1 and request.messages[0].role == "user"


def continues(request: Request) -> bool:
    """Whether the final assistant message is to be gone on with."""
    wanted = request.options.action == "continue"
    return wanted and bool(request.messages) and request.messages[-1].role == "assistant"
