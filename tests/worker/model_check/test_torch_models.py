from __future__ import annotations

import pytest

from tests.backends import child

CHILD = """
import torch
from torch import nn
from autotune.backends import torch_eager
from autotune.worker.model_check import check
from autotune.worker.model_check.subject import Subject

torch.manual_seed(0)

class Calls(nn.Module):
    def __init__(self, function, *parts):
        super().__init__()
        self.parts, self.function = nn.ModuleList(parts), function

    def forward(self, *inputs):
        return self.function(self, *inputs)

def made(rows, module):
    kind = next((weight.dtype for weight in module.parameters()), torch.float32)
    return torch.randn(rows).to(kind).numpy()

def said(function, *parts, rows=(8, 6), mode=nn.Module.eval):
    module = mode(Calls(function, *parts))
    subject = Subject(torch_eager.TorchSession(module, torch_eager.Options()), (made(rows, module),), (0,))
    return [[one.what, one.where, one.instead, one.severity] for one in check.check(subject, None, os.environ).findings]

def trains(self, x):
    self.train()
    return self.parts[1](self.parts[0](x))

def tiny(layer, factor=1e-39):
    with torch.no_grad():
        layer.weight.mul_(factor)
    return layer

def holding(value):
    layer = nn.Linear(6, 5)
    with torch.no_grad():
        layer.weight[2, 3] = value
    return layer

first = lambda self, x: self.parts[0](x)
(folder / "net.py").write_text('''
import torch
import torch.nn.functional as F

def in_place(self, x):
    return self.parts[0](x.div_(255.0))

def dropout(self, x):
    y = self.parts[0](x)
    return F.dropout(y, training=True)

def insists(self, x):
    torch.set_num_threads(1)
    return self.parts[0](x)
''')
sys.path.insert(0, str(folder))
import net
torch.set_num_threads(2)
told["plain"] = said(first, nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout()))
told["in place"] = said(net.in_place, nn.Linear(6, 5))
told["first layer"] = said(first, nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 5)))
told["view"] = said(lambda self, x: self.parts[0](x[:, :3].mul_(2)), nn.Linear(3, 5))
told["trains"] = said(trains, nn.Linear(6, 5), nn.Dropout())
told["batch norm trains"] = said(trains, nn.Linear(6, 5), nn.BatchNorm1d(5))
told["flag alone"] = said(trains, nn.Linear(6, 5), nn.ReLU())
told["dropout"] = said(net.dropout, nn.Linear(6, 5))
told["lstm"] = said(lambda self, x: self.parts[0](x)[0], nn.LSTM(6, 5), rows=(8, 4, 6))
told["gru"] = said(lambda self, x: self.parts[0](x), nn.GRU(6, 5), rows=(8, 4, 6))
told["batch first"] = said(lambda self, x: self.parts[0](x)[0], nn.GRU(6, 5, batch_first=True), rows=(8, 4, 6))
told["attention"] = said(first, nn.TransformerEncoderLayer(8, 2, 16), rows=(8, 4, 8))
told["attention of its own"] = said(first, nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), rows=(8, 4, 8))
told["batch norm"] = said(lambda self, x: self.parts[1](self.parts[0](x)), nn.Linear(6, 5),
                          nn.BatchNorm1d(5, track_running_stats=False))
told["images"] = said(lambda self, x: self.parts[0](x).mean((2, 3)), nn.BatchNorm2d(6, track_running_stats=False),
                      rows=(8, 6, 4, 4))
told["sorts"] = said(lambda self, x: self.parts[0](torch.sort(x, dim=1, out=(x, torch.empty(x.shape, dtype=int)))[0]),
                     nn.Linear(6, 5))
told["threads"] = said(net.insists, nn.Linear(6, 5))
told["denormal"] = said(first, tiny(nn.Linear(6, 5)))
told["half"] = said(first, tiny(nn.Linear(6, 5), 1e-4), mode=lambda module: module.eval().half())
told["nan"] = said(first, holding(torch.nan))
told["inf"] = said(first, holding(torch.inf))
told["harmless inf"] = said(lambda self, x: self.parts[0](x).clamp(-1, 1), holding(torch.inf))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    return child.told(CHILD, tmp_path_factory.mktemp("told"), "torch")


def test_of_models_that_do_as_they_should_nothing_is_said(told: dict[str, list[list[str]]]) -> None:
    for name in ("plain", "batch first", "attention of its own", "half"):
        assert told[name] == [], name


def test_an_input_changed_in_place_is_an_error(told: dict[str, list[list[str]]]) -> None:
    for name in ("in place", "first layer", "view", "sorts"):
        ((what, _, instead, severity),) = told[name]
        assert (what, severity) == ("the model changes its input 0 in place", "error"), name
        assert "write x = x / 255" in instead
    assert told["in place"][0][1] == "net.py, line 6: return self.parts[0](x.div_(255.0))"


def test_training_mode_after_a_call_names_the_part(told: dict[str, list[list[str]]]) -> None:
    for name, part in (("trains", "parts.1: Dropout"), ("batch norm trains", "parts.1: BatchNorm1d")):
        ((what, where, _, severity),) = told[name]
        assert what.startswith("the model is in training mode after a call")
        assert (where, severity) == (part, "error")
    ((_, where, _, severity),) = told["flag alone"]
    assert (where, severity) == ("the model: Calls", "notice")


def test_random_numbers_of_a_forward_are_a_notice(told: dict[str, list[list[str]]]) -> None:
    ((what, where, _, severity),) = told["dropout"]
    assert where == "net.py, line 10: return F.dropout(y, training=True)"
    assert what.startswith("the model draws random numbers at each call") and severity == "notice"


@pytest.mark.parametrize(
    ("name", "what", "where"),
    [
        ("lstm", "a row's answer depends on the rows before it", "parts.0: LSTM"),
        ("gru", "a row's answer depends on the rows before it", "parts.0: GRU"),
        (
            "images",
            "the answer to a row depends on the rest of the batch",
            "parts.0: BatchNorm2d without running statistics",
        ),
        ("attention", "the answer to a row depends on the rest of the batch", "parts.0.self_attn: MultiheadAttention"),
        (
            "batch norm",
            "the model takes a batch of 8 but not of 1: ValueError: Expected more than 1 value",
            "parts.1: BatchNorm1d without running statistics",
        ),
    ],
)
def test_layers_that_mix_rows_are_named(told: dict[str, list[list[str]]], name: str, what: str, where: str) -> None:
    ((found, place, instead, severity),) = told[name]
    assert found.startswith(what)
    assert (place, severity) == (where, "error")
    assert ("batch_first=True" in instead) == (name not in ("batch norm", "images"))


def test_threads_that_a_forward_sets_are_an_error(told: dict[str, list[list[str]]]) -> None:
    ((what, where, _, severity),) = told["threads"]
    assert where == "net.py, line 13: torch.set_num_threads(1)"
    assert what == "the model's own code sets the number of threads, to 1, whenever it is called"
    assert severity == "error"


def test_weights_of_no_use_are_named(told: dict[str, list[list[str]]]) -> None:
    ((what, where, instead, severity),) = told["denormal"]
    assert "of the weights are denormal numbers" in what and "parts.0.weight" in where
    assert "denormals_as_zero" in instead and severity == "notice"
    for name, severity in (("nan", "error"), ("inf", "error"), ("harmless inf", "notice")):
        assert [one[3] for one in told[name]] == [severity], name
        assert told[name][0][0].startswith(
            f"weight parts.0.weight holds {'NaN' if name == 'nan' else 'Inf'} in 1 of 30"
        )
