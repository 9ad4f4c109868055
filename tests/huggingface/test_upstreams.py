"""A suffix is one only if it is known; a colon alone means nothing."""

from __future__ import annotations

import pytest

from plugmux.huggingface.upstreams import is_upstream, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("org/model:together", ("org/model", "together")),
        ("org/model:fastest", ("org/model", "fastest")),
        ("org/model:sambanova", ("org/model", "sambanova")),
        ("org/model", ("org/model", None)),
        ("llama3.1:8b", ("llama3.1:8b", None)),
        ("org/model:v2:groq", ("org/model:v2", "groq")),
        ("http://127.0.0.1:8000", ("http://127.0.0.1:8000", None)),
        (":together", (":together", None)),
    ],
)
def test_a_name_is_split_at_its_last_known_suffix(name, parts):
    assert split_name(name) == parts


def test_a_retired_upstream_is_still_known_by_name():
    assert is_upstream("sambanova")
    assert not is_upstream("fastest")
