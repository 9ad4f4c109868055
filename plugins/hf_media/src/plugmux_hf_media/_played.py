"""What the sandbox answers in each provider's shape. Pure values; `sandbox` has the routes."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from attrs import define

from plugmux.model import Task
from plugmux.sandbox import fault_models, picture
from plugmux_hf_media._listing import known_models
from plugmux_hf_media._table import routes_of

__all__ = [
    "Job",
    "accepted",
    "all_ids",
    "file_of",
    "is_bytes",
    "model_named",
    "result",
    "row",
    "status",
    "task_of",
]

TEXT = "This is the plugmux sandbox: nobody listened to the sound."
QUESTIONS = 2
"""Questions that a job is asked before it is done."""
NAMES = {
    "sandbox/film": Task.TEXT_TO_VIDEO,
    "sandbox/animation": Task.IMAGE_TO_VIDEO,
    "sandbox/picture": Task.TEXT_TO_IMAGE,
    "sandbox/edit": Task.IMAGE_TO_IMAGE,
    "sandbox/voice": Task.TEXT_TO_SPEECH,
    "sandbox/ears": Task.AUTOMATIC_SPEECH_RECOGNITION,
}
"""A model for each task, at every provider that does it."""
FAULTY = ("fal-ai", "together")
"""Where the models that fail on purpose are served."""


@define
class Job:
    """Work that was taken: who does it, what, and how often it was asked for."""

    provider: str
    task: Task
    asked: int = 0
    cancelled: bool = False

    @property
    def is_done(self) -> bool:
        return self.asked >= QUESTIONS

    @property
    def is_queued(self) -> bool:
        """Whether the provider takes it as a job, and does not answer with the result at once."""
        match self.provider:
            case "fal-ai":
                return self.task not in (Task.TEXT_TO_SPEECH, Task.AUTOMATIC_SPEECH_RECOGNITION)
            case "together":
                return file_of(self.task) == "film.mp4"
            case "replicate":
                return self.task is Task.TEXT_TO_VIDEO
        return self.provider in ("novita", "wavespeed", "zai-org")


def is_bytes(job: Job) -> bool:
    """Whether the answer is the file itself."""
    if job.task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        return False
    speaks = job.task is Task.TEXT_TO_SPEECH and job.provider in ("together", "deepinfra")
    return job.provider == "hf-inference" or speaks


def accepted(job: Job, id: str) -> dict[str, Any]:
    match job.provider:
        case "fal-ai":
            url = f"https://queue.fal.run/fal-ai/sandbox/requests/{id}"
            return {"status": "IN_QUEUE", "request_id": id, "response_url": url, "queue_position": 1}
        case "novita":
            return {"task_id": id}
        case "zai-org":
            return {"id": id, "task_status": "PROCESSING"}
        case "wavespeed":
            get = f"https://api.wavespeed.ai/api/v3/predictions/{id}/result"
            return {"code": 200, "data": {"id": id, "status": "created", "urls": {"get": get}, "outputs": []}}
    return {"id": id, "status": "queued" if job.provider == "together" else "starting"}


def status(job: Job, id: str, files: str) -> dict[str, Any]:
    """What a job says of itself; the result is in it where the provider puts it there."""
    made = result(job.provider, job.task, files) if job.is_done else {}
    match job.provider:
        case "fal-ai":
            return {"status": "COMPLETED" if job.is_done else "IN_PROGRESS", "request_id": id}
        case "novita":
            task = {"status": "TASK_STATUS_SUCCEED" if job.is_done else "TASK_STATUS_PROCESSING"}
            return {"task": {**task, "progress_percent": 100 * job.asked // QUESTIONS}, **made}
        case "zai-org":
            return {"id": id, "task_status": "SUCCESS" if job.is_done else "PROCESSING", **made}
        case "wavespeed":
            status = "completed" if job.is_done else "processing"
            return {"code": 200, "data": {"id": id, "status": status, "outputs": [], **made.get("data", {})}}
        case "together":
            return {"id": id, "status": "completed" if job.is_done else "in_progress", **made}
    return {"id": id, "status": "succeeded" if job.is_done else "processing", "output": None, **made}


def result(provider: str, task: Task, files: str) -> dict[str, Any]:
    """A result in the provider's own shape."""
    if task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        return {"output": TEXT} if provider == "replicate" else {"text": TEXT}
    url = f"{files}/{file_of(task)}"
    is_film = file_of(task) == "film.mp4"
    match provider:
        case "fal-ai" if task is Task.TEXT_TO_SPEECH:
            return {"audio": {"url": url}}
        case "fal-ai":
            return {"video": {"url": url}} if is_film else {"images": [{"url": url}], "seed": 1}
        case "together" if is_film:
            return {"outputs": {"video_url": url}}
        case "together" | "nscale":
            return {"data": [{"index": 0, "b64_json": base64.b64encode(picture()).decode()}]}
        case "novita":
            return {"videos": [{"video_url": url}]}
        case "wavespeed":
            return {"data": {"outputs": [url]}}
        case "zai-org":
            return {"image_result": [{"url": url}]}
    return {"output": url if is_film or task is Task.TEXT_TO_SPEECH else [url]}


def file_of(task: Task) -> str:
    if task in (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO):
        return "film.mp4"
    return "sound.wav" if task is Task.TEXT_TO_SPEECH else "picture.png"


def all_ids() -> tuple[str, ...]:
    """Models of the sandbox's Hub: its own, those that plugmux knows without one, and the faulty ones."""
    return (*NAMES, *(model.id for model in known_models()), *fault_models())


def row(id: str, *, as_list: bool) -> dict[str, Any]:
    """What the Hub says of a model, its mapping in either of the two shapes."""
    served = _mapping(id)
    task = next(iter(served.values()))["task"]
    mapping: Any = [{"provider": name, **entry} for name, entry in served.items()] if as_list else served
    return {"id": id, "pipeline_tag": task, "gated": False, "inferenceProviderMapping": mapping}


def _mapping(id: str) -> dict[str, dict[str, Any]]:
    if (task := NAMES.get(id)) is not None:
        return {route.provider: _entry(id, task) for route in routes_of(task)}
    for model in known_models():
        if model.id == id:
            return {entry.upstream: _entry(entry.remote_id, Task(entry.task)) for entry in model.served}
    return {name: _entry(id, Task.TEXT_TO_IMAGE) for name in FAULTY}


def _entry(remote_id: str, task: Task) -> dict[str, Any]:
    return {"status": "live", "providerId": remote_id, "task": task.value}


def task_of(provider: str, remote_id: str) -> Task | None:
    """What a provider does with one of its ids."""
    for model in all_ids():
        entry = _mapping(model).get(provider)
        if entry is not None and entry["providerId"] == remote_id:
            return Task(entry["task"])
    return None


_PATHS = re.compile(r"(?:v1/)?models/(.+?)(?:/predictions)?|v3/async/(.+)|api/v3/(.+)")
_FORM = re.compile(rb'name="model"\r\n\r\n(.*?)\r\n')


def model_named(provider: str, path: str, body: bytes) -> str:
    """The id that a submission names: in its path, its JSON or its form; "" if none."""
    if provider == "fal-ai":
        return path
    if found := _PATHS.fullmatch(path):
        return next(filter(None, found.groups()), "")
    if found_in_form := _FORM.search(body):
        return found_in_form[1].decode()
    try:
        return str(json.loads(body).get("model", ""))
    except (ValueError, AttributeError):
        return ""
