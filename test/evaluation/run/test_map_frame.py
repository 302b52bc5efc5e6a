"""The relation of a map to the recorded poses, and errors in the map's frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.evaluation.run.map_frame import map_frame, map_frame_ate, read_map_frame
from e2e_slam_ros.evaluation.run.summary import TrackedPoses


def poses(moved: np.ndarray, known: int = 9) -> TrackedPoses:
    """Poses on a line, true and as a map that is ``moved`` (4, 4) to the truth has them."""
    t = np.linspace(0.0, 3.0, 9)
    estimated = np.tile(np.eye(4), (9, 1, 1))
    estimated[:, 0, 3] = t  # straight: positions alone leave a turn open
    truth = moved @ estimated
    truth[known:] = np.nan
    return TrackedPoses(np.arange(9), estimated, truth)


@pytest.fixture
def moved() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    T[:3, 3] = 1.0, 2.0, 3.0
    return T


def test_the_relation_is_found_and_used(moved: np.ndarray) -> None:
    found = map_frame(poses(moved, known=5))
    assert found is not None and np.allclose(found, moved)
    assert map_frame_ate(poses(moved), found) == pytest.approx(0.0, abs=1e-9)
    # A second run that is 5 cm off is 5 cm off: it is not aligned again.
    shifted = moved.copy()
    shifted[0, 3] += 0.05
    assert map_frame_ate(poses(shifted), found) == pytest.approx(0.05)


def test_without_true_poses_there_is_none(moved: np.ndarray) -> None:
    assert map_frame(poses(moved, known=2)) is None
    assert map_frame_ate(poses(moved, known=0), moved) is None
    assert map_frame_ate(poses(moved), None) is None


def test_it_lies_beside_the_map(moved: np.ndarray, tmp_path: Path) -> None:
    file, metrics = tmp_path / "map.safetensors", tmp_path / "metrics.json"
    assert read_map_frame(file) is None
    metrics.write_text(json.dumps({"trajectory": {"T_truth_map": moved.tolist()}}))
    assert np.array_equal(read_map_frame(file), moved)
    for damaged in ("{", "[]", "{}", '{"trajectory": {"T_truth_map": [[1]]}}'):
        metrics.write_text(damaged)
        assert read_map_frame(file) is None
