"""Text to video. The file has a video's first bytes and a blank in its name."""

import tempfile
from pathlib import Path

import gradio as gr

CLIP = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 64


def film(prompt, duration=2.0):
    path = Path(tempfile.mkdtemp()) / "my clip.mp4"
    path.write_bytes(CLIP)
    return str(path)


with gr.Blocks() as demo:
    prompt = gr.Textbox(label="Prompt")
    duration = gr.Slider(1, 8, value=2, step=0.5, label="Duration")
    gr.Button("Roll").click(film, [prompt, duration], gr.Video(label="Film"))
