"""A streamed ChatInterface with rules and a temperature; it counts what it remembers."""

import time

import gradio as gr

MAJOR = int(gr.__version__.split(".")[0])


def answer(message, history, system_message, temperature):
    said = ""
    for word in f"{len(history)} earlier; {system_message}; {temperature:.1f}; you said: {message}".split():
        said += f"{word} "
        time.sleep(0.05)
        yield said


demo = gr.ChatInterface(
    answer,
    additional_inputs=[
        gr.Textbox(value="no rules", label="System message"),
        gr.Slider(0, 2, value=0.5, step=0.1, label="Temperature"),
    ],
    **({"type": "messages"} if MAJOR < 6 else {}),
)
