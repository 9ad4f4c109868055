"""Start Gradio apps in one process: `python serve.py FOLDER NAME…`, each with `demo` in its module.

Prints one line of JSON, name to address, when all are up, and ends when its standard input does: a test
that dies leaves nothing behind.
"""

import importlib
import json
import os
import socket
import sys
import tempfile
import warnings

os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="plugmux-gradio-"))
warnings.simplefilter("ignore")

import gradio  # noqa: E402


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def launch(demo):
    modern = {"ssr_mode": False} if int(gradio.__version__.split(".")[0]) >= 5 else {}
    _, url, _ = demo.launch(
        server_name="127.0.0.1", server_port=free_port(), quiet=True, prevent_thread_lock=True, **modern
    )
    return url.rstrip("/")


def main(folder, *names):
    os.chdir(os.environ["GRADIO_TEMP_DIR"])
    sys.path.insert(0, folder)
    urls = {name: launch(importlib.import_module(name).demo) for name in names}
    print(json.dumps({"version": gradio.__version__, "urls": urls}), flush=True)
    sys.stdin.read()
    os._exit(0)  # gradio's threads would hold the process


if __name__ == "__main__":
    main(*sys.argv[1:])
