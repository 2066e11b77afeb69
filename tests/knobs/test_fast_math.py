from pathlib import Path

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import fast_math
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()


@pytest.mark.parametrize(
    ("architecture", "isa", "known"),
    [
        ("x86_64", ("avx512f", "amx_bf16"), True),
        ("x86_64", ("avx512f", "avx512_bf16"), False),
        ("aarch64", ("asimd", "bf16"), True),
        ("aarch64", ("asimd",), False),
        ("riscv64", (), False),
    ],
)
def test_where_onednn_would_do_it(architecture: str, isa: tuple[str, ...], known: bool) -> None:
    hw = hardware(2, architecture=architecture, isa=isa)
    assert fast_math.domain(hw) == (("strict", "bf16") if known else ("strict",))
    assert known or "this CPU has not" in (fast_math.unavailable("bf16", hw) or "")


def test_launch() -> None:
    assert fast_math.launch("strict", HERE).env == {}
    assert fast_math.launch("bf16", HERE).env == {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}


def test_only_torchs_onednn_reads_it() -> None:
    assert fast_math.without_effect("bf16", configured("torch_eager"), ("torch",)) is None
    assert fast_math.without_effect("strict", configured("openvino"), ("openvino",)) is None
    assert "without torch's oneDNN" in (fast_math.without_effect("bf16", configured("openvino"), ("openvino",)) or "")


CHILD = """
import torch
from autotune.hardware.probe import probe
from autotune.knobs import fast_math
hw = probe()
told["said"] = {value: fast_math.applied(value, hw) for value in ("strict", "bf16")}
torch.manual_seed(0)
x, w, a = torch.randn(2, 64, 28, 28), torch.randn(64, 64, 3, 3), torch.randn(256, 256)
exact = torch.nn.functional.conv2d(x.double(), w.double())
told["conv"] = ((torch.mkldnn_convolution(x, w, None, (0, 0), (1, 1), (1, 1), 1) - exact).norm() / exact.norm()).item()
told["matmul"] = ((a @ a - a.double() @ a.double()).norm() / (a.double() @ a.double()).norm()).item()
"""


@pytest.mark.parametrize("variable", [None, fast_math.VARIABLE, fast_math.OLD_NAME])
def test_convolutions_are_rounded_and_said_to_be(tmp_path: Path, variable: str | None) -> None:
    if reason := fast_math.unavailable("bf16", HERE):
        pytest.skip(reason)
    found = told(CHILD, tmp_path, "torch", env={variable: "BF16"} if variable else {})
    # float32 rounds to 2⁻²⁴, bfloat16 to 2⁻⁹
    assert (1e-4 < found["conv"] < 1e-2) if variable else found["conv"] < 1e-6
    if HERE.architecture == "x86_64":
        assert found["matmul"] < 1e-6  # MKL's
    if variable != fast_math.OLD_NAME:
        assert [value for value, reason in found["said"].items() if reason is None] == [
            "bf16" if variable else "strict"
        ]
    else:
        assert found["said"]["strict"] == "DNNL_DEFAULT_FPMATH_MODE was BF16 at the start, not unset"


def test_a_processor_that_does_not_listen_is_noticed(tmp_path: Path) -> None:
    """oneDNN held to AVX512_BF16 computes float32 in float32, whatever the variable says."""
    if HERE.architecture != "x86_64":
        pytest.skip("needs x86")
    env = {**fast_math.launch("bf16", HERE).env, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
    found = told(CHILD, tmp_path, "torch", env=env)
    assert found["said"]["bf16"] == "a float32 convolution was not computed in bfloat16"
    assert found["conv"] < 1e-6


def test_a_process_without_torch_hands_the_variable_on(tmp_path: Path) -> None:
    script = "from autotune.hardware.probe import probe; from autotune.knobs import fast_math\n"
    script += "told.update({value: fast_math.applied(value, probe()) for value in ('strict', 'bf16')})"
    found = told(script, tmp_path, env=fast_math.launch("bf16", HERE).env)
    assert [value for value, reason in found.items() if reason is None] == ["bf16"]
