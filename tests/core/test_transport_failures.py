"""Errors of what is below, in plugmux's words. Most are had from real sockets in `test_transports_*`."""

from __future__ import annotations

import ssl

import pytest

from plugmux.requests import Limits
from plugmux.stopwatch import Stopwatch
from plugmux.transports.failures import send_error


@pytest.mark.parametrize("error", [ssl.SSLError(1, "no"), ssl.SSLCertVerificationError(1, "another name")])
def test_what_tls_says_is_no_bad_address_though_it_is_a_value_error(error: ssl.SSLError) -> None:
    failure = send_error(error, Stopwatch(Limits()))
    assert failure.kind == "tls"
    assert failure.message.startswith("TLS failed")
