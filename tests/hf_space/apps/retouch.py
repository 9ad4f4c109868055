"""Image and prompt to image; the third output is a button."""

import gradio as gr
from PIL import ImageOps


def retouch(input_image, prompt, strength=0.5):
    return ImageOps.invert(input_image.convert("RGB")), f"{prompt} at {strength}", gr.Button(visible=True)


with gr.Blocks() as demo:
    image = gr.Image(label="Input", type="pil")
    prompt = gr.Textbox(label="Prompt")
    strength = gr.Slider(0, 1, value=0.5, step=0.1, label="Strength")
    result = gr.Image(label="Result")
    note = gr.Textbox(label="Note")
    again = gr.Button("Again", visible=False)
    gr.Button("Go").click(retouch, [image, prompt, strength], [result, note, again])
    again.click(lambda image: image, result, image)
