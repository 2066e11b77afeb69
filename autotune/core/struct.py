"""The base of all data structures, their JSON digest, and the values that a setting may have."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from typing import dataclass_transform
else:  # Python 3.10, which may run a worker, has none

    def dataclass_transform(**_: Any) -> Any:
        """For type checkers only."""
        return lambda kind: kind


FORMAT = 1
"""The version that files bear: an older one is read, a newer one refused by name."""

Value = bool | int | float | str
"""A value of a setting: of a knob or of a backend's option."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all data: immutable, strict, and to a type checker keyword-only."""


def is_number(value: Value) -> bool:
    """True for an int or float, which has an order; False for a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys) of any value that msgspec encodes."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
