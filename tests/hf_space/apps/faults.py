"""What goes wrong, each in its own way, and a witness that tells what the server did."""

import time

import gradio as gr

SEEN = {"ticks": 0, "slow": 0, "blocking": 0}
QUOTA = "You have exceeded your free ZeroGPU quota (60s requested vs. 5s left). Try again in 1:02:03"


def says_no(x):
    raise gr.Error(f"You must not say {x}")


def breaks(x):
    raise ValueError(f"secret detail {x}")


def breaks_late(x):
    yield f"{x} one"
    time.sleep(0.05)
    yield f"{x} one two"
    raise gr.Error("failed after two pieces")


def no_quota(x):
    raise gr.Error(QUOTA)


def warns(x):
    gr.Info("an info line")
    gr.Warning("a warning line")
    return x


def ticks(x):
    for tick in range(400):
        SEEN["ticks"] += 1
        time.sleep(0.05)
        yield f"{x} {'.' * tick}"


def slow(x):
    time.sleep(0.6)
    SEEN["slow"] += 1
    return x


def blocking(x):
    time.sleep(0.6)
    SEEN["blocking"] += 1
    return x


def witness(x):
    return str(SEEN[x])


with gr.Blocks() as demo:
    x = gr.Textbox(label="x")
    y = gr.Textbox(label="y")
    for function in (says_no, breaks, breaks_late, no_quota, warns, ticks, blocking, witness):
        gr.Button(function.__name__).click(function, x, y, api_name=function.__name__)
    gr.Button("slow").click(slow, x, y, api_name="slow", concurrency_limit=1)

demo.queue(max_size=4)
