from __future__ import annotations

from pathlib import Path

import numpy as np

from autotune.models import precision
from tests.backends import child

CHILD = """
import torch
from torch import nn
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import precision
from autotune.models.workload import BuiltWorkload

(folder / "net.py").write_text('''
import torch
from torch import nn

def module():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))

def half():
    return module().half(), torch.ones(2, 4).half()

def bfloat16():
    return module().to(torch.bfloat16), torch.ones(2, 4).bfloat16()

def default():
    torch.set_default_dtype(torch.bfloat16)
    return module(), torch.ones(2, 4)

def plain():
    return module(), torch.ones(2, 4)
''')

def built(name, **about):
    workload = BuiltWorkload(WorkloadSpec(model=f"python:{folder}/net.py:{name}", inputs=(), **about))
    (rows,) = workload.arrays(2)
    module = workload.module()
    return [str(next(module.parameters()).dtype), str(rows.dtype), str(torch.get_default_dtype()), workload.half]

told["named"] = [precision.half(nn.Linear(2, 2).to(kind)) for kind in (torch.float32, torch.float16, torch.bfloat16)]
told["plain"] = built("plain")
for name in ("half", "bfloat16", "default"):
    told[name] = built(name)
told["kept"] = built("half", precision="as_given")
"""


def test_half_modules_and_inputs_are_made_float32_unless_kept(tmp_path: Path) -> None:
    told = child.told(CHILD, tmp_path, "torch")
    single = ["torch.float32", "float32", "torch.float32"]
    assert told["named"] == [None, "float16", "bfloat16"]
    assert told["plain"] == [*single, None]
    assert told["half"] == [*single, "float16"]
    assert told["bfloat16"] == [*single, "bfloat16"]
    assert told["default"] == [*single, "bfloat16"]
    assert told["kept"] == ["torch.float16", "float16", "torch.float32", "float16"]


def test_arrays_of_other_types_stay_as_they_are() -> None:
    half, whole = precision.as_float32((np.ones((2, 1), np.float16), np.arange(2)))
    assert (half.dtype, whole.dtype) == (np.float32, np.arange(2).dtype)
