"""Serve a model by TGI's routes: `/info`, `/generate` and `/generate_stream`, one token an event.

python tgi_server.py FOLDER          needs torch and transformers; prints its port, ends with its input

TGI itself comes as a container only. The model is real, the words on the wire are TGI's.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WINDOW = 512


class Generator:
    """Greedy decoding, token by token."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.suppressed = self.model.generation_config.suppress_tokens

    def ids(self, prompt: str) -> list[int]:
        return self.tokenizer(prompt, add_special_tokens=False).input_ids

    @torch.no_grad()
    def tokens(self, prompt: str, count: int) -> Iterator[int]:
        ids = self.ids(prompt)
        for _ in range(count):
            scores = self.model(torch.tensor([ids])).logits[0, -1]
            scores[self.suppressed] = -torch.inf
            ids.append(int(scores.argmax()))
            yield ids[-1]

    def text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    generator: Generator

    def do_GET(self) -> None:
        info = {"model_id": self.generator.folder, "max_total_tokens": WINDOW, "max_input_tokens": WINDOW - 1}
        self._json(200, info) if self.path == "/info" else self._json(404, {"error": "no such route"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt, count = asked["inputs"], asked.get("parameters", {}).get("max_new_tokens") or 20
        given = len(self.generator.ids(prompt))
        if given + count > WINDOW:
            said = f"`inputs` tokens + `max_new_tokens` must be <= {WINDOW}. Given: {given} `inputs` tokens"
            error = f"Input validation error: {said} and {count} `max_new_tokens`"
            self._json(422, {"error": error, "error_type": "validation"})
        elif self.path == "/generate_stream":
            self._stream(prompt, count, given)
        elif self.path == "/generate":
            text = self.generator.text(list(self.generator.tokens(prompt, count)))
            self._json(200, {"generated_text": text})
        else:
            self._json(404, {"error": "no such route"})

    def _stream(self, prompt: str, count: int, given: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        said: list[int] = []
        for number in self.generator.tokens(prompt, count):
            said.append(number)
            event = {
                "index": len(said),
                "token": self._token(number),
                "generated_text": None,
                "details": None,
            }
            if len(said) == count:
                event["generated_text"] = self.generator.text(said)
                event["details"] = {
                    "finish_reason": "length",
                    "generated_tokens": count,
                    "input_length": given,
                }
            self._chunk(f"data:{json.dumps(event)}\n\n".encode())
        self._chunk(b"")

    def _token(self, number: int) -> dict[str, object]:
        return {"id": number, "text": self.generator.text([number]), "logprob": None, "special": False}

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        return


def main(folder: str) -> None:
    Handler.generator = Generator(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
