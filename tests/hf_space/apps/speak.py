"""Text to speech, with voices to choose from; speech to text beside it."""

import gradio as gr
import numpy as np

RATE = 8000


def speak(text, voice="low", speed=1.0):
    pitch = {"low": 200, "high": 800}[voice]
    times = np.arange(int(RATE * 0.2 / speed)) / RATE
    return RATE, (np.sin(2 * np.pi * pitch * times) * 9000).astype(np.int16)


def listen(audio):
    rate, samples = audio
    return f"{len(samples) / rate:.2f} seconds"


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    voice = gr.Dropdown(["low", "high"], value="low", label="Voice")
    speed = gr.Slider(0.5, 2, value=1, step=0.1, label="Speed")
    gr.Button("Speak").click(speak, [text, voice, speed], gr.Audio(label="Sound"))
    gr.Button("Listen").click(listen, gr.Audio(label="Speech"), gr.Textbox(label="Said"))
