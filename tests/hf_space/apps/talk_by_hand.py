"""The chat that people write by hand: a text box and a Chatbot go in and come out."""

import time

import gradio as gr

MAJOR = int(gr.__version__.split(".")[0])


def respond(message, chat_history):
    chat_history = list(chat_history or [])
    earlier = len(chat_history)
    chat_history.append({"role": "user", "content": message})
    chat_history.append({"role": "assistant", "content": ""})
    for word in f"{earlier} earlier, you said {message}".split():
        chat_history[-1]["content"] += f"{word} "
        time.sleep(0.02)
        yield "", chat_history


with gr.Blocks() as demo:
    chatbot = gr.Chatbot(**({"type": "messages"} if MAJOR < 6 else {}))
    message = gr.Textbox(label="Message")
    gr.ClearButton([message, chatbot])
    message.submit(respond, [message, chatbot], [message, chatbot])
