"""Run by an interpreter that has huggingface_hub: sends each case of a JSON file as that client does.

    python hub_client.py URL CASES

The local server answers every submission with an error, so each call ends there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(url: str, path: str) -> None:
    os.environ["HF_ENDPOINT"] = url
    from huggingface_hub import constants

    constants.INFERENCE_PROXY_TEMPLATE = f"{url}/{{provider}}"
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    for case in json.loads(Path(path).read_text()):
        client = InferenceClient(
            provider=case["provider"], token=case["token"], headers={"x-case": case["id"]}
        )
        try:
            call(client, case)
        except HfHubHTTPError as error:
            if "seen" not in str(error):
                raise
        else:
            raise AssertionError(f"{case['id']}: not refused by the server")


def call(client: Any, case: dict[str, Any]) -> None:
    prompt, model, options = case["prompt"], case["model"], dict(case["options"])
    match case["task"]:
        case "text-to-image":
            client.text_to_image(prompt, model=model, **options)
        case "image-to-image":
            sides = {name: options.pop(name) for name in ("width", "height") if name in options}
            kwargs = {"target_size": sides} if sides else {}
            client.image_to_image(case["image"], prompt or None, model=model, **kwargs, **options)
        case "text-to-video":
            client.text_to_video(prompt, model=model, **options)
        case "image-to-video":
            client.image_to_video(case["image"], prompt=prompt or None, model=model, **options)
        case "text-to-speech":
            client.text_to_speech(prompt, model=model, extra_body=options or None)
        case "automatic-speech-recognition":
            client.automatic_speech_recognition(Path(case["audio"]).read_bytes(), model=model)


if __name__ == "__main__":
    main(*sys.argv[1:])
