"""The wire of the image routes that more than one plugin uses, and of OpenAI's. Pure.

`hf-inference` takes `{"inputs", "parameters"}` and answers with the picture's bytes; Together takes OpenAI's
shape with words of its own, and answers with base64 in JSON (both recorded).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from plugmux.errors import InvalidInputError, MalformedResponseError
from plugmux.media import Media, MediaKind

if TYPE_CHECKING:
    from plugmux.http import Response
    from plugmux.requests import Options

__all__ = [
    "ImageRequest",
    "hf_inference_request",
    "image_of",
    "openai_request",
    "size_of",
    "together_request",
]

IMAGE_OPTIONS = frozenset(
    {
        "negative_prompt",
        "aspect_ratio",
        "width",
        "height",
        "num_inference_steps",
        "guidance_scale",
        "seed",
    }
)


class ImageRequest(NamedTuple):
    """What to post: `path` below the service's URL, the JSON body, and the options that it cannot carry."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = MappingProxyType({})
    ignored: tuple[str, ...] = ()


def hf_inference_request(remote_id: str, prompt: str, options: Options) -> ImageRequest:
    """A text-to-image request for `hf-inference/models/{id}`."""
    parameters = _sizes(options)
    for name in ("negative_prompt", "num_inference_steps", "guidance_scale", "seed"):
        if (value := getattr(options, name)) is not None:
            parameters[name] = value
    body: dict[str, Any] = {"inputs": prompt} | ({"parameters": parameters} if parameters else {})
    return ImageRequest(
        path=f"hf-inference/models/{remote_id}",
        body=body,
        headers={"Accept": "image/png"},
        ignored=_ignored(options, IMAGE_OPTIONS),
    )


def together_request(remote_id: str, prompt: str, options: Options) -> ImageRequest:
    """A text-to-image request for Together's `/v1/images/generations`. `steps` is its own word."""
    body: dict[str, Any] = {"model": remote_id, "prompt": prompt, "response_format": "base64"}
    body |= _sizes(options)
    names = {
        "num_inference_steps": "steps",
        "negative_prompt": "negative_prompt",
        "guidance_scale": "guidance_scale",
        "seed": "seed",
    }
    for name, sent in names.items():
        if (value := getattr(options, name)) is not None:
            body[sent] = value
    return ImageRequest(
        path="together/v1/images/generations", body=body, ignored=_ignored(options, IMAGE_OPTIONS)
    )


def openai_request(remote_id: str, prompt: str, options: Options) -> ImageRequest:
    """A text-to-image request for `images/generations` below any API of OpenAI's shape (documented). It
    carries one `size`; a side that is not given is as long as the other."""
    body: dict[str, Any] = {"model": remote_id, "prompt": prompt, "response_format": "b64_json"}
    if sides := _sizes(options):
        side = next(iter(sides.values()))
        body["size"] = f"{sides.get('width', side)}x{sides.get('height', side)}"
    taken = frozenset({"aspect_ratio", "width", "height"})
    return ImageRequest(path="images/generations", body=body, ignored=_ignored(options, taken))


def image_of(response: Response, *, prompt: str | None = None) -> Media | str:
    """The picture of an answer, or the URL where it is.

    Takes raw bytes, `data[].b64_json`, `data[].url`, `output[]` and `images[].url`. Raises
    MalformedResponseError when there is none. A large answer takes time: read it in a worker thread.
    """
    if _is_json(response):
        return _of_json(response.json(), prompt)
    if not response.content:
        raise MalformedResponseError("an empty answer instead of a picture", status=response.status)
    kind = response.content_type
    media = Media.from_bytes(response.content, kind=MediaKind.IMAGE, mime_type=kind, prompt=prompt)
    if not media.mime_type.startswith("image/"):
        raise MalformedResponseError(
            f"{kind or 'untyped content'} instead of a picture", status=response.status
        )
    return media


def size_of(aspect_ratio: str, *, area: int = 1024 * 1024, multiple: int = 32) -> tuple[int, int]:
    """Width and height in pixels for `"16:9"`, near `area`, each a multiple of `multiple`.

    Raises InvalidInputError for what is no ratio.
    """
    ratio = _ratio(aspect_ratio)
    height = (area / ratio) ** 0.5
    return _rounded(height * ratio, multiple), _rounded(height, multiple)


def _ratio(text: str) -> float:
    try:
        across, up = (float(part) for part in text.replace("/", ":").split(":"))
        ratio = across / up
        if not 0.1 <= ratio <= 10:
            raise ValueError(ratio)
    except (ValueError, ZeroDivisionError) as error:
        said = f'expected a ratio like "16:9", got {text!r}'
        raise InvalidInputError(said, field="aspect_ratio") from error
    return ratio


def _rounded(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _sizes(options: Options) -> dict[str, Any]:
    given = {"width": options.width, "height": options.height}
    sizes = {name: value for name, value in given.items() if value is not None}
    if options.aspect_ratio is None or len(sizes) == 2:
        return sizes
    ratio = _ratio(options.aspect_ratio)
    if options.width is not None:
        return {"width": options.width, "height": _rounded(options.width / ratio, 8)}
    if options.height is not None:
        return {"width": _rounded(options.height * ratio, 8), "height": options.height}
    width, height = size_of(options.aspect_ratio)
    return {"width": width, "height": height}


def _ignored(options: Options, taken: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in options.given() if name not in taken)


def _is_json(response: Response) -> bool:
    kind = response.content_type
    return kind.endswith("json") or (not kind.startswith("image/") and response.content[:1] in (b"{", b"["))


def _of_json(body: object, prompt: str | None) -> Media | str:
    for entry in _entries(body):
        if isinstance(entry, str):
            return entry
        if isinstance(entry.get("b64_json"), str):
            return _of_base64(entry["b64_json"], prompt)
        if isinstance(entry.get("url"), str):
            return str(entry["url"])
    raise MalformedResponseError(f"an answer without a picture: {str(body)[:200]}")


def _entries(body: object) -> list[Any]:
    if not isinstance(body, dict):
        return []
    found: Any = next((body[key] for key in ("data", "output", "images") if body.get(key)), [])
    entries = found if isinstance(found, list) else [found]
    return [entry for entry in entries if isinstance(entry, str | dict)]


def _of_base64(text: str, prompt: str | None) -> Media:
    try:
        media = Media.from_base64(text, kind=MediaKind.IMAGE, mime_type="image/png", prompt=prompt)
    except ValueError as error:
        raise MalformedResponseError("a picture with broken base64") from error
    if not media.size:
        raise MalformedResponseError("an empty picture")
    return media
