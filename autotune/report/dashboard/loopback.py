"""The names of this machine that no other machine can have: the guard against DNS rebinding."""

from __future__ import annotations

import ipaddress
import re

HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]*)?", re.IGNORECASE)
"""A `Host` header, or the address of `--host`; the port is optional."""


def is_loopback(host: str) -> bool:
    """True if a `Host` header or a listening address is `localhost` or a loopback address, with or without a port.

    A page elsewhere may bind its own name to 127.0.0.1, but not an address: `127.evil.example` is a name.
    """
    parts = HOST.fullmatch(host)
    name = host if parts is None else parts["ipv6"] or parts["name"]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
