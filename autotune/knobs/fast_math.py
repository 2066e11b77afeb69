"""Leave for oneDNN to compute float32 convolutions and the like in bfloat16 (`bf16`): faster, and less precise.

torch needs no change for it, and everything else stays float32: inputs, weights, and on x86 eager's matrix products,
which are MKL's. On x86 oneDNN (3.12, in torch 2.13) does it with AMX only; AVX512_BF16 alone changes no bit.
"""

from __future__ import annotations

import sys
from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.knobs import _variables

Value = Literal["strict", "bf16"]

changes_answers = True

VARIABLE, OLD_NAME = "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"
"""oneDNN reads both names, and the first of them first."""

NEEDED = {"x86_64": ("amx_bf16", "AMX"), "aarch64": ("bf16", "bf16 instructions")}


def default(hw: Hardware) -> Value:
    """float32 is float32."""
    return "strict"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """Both where the CPU has what oneDNN uses."""
    return ("strict", "bf16") if unavailable("bf16", hw) is None else ("strict",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that nothing would be computed in bfloat16."""
    flag, name = NEEDED.get(hw.architecture, ("", "AMX or Arm's bf16"))
    if value == "strict" or flag in hw.isa:
        return None
    return f"oneDNN computes float32 in bfloat16 only with {name}, which this CPU has not"


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """The reason where torch's oneDNN does not run."""
    return None if value == "strict" or "torch" in packages else f"{config.backend} runs without torch's oneDNN"


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The variable that oneDNN reads when it is first used."""
    return LaunchPatch() if value == "strict" else LaunchPatch(env={VARIABLE: "BF16"})


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why oneDNN computes otherwise, or None.

    On x86 a convolution of 1 + 2⁻¹² by ones shows it, since bfloat16 drops the fraction; on Arm, whose kernels are
    chosen by shape, the variable is the proof.
    """
    if reason := _variables.mismatch({VARIABLE: None, OLD_NAME: None} | launch(value, hw).env):
        return reason
    if hw.architecture != "x86_64" or "torch" not in sys.modules:
        return None
    rounded = _rounds()
    if rounded == (value == "bf16"):
        return None
    return f"a float32 convolution was {'' if rounded else 'not '}computed in bfloat16"


def _rounds() -> bool:
    """True if a float32 convolution loses the digits that bfloat16 cannot hold."""
    import torch

    with torch.inference_mode():
        inputs = torch.full((1, 64, 14, 14), 1 + 2**-12)
        sums = torch.mkldnn_convolution(inputs, torch.ones(64, 64, 1, 1), None, (0, 0), (1, 1), (1, 1), 1)
        return bool((sums == 64).all())
