"""What an entry of the table of providers is made of. Values only; `_table` has the entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from attrs import field, frozen

from plugmux.attachments import Attachment
from plugmux.huggingface.images import ImageRequest
from plugmux.model import Task
from plugmux.requests import Options

__all__ = ["Form", "Lora", "Queue", "Route", "Slot", "Take", "Wanted"]

Take: TypeAlias = str | Callable[[Any], dict[str, Any]]
"""How an option is said: under another name, or by a function from its value to fields."""


class Slot(Enum):
    """A place in a body's template that the request fills."""

    PROMPT = "the prompt, empty if there is none"
    PROMPT_IF_ANY = "the prompt; the field is left out if there is none"
    MODEL = "the provider's id of the model"
    VERSION = "what stands behind the colon of the id; the field is left out if there is no colon"
    MEDIA = "the picture or sound as a URL: the caller's own, or a data URL"
    BASE64 = "the picture or sound as bare base64"


class Form(Enum):
    """How a body travels."""

    JSON = "json"
    BINARY = "the bytes themselves while nothing else is to be said, else JSON"
    MULTIPART = "multipart/form-data with the bytes under `file` and the model last"


@frozen(kw_only=True)
class Wanted:
    """One request, as far as a body depends on it.

    `weights` is the file of a LoRA, `hub` the Hub's URL, from which a provider fetches it.
    """

    model: str
    remote_id: str
    prompt: str = ""
    attachment: Attachment | None = None
    options: Options = field(factory=Options)
    weights: str | None = None
    hub: str


Lora: TypeAlias = Callable[[Wanted], dict[str, Any]]


@frozen(kw_only=True)
class Queue:
    """How a provider's jobs are followed. Addresses are paths below the provider's own.

    `job`     where the submission's answer names the job: an id, or a URL whose path counts
    `poll`    the address to ask, with `{job}`
    `result`  the address of the result, where the polled answer does not hold it
    `cancel`  method and address, where the provider can be told to stop
    `status`  where an answer has the word for the job's state
    `seconds` between the first two questions; later ones come at longer intervals
    """

    job: str
    poll: str
    status: str = "status"
    result: str | None = None
    cancel: tuple[str, str] | None = None
    seconds: float = 0.5


@frozen(kw_only=True)
class Route:
    """One task at one provider.

    `path`      below the provider's address; `versioned` for an id with a colon. `{model}` is the id
    `body`      the template, with `Slot`s
    `under`     the key of the body that options go below; None is the body itself
    `takes`     the options it takes, and how each is said
    `size`      says width and height; None where they cannot be said
    `standard`  fields for a size when the caller gives none, where the provider's own is not the usual
    `results`   where the answer has the result, first found; a JSON answer only. Raw bytes need none
    `shared`    the whole request, where another plugin sends the same
    """

    provider: str
    task: Task
    path: str
    versioned: str | None = None
    body: Mapping[str, Any] = field(factory=dict)
    under: str | None = None
    takes: Mapping[str, Take] = field(factory=dict)
    size: Callable[[int, int], dict[str, Any]] | None = None
    standard: Mapping[str, Any] = field(factory=dict)
    form: Form = Form.JSON
    headers: Mapping[str, str] = field(factory=dict)
    results: tuple[str, ...] = ()
    queue: Queue | None = None
    lora: Lora | None = None
    relabel: Mapping[str, str] = field(factory=dict)
    """MIME types of the caller's media that the provider knows by another name; "" is all others."""
    shared: Callable[[str, str, Options], ImageRequest] | None = None

    @property
    def reads(self) -> str | None:
        """The option whose picture or sound this task starts from."""
        if self.task is Task.AUTOMATIC_SPEECH_RECOGNITION:
            return "audio"
        return "image" if self.task in (Task.IMAGE_TO_IMAGE, Task.IMAGE_TO_VIDEO) else None

    @property
    def needs_bytes(self) -> bool:
        """Whether a picture or sound that is given by URL has to be fetched first."""
        return self.form is not Form.JSON
