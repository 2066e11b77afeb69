"""Transparent huge pages (2 MiB instead of 4 KiB on x86) for large allocations.

Two parties can ask, and each is told in the environment: torch for its own tensors of 2 MiB and more
(THP_MEM_ALLOC_ENABLE, under any allocator), and glibc's malloc for its heap and large areas (the tunable
glibc.malloc.hugetlb, since 2.35). The tunable has no effect under a preloaded allocator, so there only torch asks, and
a runtime without torch does not. numpy asks for its arrays of 4 MiB and more in any case.

Where the kernel's mode is `always` it gives huge pages to all, asked or not, and glibc then does not ask: the setting
still changes torch's alignment and how hard the kernel tries for it, but `false` does not mean small pages.
"""

from __future__ import annotations

import re
from pathlib import Path

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.hardware.probe import huge_page_mode
from autotune.knobs import _variables

Value = bool

TORCH = "THP_MEM_ALLOC_ENABLE"
TUNABLES = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"
TUNABLE_SINCE = (2, 35)
ENABLE = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"


def default(hw: Hardware) -> bool:
    """Nobody asks."""
    return False


def domain(hw: Hardware) -> tuple[bool, ...]:
    """Both, where the kernel gives huge pages to who asks."""
    return (False, True) if unavailable(True, hw) is None else (False,)


def unavailable(value: bool, hw: Hardware) -> str | None:
    """The reason that asking would be in vain, with the command that changes it."""
    if not value or hw.huge_page_mode in ("madvise", "always"):
        return None
    if hw.huge_page_mode is None:
        return "this kernel has no transparent huge pages (/sys/kernel/mm/transparent_hugepage is missing)"
    return f"transparent huge pages are set to {hw.huge_page_mode}; {ENABLE}"


def without_effect(value: bool, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where nobody hears the request: glibc's malloc is replaced, and torch is not in the process."""
    allocator = config.knobs.get("allocator", "system")
    if value and allocator != "system" and "torch" not in packages:
        return f"with {allocator} only torch asks for huge pages, and {config.backend} runs without it"
    return None


def launch(value: bool, hw: Hardware) -> LaunchPatch:
    """The variables that make torch and glibc ask; none for False."""
    if not value:
        return LaunchPatch()
    tunables: dict[str, str | None] = {TUNABLES: f"{TUNABLE}=1"} if _has_tunable(hw) else {}
    return LaunchPatch(env={TORCH: "1", **tunables})


def applied(value: bool, hw: Hardware, root: Path = Path("/")) -> str | None:
    """In the process: why the setting is not in effect, or None.

    Proven are the environment that the process was started with (glibc reads it before any of our code runs), the
    kernel's mode now, and that no parent switched huge pages off for the process (prctl PR_SET_THP_DISABLE). Not
    proven is that a page became huge: a model of small tensors rightly has none, and numpy gets some unasked.
    """
    try:
        environ, tunables = _variables.started(root), _variables.tunables(root)
        status = (root / "proc/self/status").read_text(errors="replace")
    except OSError as error:
        return f"huge pages cannot be proven: {error}"
    requests = {
        TORCH: environ.get(TORCH, "0") not in ("", "0"),
        TUNABLES: f"{TUNABLE}=1" in tunables,
    }
    if not value:
        return next((f"{name} asks for huge pages: {environ[name]}" for name, asks in requests.items() if asks), None)
    missing = [name for name in launch(True, hw).env if not requests[name]]
    if missing:
        return f"the process was started without {' and '.join(missing)} asking for huge pages"
    mode = huge_page_mode(root)
    if mode not in ("madvise", "always"):
        return f"transparent huge pages are now set to {mode or 'nothing'}; {ENABLE}"
    if re.search(r"^THP_enabled:\s+0", status, re.MULTILINE):
        return "transparent huge pages are switched off for this process by whoever started it (PR_SET_THP_DISABLE)"
    return None


def _has_tunable(hw: Hardware) -> bool:
    """True if this glibc knows the tunable; one that it does not know is passed over without a word."""
    numbers = re.findall(r"\d+", hw.glibc or "")
    return tuple(map(int, numbers[:2])) >= TUNABLE_SINCE
