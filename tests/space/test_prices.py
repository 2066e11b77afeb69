from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.space_types import Price
from autotune.space import load as loading
from tests.space.test_goal_section import HEAD, HW, PRICES, load, refusal


def test_the_price_is_that_of_the_instance_type(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    found = load(tmp_path, "prices: prices.yaml\nobjective: cost_per_million\n")
    assert found.goal.price == Price(per_hour=0.18, currency="USD", date="2026-11-01")
    assert found.excluded == ()
    other = load(tmp_path, "prices: prices.yaml\n", instance_type="t3.micro")
    assert other.goal.price is None
    (left_out,) = other.excluded
    assert (left_out.setting, left_out.reason) == ("prices", "it has none for t3.micro")
    assert str(left_out.value).endswith("prices.yaml")


def test_another_file_of_prices_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("per_hour: {c7i.xlarge: 2}\n")
    (tmp_path / "space.yaml").write_text(HEAD + "prices: not_there.yaml\n")
    found = loading.load(tmp_path / "space.yaml", HW, tmp_path / "mine.yaml")
    assert found.price == Price(per_hour=2.0)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (None, "there is no file of prices"),
        ("currency: USD\n", "there are no prices in prices.yaml, line 1; write such as per_hour"),
        ("per_hour: {}\n", "there are no prices in prices.yaml, line 1"),
        ("per_hour: {c7i.xlarge: free}\n", "line 1"),
        ("per_hour: {c7i.xlarge: 0}\n", "per_hour.c7i.xlarge is 0 in prices.yaml, line 1; write what an hour costs"),
        ("hourly: {c7i.xlarge: 1}\n", "unknown key 'hourly'"),
    ],
)
def test_no_file_of_prices(tmp_path: Path, prices: str | None, message: str) -> None:
    if prices is not None:
        (tmp_path / "prices.yaml").write_text(prices)
    assert message in refusal(tmp_path, "prices: prices.yaml\n")
