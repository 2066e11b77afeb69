from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.report.dashboard.loopback import is_loopback

PORTS = st.sampled_from(["", ":", ":80", ":8080", ":65535", ":8080:80", ":x"])
LABELS = st.from_regex(r"[a-z0-9-]{1,6}", fullmatch=True)
BEGINNINGS = st.sampled_from(["127.", "127.0.0.1.", "localhost.", "[::1].", "::1", "[", "", "0.", "[::ffff:127.0.0.1]"])
HOSTS = st.one_of(
    st.text(),
    st.builds("".join, st.tuples(BEGINNINGS, LABELS, st.sampled_from(["", ".", ".example", "]"]), PORTS)),
    st.builds("{}{}".format, st.ip_addresses(), PORTS),
    st.builds("[{}]{}".format, st.ip_addresses(v=6), PORTS),
)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:80", "127.255.0.7:1", "[::1]", "[::1]:8080", "::1"],
)
def test_this_machine_is_known_by_each_of_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.evil.example",
        "127.0.0.1.evil.example:8080",
        "localhost.evil.example",
        "evil.example:127",
        "[::1].evil.example",
        "[127.evil.example]",
        "::1.evil.example",
        "127.0.0.1\n",
        "127.0.0.1:80\n",
        "localhost:8080@evil.example",
        "0.0.0.0",
        "[::]:8080",
        "192.168.0.1",
        "",
        ":8080",
    ],
)
def test_the_name_of_another_machine_is_not(host: str) -> None:
    assert not is_loopback(host)


@given(HOSTS)
def test_only_an_address_that_the_system_takes_for_loopback_is(host: str) -> None:
    assert not is_loopback(host) or _addresses_this_machine(host)


def _addresses_this_machine(host: str) -> bool:
    """True if the system's own parser reads a loopback address, or the name is localhost."""
    name, colon, port = host.rpartition(":")
    names = [host] if not colon or (port and not port.isdecimal()) else [host, name]
    return any(each.lower() == "localhost" or _packed(each.removeprefix("[").removesuffix("]")) for each in names)


def _packed(address: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, address)
        except (OSError, UnicodeError, ValueError):
            continue
        return packed[0] == 127 if family == socket.AF_INET else packed in (b"\0" * 15 + b"\1", MAPPED + packed[-4:])
    return False


MAPPED = b"\0" * 10 + b"\xff\xff"
