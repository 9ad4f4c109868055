"""Whatever breaks where: the caller never gets one answer's beginning joined to another's end."""

from itertools import pairwise

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugmux import (
    Finish,
    InvalidRequestError,
    Model,
    PlugmuxError,
    RateLimitError,
    Reset,
    ServerError,
    StreamCutError,
    Text,
    hookimpl,
)

LENGTH = 6
FAILURES = [
    None,
    StreamCutError("cut"),
    ServerError("down"),
    RateLimitError("slow"),
    InvalidRequestError("no"),
]


class Speaker:
    """Says its own words; goes on with a prefill where it can; fails at one point of each attempt."""

    def __init__(self, letter, breaks, prefill):
        self.words = [f"{letter}{number} " for number in range(LENGTH)]
        self.breaks = list(breaks)
        self.prefill = prefill

    @hookimpl
    async def get_models(self):
        return [Model(id="org/model", auth="none", capabilities={"prefill": self.prefill})]

    @hookimpl
    async def create_stream(self, request, session):
        done = 0
        if request.options.action == "continue":
            assert self.prefill
            done = len(request.messages[-1].text.split())
        at, error = self.breaks.pop(0) if self.breaks else (LENGTH, None)
        for number, word in enumerate(self.words[done:]):
            if number == at:
                if error is not None:
                    raise type(error)(error.message)
                return
            yield Text(text=word)
        yield Finish()


breaks = st.lists(st.tuples(st.integers(0, LENGTH), st.sampled_from(FAILURES)), max_size=3)


@given(
    first=breaks,
    second=breaks,
    prefills=st.tuples(st.booleans(), st.booleans()),
    on_break=st.sampled_from([None, "restart", "continue", "error"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_answer_is_one_answer_or_an_error(client, backend, first, second, prefills, on_break):
    a, b = Speaker("a", first, prefills[0]), Speaker("b", second, prefills[1])
    one = client(a=a, b=b)

    async def ask():
        seen = []
        async with one.stream("org/model", "hi", policy={"order": ["a"], "on_break": on_break}) as stream:
            async for event in stream:
                if isinstance(event, Reset):
                    seen.clear()
                elif isinstance(event, Text):
                    seen.append(event.text)
        assert stream.completion.text == "".join(seen)
        return seen

    try:
        said = anyio.run(ask, backend=backend)
    except PlugmuxError:
        return
    assert [int(word.strip()[1:]) for word in said] == list(range(LENGTH)), "nothing lost, nothing twice"
    switches = sum(x[0] != y[0] for x, y in pairwise(said))
    assert switches == 0 or on_break == "continue"
