"""Text to image: a generator with previews and progress, sliders, a dice for the seed."""

import random
import time

import gradio as gr
from PIL import Image


def paint(prompt, seed=1, randomize_seed=False, width=64, height=64, steps=4, progress=gr.Progress()):  # noqa: B008  gradio's own way
    seed = random.randint(0, 999) if randomize_seed else int(seed)
    for step in range(1, int(steps) + 1):
        progress((step, int(steps)), desc="Painting", unit="steps")
        time.sleep(0.05)
        yield Image.new("RGB", (int(width), int(height)), (seed % 256, len(prompt) % 256, step * 20)), seed


with gr.Blocks() as demo:
    prompt = gr.Textbox(label="Prompt")
    seed = gr.Slider(0, 999, value=0, step=1, label="Seed")
    dice = gr.Checkbox(value=True, label="Randomize seed")
    width = gr.Slider(32, 256, value=64, step=32, label="Width")
    height = gr.Slider(32, 256, value=64, step=32, label="Height")
    steps = gr.Slider(1, 10, value=4, step=1, label="Steps")
    result = gr.Image(label="Result")
    gr.Button("Paint").click(paint, [prompt, seed, dice, width, height, steps], [result, seed])
