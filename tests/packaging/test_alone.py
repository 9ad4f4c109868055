"""Members alone: what works with little installed, and what is said of the rest."""

from __future__ import annotations

import json
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

NOT_OURS = """
import sys
print(sorted({name.partition(".")[0] for name in sys.modules if name.startswith("plugmux_")}))
"""


@pytest.fixture
def chat_server() -> Iterator[str]:
    """The address of a server that speaks just enough chat to be asked one thing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Chat)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


class _Chat(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = f"{asked['model']} heard {asked['messages'][-1]['content']}"
        chunks = [
            {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            for word in (said[:5], said[5:])
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_core_alone_says_which_plugin_to_install(environment):
    done = environment("plugmux").run("""if True:
        import plugmux
        try:
            plugmux.complete("llama-3.3-70b", "Hi")
        except plugmux.PlugmuxError as error:
            print(error)
    """)
    assert done.returncode == 0, done.stderr
    assert "pip install plugmux-hf-inference" in done.stdout or "plugmux install hf-inference" in done.stdout


def test_importing_core_imports_no_dependency_and_no_plugin(environment):
    done = environment("plugmux", "plugmux-hf-inference").run("""if True:
        import sys
        before = set(sys.modules)
        import plugmux
        heavy = {"httpx", "anyio", "attrs", "attr", "pluggy", "importlib_metadata", "plugmux_hf_inference"}
        print(sorted((set(sys.modules) - before) & heavy))
    """)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_plugin_alone_with_core_lists_its_models(environment, wheels, plugin):
    done = environment("plugmux", plugin).run(
        "import plugmux\nfor model in plugmux.models(): print(model.provider)\n" + NOT_OURS
    )
    assert done.returncode == 0, done.stderr
    *providers, loaded = done.stdout.splitlines()
    assert providers
    assert set(providers) <= wheels[plugin].entry_points("plugmux")
    assert loaded in ("[]", f"[{plugin.replace('-', '_')!r}]")


def test_a_plugin_alone_says_why_it_cannot_serve_an_unknown_model(environment, plugin):
    done = environment("plugmux", plugin).run("""if True:
        import plugmux
        try:
            plugmux.complete("nobody/serves-this-model", "Hi")
        except plugmux.PlugmuxError as error:
            print(error)
    """)
    assert done.returncode == 0, done.stderr
    assert "nobody/serves-this-model" in done.stdout


def test_a_pinned_provider_that_is_not_installed_is_named_with_the_remedy(environment):
    done = environment("plugmux", "plugmux-hf-inference").run("""if True:
        import plugmux
        try:
            plugmux.complete("hf-chat::some/model", "Hi")
        except plugmux.PlugmuxError as error:
            print(error)
    """)
    assert done.returncode == 0, done.stderr
    assert "plugmux-hf-chat" in done.stdout or "plugmux install hf-chat" in done.stdout


def test_core_and_hf_inference_answer_from_a_server(environment, chat_server):
    code = """if True:
        import plugmux
        with plugmux.stream("local::some-model", "me") as stream:
            for event in stream:
                pass
        print(stream.completion.text, stream.completion.provider)
    """
    instances = f"local=hf-inference@{chat_server}"
    done = environment("plugmux", "plugmux-hf-inference").run(
        textwrap.dedent(code), PLUGMUX_INSTANCES=instances
    )
    assert done.stdout.strip() == "some-model heard me local", done.stderr


def test_core_and_hf_inference_are_at_most_18_distributions(environment):
    installed = environment("plugmux", "plugmux-hf-inference").distributions()
    assert {"plugmux", "plugmux-hf-inference", "httpx", "pluggy"} <= installed
    assert len(installed) <= 18, sorted(installed)


def test_the_command_line_without_its_extra_says_what_to_install(environment):
    alone = environment("plugmux")
    done = alone.call([str(alone.folder / "bin" / "plugmux"), "models"], {})
    assert done.returncode != 0
    assert "plugmux[cli]" in done.stderr
    assert "Traceback" not in done.stderr
