"""A server that notes when the last request came in."""

from __future__ import annotations

import socket
import tempfile
import threading
import time

from contest import clean_environment
from server import answer

NOTHING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
LISTED = b'{"object": "list", "data": [{"id": "bench", "object": "model"}]}'
MODELS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n" + LISTED


class Arrivals:
    """`last` is when the bytes of the last POST arrived, on the machine's monotonic clock."""

    def __enter__(self) -> Arrivals:
        self.last = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._home = tempfile.TemporaryDirectory()
        self._answer = answer(1)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._home.cleanup()

    def environment(self) -> dict[str, str]:
        """A home of its own, and this server as plugmux's provider `local` and as BENCH_ADDRESS."""
        instance = f"local=hf-inference@{self.address}"
        ours = {"PLUGMUX_HOME": self._home.name, "PLUGMUX_INSTANCES": instance}
        return clean_environment(BENCH_ADDRESS=self.address, **ours)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer_one(connection)

    def _answer_one(self, connection: socket.socket) -> None:
        """A GET asks for the models, only a POST is the request itself."""
        data = connection.recv(65536)
        arrived = time.monotonic()
        if not data.startswith(b"POST"):
            connection.sendall(MODELS if b"/models " in data else NOTHING)
            return
        self.last = arrived
        while data and not data.endswith(b"}"):
            data += connection.recv(65536)
        connection.sendall(self._answer)
