from __future__ import annotations

from pathlib import Path

import pytest

from autotune.hardware import energy

RANGE = 1_000_000


def counted(root: Path, **zones: str) -> energy.Counters:
    """The counters of a machine whose zones (`package_0` is intel-rapl:0) hold these microjoules."""
    for name, text in zones.items():
        kind, number = name.split("_", 1)
        zone = root / "sys/class/powercap" / f"intel-rapl:{number.replace('_', ':')}"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text(f"{kind}-{number}\n" if kind == "package" and "_" not in number else f"{kind}\n")
        (zone / "energy_uj").write_text(text)
        (zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return energy.counters(root)


def test_all_packages_count_and_their_parts_do_not(tmp_path: Path) -> None:
    before = counted(tmp_path, package_0="100\n", core_0_0="50\n", package_1="0\n")
    after = counted(tmp_path, package_0="400100\n", core_0_0="300050\n", package_1="100000\n")
    assert energy.joules(before, after) == pytest.approx(0.5)


def test_the_counter_of_the_whole_platform_is_not_added(tmp_path: Path) -> None:
    before = counted(tmp_path, package_0="100", psys_1="100", dram_0_1="0")
    after = counted(tmp_path, package_0="400100", psys_1="900100", dram_0_1="100000")
    assert list(before) == ["intel-rapl:0"]
    assert energy.joules(before, after) == pytest.approx(0.4)


def test_a_counter_that_began_again(tmp_path: Path) -> None:
    before = counted(tmp_path, package_0=str(RANGE - 9))
    assert energy.joules(before, counted(tmp_path, package_0="90")) == pytest.approx(100e-6)


@pytest.mark.parametrize("text", ["", "not a number", "-1"])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    assert energy.joules(counted(tmp_path, package_0=text), counted(tmp_path, package_0="7")) is None
    assert energy.counters(tmp_path / "nothing") == {}
    assert energy.joules({}, {}) is None
