from __future__ import annotations

import re

import optuna
import pytest

from autotune.core.errors import StudyError
from autotune.study.model.points import DomainPoints
from autotune.study.search import samplers
from autotune.study.search.surrogate import Surrogate
from tests.study.fakes import SMALL, machine

HW = machine()


def test_samplers_go_by_names() -> None:
    points = DomainPoints(SMALL, HW)
    assert isinstance(samplers.make("surrogate", 0, points), Surrogate)
    assert isinstance(samplers.make("tpe", 0, points), optuna.samplers.TPESampler)
    assert isinstance(samplers.make("random", 0, points), optuna.samplers.RandomSampler)
    assert isinstance(samplers.make("optuna.samplers:NSGAIISampler", 0, points), optuna.samplers.NSGAIISampler)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tpf", "there is no sampler 'tpf'; allowed: surrogate, tpe, random, or a class as MODULE:CLASS"),
        ("nowhere:Sampler", "cannot be loaded: No module named 'nowhere'"),
        ("optuna.samplers:Nothing", "cannot be loaded: module 'optuna.samplers' has no attribute 'Nothing'"),
        (":x", "cannot be loaded: Empty module name"),
        (".my:Sampler", "cannot be loaded: the 'package' argument is required"),
        ("pathlib:Path", "is no sampler of Optuna's kind"),
        ("optuna.samplers:GridSampler", "cannot be made from a seed alone: "),
        ("math:pi", "is no sampler of Optuna's kind"),
    ],
)
def test_a_name_of_no_sampler_is_an_error(name: str, says: str) -> None:
    with pytest.raises(StudyError, match=re.escape(says)):
        samplers.make(name, 0, DomainPoints(SMALL, HW))
