"""Umeyama alignment: closed forms, comparison with evo, and input that leaves it undetermined."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.evaluation.trajectory.alignment import Similarity, umeyama

Array = npt.NDArray[np.float64]


def points(seed: int, count: int = 30) -> Array:
    return np.random.default_rng(seed).normal(0.0, 2.0, (count, 3))


def similarity(seed: int, scale: float = 1.0) -> Similarity:
    dice = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    return Similarity(scale, rotation, dice.normal(0.0, 5.0, 3))


def residual(found: Similarity, estimated: Array, true: Array) -> float:
    return float(((found.apply(estimated) - true) ** 2).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100.0), st.integers(3, 60))
def test_a_known_similarity_is_found(seed: int, scale: float, count: int) -> None:
    source, known = points(seed, count), similarity(seed, scale)
    found = umeyama(source, known.apply(source), with_scale=True)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.rotation == pytest.approx(known.rotation, abs=1e-5)
    assert found.translation == pytest.approx(known.translation, abs=1e-4 * max(1.0, scale))


@pytest.mark.parametrize("with_scale", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_evo(seed: int, with_scale: bool) -> None:
    geometry = pytest.importorskip("evo.core.geometry")
    source = points(seed)
    true = similarity(seed, 1.7).apply(source) + 0.3 * points(seed + 100)
    R, t, c = geometry.umeyama_alignment(source.T, true.T, with_scale)
    found = umeyama(source, true, with_scale)
    assert found.scale == pytest.approx(c, rel=1e-9)
    assert found.rotation == pytest.approx(R, abs=1e-9)
    assert found.translation == pytest.approx(t, abs=1e-9)


@pytest.mark.parametrize("with_scale", [False, True])
def test_nothing_near_it_is_better(with_scale: bool) -> None:
    source, true = points(1), points(2)
    best = umeyama(source, true, with_scale)
    least = residual(best, source, true)
    dice = np.random.default_rng(3)
    for _ in range(200):
        turn = Rotation.from_rotvec(dice.normal(0.0, 0.05, 3)).as_matrix()
        scale = best.scale * (np.exp(dice.normal(0.0, 0.05)) if with_scale else 1.0)
        shift = best.translation + dice.normal(0.0, 0.05, 3)
        other = Similarity(float(scale), turn @ best.rotation, shift)
        assert residual(other, source, true) > least


def test_mirrored_points_are_not_aligned_by_a_reflection() -> None:
    source = points(4)
    found = umeyama(source, source * [1.0, 1.0, -1.0], with_scale=False)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert residual(found, source, source * [1.0, 1.0, -1.0]) > 1.0


def test_points_in_a_plane_have_a_unique_alignment() -> None:
    source, known = points(5), similarity(5)
    source[:, 2] = 0.0
    found = umeyama(source, known.apply(source), with_scale=False)
    assert found.rotation == pytest.approx(known.rotation, abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 20])
@pytest.mark.parametrize("end", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
def test_points_on_a_line_get_the_smallest_rotation(count: int, end: list[float]) -> None:
    along = np.linspace(0.0, 4.0, count)[:, None]
    source, true = along * [1.0, 0.0, 0.0] + 3.0, 2.0 * along * np.array(end) - 1.0
    found = umeyama(source, true, with_scale=True)
    assert found.scale == pytest.approx(2.0)
    assert found.apply(source) == pytest.approx(true, abs=1e-9)
    turned = Rotation.from_matrix(found.rotation).magnitude()
    assert turned == pytest.approx(np.arccos(end[0]), abs=1e-9)


@pytest.mark.parametrize("with_scale", [False, True])
@pytest.mark.parametrize("count", [1, 5])
def test_without_motion_only_the_translation_is_found(count: int, with_scale: bool) -> None:
    still = np.tile([0.1, 5.3, -7.7], (count, 1))
    moving = points(6, count)
    for source, true in ((still, moving), (moving, still), (still, still)):
        found = umeyama(source, true, with_scale)
        assert (found.scale, found.rotation.tolist()) == (1.0, np.eye(3).tolist())
        assert found.translation == pytest.approx(true.mean(axis=0) - source.mean(axis=0))


def test_points_that_cannot_be_aligned_are_refused() -> None:
    with pytest.raises(PoseError, match=r"shapes \(3, 3\) and \(4, 3\)"):
        umeyama(points(0, 3), points(0, 4), with_scale=False)
    with pytest.raises(PoseError, match="at least 1"):
        umeyama(points(0, 0), points(0, 0), with_scale=False)
    with pytest.raises(PoseError, match="NaN"):
        umeyama(points(0, 3), np.full((3, 3), np.nan), with_scale=False)
