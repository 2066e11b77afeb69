from __future__ import annotations

import math

import numpy as np
import pytest

from autotune.analysis import drift
from autotune.core.results import Block, Canary
from autotune.core.rules import Correction

PARTS = ("compute", "memory", "scalar")


def block(log_rate: float, parts: np.ndarray | None, cores: int = 2) -> Block:
    canary = None if parts is None else Canary(cores=cores, **dict(zip(PARTS, np.exp(parts).tolist(), strict=True)))
    return Block(start_ns=0, elapsed_ns=10**9, items=math.exp(log_rate), calls=1, cpu_ns=0, canary=canary)


def groups(
    seed: int,
    slopes: tuple[float, float, float],
    *,
    trials: int = 20,
    blocks: int = 8,
    noise: float = 0.02,
    usual: tuple[float, float, float] = (0.0, 0.0, 0.0),
    cores: int = 2,
) -> list[list[Block]]:
    """Trials of very different rates that follow the canary's parts by these slopes."""
    draw = np.random.default_rng(seed)
    found = []
    for level in draw.normal(3, 1, trials):
        parts = draw.normal(usual, 0.1, (blocks, 3))
        logs = level + (parts - usual) @ slopes + draw.normal(0, noise, blocks)
        found.append([block(log, row, cores) for log, row in zip(logs, parts, strict=True)])
    return found


def log_rates(blocks: list[Block], fitted: Correction) -> np.ndarray:
    return np.log(drift.corrected(blocks, fitted))


# ------------------------------------------------------------------------------------------------------- fitting


@pytest.mark.parametrize("slopes", [(0.7, 0.2, 0.4), (1.0, 0.0, 0.0), (0.0, 0.9, 0.3)])
def test_known_slopes_are_found(slopes: tuple[float, float, float]) -> None:
    fitted = drift.fit(groups(1, slopes))
    assert [fitted.slopes[part] for part in PARTS] == pytest.approx(slopes, abs=0.06)


def averaged(values: np.ndarray) -> np.ndarray:
    """Means of neighbouring blocks (axis 1), each group less its own mean."""
    means = np.lib.stride_tricks.sliding_window_view(values, drift.NEIGHBOURS, axis=1).mean(axis=-1)
    return means - means.mean(axis=1, keepdims=True)


def test_every_group_counts_once_whatever_its_length() -> None:
    """Each is centred on itself; short ones as they are, longer ones as means of neighbours, centred again."""
    found = [group[: 2 + place] for place, group in enumerate(groups(3, (0.7, 0.2, 0.4), trials=12, blocks=14))]
    rows, rates = [], []
    for group in found:
        parts = np.log([list(one.canary.parts.values()) for one in group if one.canary is not None])
        logs = np.log([[one.rate] for one in group])
        if len(group) > drift.NEIGHBOURS:
            count = len(group) - drift.NEIGHBOURS + 1
            parts = np.array([parts[i : i + drift.NEIGHBOURS].mean(axis=0) for i in range(count)])
            logs = np.array([logs[i : i + drift.NEIGHBOURS].mean(axis=0) for i in range(count)])
        rows.append(parts - parts.mean(axis=0))
        rates.append(logs - logs.mean(axis=0))
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(rates)[:, 0], rcond=None)[0]
    fitted = drift.fit(found)
    assert [fitted.slopes[part] for part in PARTS] == pytest.approx(expected.tolist(), abs=1e-6)


def test_slopes_are_those_of_least_squares() -> None:
    found = groups(2, (0.7, 0.2, 0.4), noise=0.05)
    x = np.array([[np.log(list(block.canary.parts.values())) for block in group] for group in found])
    y = np.array([[np.log(block.rate) for block in group] for group in found])
    x, y = averaged(x), averaged(y)
    expected = np.linalg.lstsq(x.reshape(-1, 3), y.ravel(), rcond=None)[0]
    assert list(drift.fit(found).slopes.values()) == pytest.approx(expected, abs=1e-6)


def test_slopes_keep_their_bounds() -> None:
    for seed in range(20):
        fitted = drift.fit(groups(seed, (2.0, -0.5, 0.5), noise=0.1))
        assert all(0 <= slope <= drift.MOST for slope in fitted.slopes.values())
        assert fitted.slopes["compute"] == drift.MOST
        assert fitted.slopes["memory"] == 0


def test_bounded_slopes_are_the_best_within_the_bounds() -> None:
    from scipy.optimize import lsq_linear

    draw = np.random.default_rng(3)
    found = []
    for level in draw.normal(3, 1, 20):
        parts = draw.normal(0, 0.1, (8, 1)) + draw.normal(0, 0.03, (8, 3))  # which go up and down together
        found.append([block(level + row @ (1.6, -0.4, 0.1) + draw.normal(0, 0.02), row) for row in parts])
    x = np.array([[np.log(list(block.canary.parts.values())) for block in group] for group in found])
    y = np.array([[np.log(block.rate) for block in group] for group in found])
    x, y = averaged(x), averaged(y)
    expected = lsq_linear(x.reshape(-1, 3), y.ravel(), (0, drift.MOST), tol=1e-12).x
    assert list(drift.fit(found).slopes.values()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("trials", "blocks"), [(12, 4), (6, 8), (20, 8)])
def test_a_canary_that_says_nothing_is_not_used(trials: int, blocks: int) -> None:
    used = sum(
        bool(drift.fit(groups(seed, (0.0, 0.0, 0.0), trials=trials, blocks=blocks, noise=0.15)).slopes)
        for seed in range(100)
    )
    assert used <= 10


def test_a_negative_relation_is_not_used() -> None:
    fitted = drift.fit(groups(4, (-0.8, -0.5, -0.3)))
    assert fitted.slopes == {}
    assert set(fitted.centres) == {2}


def test_the_groups_own_levels_say_nothing() -> None:
    """Fast configurations were measured while the machine was fast: between groups the slope is 5."""
    draw = np.random.default_rng(5)
    found = []
    for level in np.linspace(-1, 1, 20):
        parts = draw.normal(level / 5, 0.1, (8, 3))
        found.append([block(level + 0.3 * (row[0] - level / 5) + draw.normal(0, 0.005), row) for row in parts])
    slopes = drift.fit(found).slopes
    assert [slopes[part] for part in PARTS] == pytest.approx((0.3, 0, 0), abs=0.02)


def test_levels_alone_are_no_reason_to_correct() -> None:
    draw = np.random.default_rng(6)
    found = []
    for level in np.linspace(-1, 1, 20):
        parts = draw.normal(level, 0.1, (8, 3))
        found.append([block(level + draw.normal(0, 0.05), row) for row in parts])
    assert drift.fit(found).slopes == {}


def test_a_part_that_never_changes_has_no_slope() -> None:
    draw = np.random.default_rng(7)
    rows = [[draw.normal(0, 0.1, 3) * (1, 0, 1) for _ in range(8)] for _ in range(20)]
    slopes = drift.fit([[block(3.0 + 0.7 * row[0], row) for row in group] for group in rows]).slopes
    assert slopes == pytest.approx({"compute": 0.7, "memory": 0.0, "scalar": 0.0})


def test_what_one_group_alone_shows_is_not_used() -> None:
    found = groups(7, (0.0, 0.0, 0.0), trials=5, noise=0.02)
    odd = groups(8, (1.0, 1.0, 1.0), trials=1, noise=0.0)
    assert drift.fit([*found, *odd]).slopes == {}


@pytest.mark.parametrize(
    ("trials", "blocks"),
    [(0, 0), (1, 60), (40, 1)],  # nothing, nothing to leave out, nothing inside the groups
)
def test_too_little_is_not_used(trials: int, blocks: int) -> None:
    assert drift.fit(groups(9, (0.7, 0.2, 0.4), trials=trials, blocks=blocks)).slopes == {}


def test_the_usual_speed_is_known_before_the_slopes_are() -> None:
    """The mean of the canary's logarithms."""
    few = [[block(1.0, np.array(row)) for row in ((4.0, 2.0, -3.0), (5.0, 2.5, -3.5))]]
    assert drift.fit(few).centres == {2: pytest.approx({"compute": 4.5, "memory": 2.25, "scalar": -3.25})}


def test_forty_eight_blocks_are_enough() -> None:
    first, *others = groups(9, (0.9, 0.0, 0.0), trials=6, blocks=8, noise=0.0)
    assert drift.fit([first, *others]).slopes["compute"] == pytest.approx(0.9, abs=0.01)
    assert drift.fit([first[1:], *others]).slopes == drift.USUAL


def test_the_usual_slopes_serve_few_blocks_that_follow_the_canary_and_no_others() -> None:
    """On a quiet machine the canary's own noise would add to the blocks': it says nothing there."""
    noisy = groups(9, tuple(drift.USUAL.values()), trials=4, blocks=3)
    assert drift.fit(noisy).slopes == drift.USUAL
    assert drift.fit(groups(9, (0.0, 0.0, 0.0), trials=4, blocks=3)).slopes == {}
    assert drift.fit(groups(9, (0.0, 0.0, 0.0), trials=16, blocks=3)).slopes == {}


def test_a_group_of_less_than_two_blocks_does_not_count() -> None:
    first, *others = groups(9, (0.9, 0.0, 0.0), trials=6, blocks=8, noise=0.0)
    assert drift.fit([first[:1], first[1:], *others]) == drift.fit([first[1:], *others])
    assert drift.fit([[], [block(1.0, None)], first, *others]) == drift.fit([first, *others])


def test_equal_rates_need_no_correction() -> None:
    assert drift.fit([[block(2.0, np.zeros(3))] * 8] * 6).slopes == {}
    draw = np.random.default_rng(10)
    assert drift.fit([[block(2.0, draw.normal(0, 0.1, 3)) for _ in range(8)] for _ in range(6)]).slopes == {}


def test_blocks_without_a_canary_do_not_count() -> None:
    found = groups(11, (0.7, 0.2, 0.4))
    blind = [[*group, block(50.0, None)] for group in found]
    assert drift.fit([*blind, [block(1.0, None)] * 5]) == drift.fit(found)


# ------------------------------------------------------------------------------------------------------ applying


def test_correcting_takes_the_drift_out() -> None:
    found = groups(12, (0.7, 0.2, 0.4))
    fitted = drift.fit(found)
    fresh = groups(13, (0.7, 0.2, 0.4), trials=1, blocks=200)[0]
    assert np.log([block.rate for block in fresh]).std() > 0.07
    assert log_rates(fresh, fitted).std() == pytest.approx(0.02, rel=0.2)


def test_a_rate_is_that_of_the_usual_machine() -> None:
    fitted = Correction(
        slopes={"compute": 0.5, "memory": 0.25, "scalar": 0.0}, centres={2: dict.fromkeys(PARTS, math.log(100))}
    )
    slow = block(math.log(10), np.log([81, 16, 1e-9]))
    usual = block(math.log(10), np.log([100, 100, 100]))
    assert drift.corrected([slow, usual], fitted) == pytest.approx([10 * (100 / 81) ** 0.5 * (100 / 16) ** 0.25, 10])


def test_correcting_leaves_the_study_where_it_was() -> None:
    found = groups(14, (0.7, 0.2, 0.4), usual=(4.0, 2.0, -3.0))
    every = [block for group in found for block in group]
    before = np.log([block.rate for block in every])
    assert log_rates(every, drift.fit(found)).mean() == pytest.approx(before.mean())


def test_a_block_without_a_canary_keeps_its_rate() -> None:
    fitted = drift.fit(groups(15, (0.7, 0.2, 0.4)))
    assert fitted.slopes
    assert drift.corrected([block(2.0, None)], fitted) == pytest.approx([math.exp(2.0)])


def test_no_slopes_correct_nothing() -> None:
    for blocks in groups(16, (0.7, 0.2, 0.4), trials=2):
        assert drift.corrected(blocks, Correction()) == [block.rate for block in blocks]


def test_each_number_of_cores_has_its_own_centre() -> None:
    """Two cores share the memory's bandwidth: the canary's usual rate per core is another one."""
    one = groups(17, (0.3, 0.6, 0.0), cores=1, usual=(5.0, 3.0, 4.0))
    two = groups(18, (0.3, 0.6, 0.0), cores=2, usual=(5.0, 2.0, 4.0))
    fitted = drift.fit([*one, *two])
    assert [fitted.slopes[part] for part in PARTS] == pytest.approx((0.3, 0.6, 0.0), abs=0.05)
    assert fitted.centres[1]["memory"] == pytest.approx(3.0, abs=0.05)
    assert fitted.centres[2]["memory"] == pytest.approx(2.0, abs=0.05)
    for usual, cores in [((5.0, 3.0, 4.0), 1), ((5.0, 2.0, 4.0), 2)]:
        assert drift.corrected([block(2.0, np.array(usual), cores)], fitted) == pytest.approx([math.exp(2.0)], rel=0.05)


def test_an_unknown_number_of_cores_corrects_nothing() -> None:
    fitted = drift.fit(groups(19, (0.7, 0.2, 0.4)))
    assert drift.corrected([block(2.0, np.ones(3), cores=64)], fitted) == pytest.approx([math.exp(2.0)])
