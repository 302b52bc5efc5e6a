"""Stamps, pairing by time, poses at a time, transforms between frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.pose_track import PoseTrack, pose_matrix
from e2e_slam_ros.data.stamp import format_stamp, parse_stamp_ns
from e2e_slam_ros.data.transform_tree import TransformTree

STAMPS = st.lists(st.integers(0, 200), unique=True, max_size=12).map(
    lambda values: np.array(sorted(values), dtype=np.int64)
)


def test_stamps_are_exact():
    assert parse_stamp_ns("1305031452.791720") == 1305031452791720000
    assert parse_stamp_ns("1.000000001") == 1000000001
    assert parse_stamp_ns("-0.5") == -500_000_000
    assert parse_stamp_ns("1e3") == 1000 * 10**9
    assert format_stamp(1305031452791720000) == "1305031452.791720"
    assert format_stamp(5) == "0.000000005"
    assert format_stamp(-500_000_000) == "-0.500000"


@pytest.mark.parametrize("text", ["", "now", "nan", "inf", "1e999999", "1e30", "--1"])
def test_other_words_are_no_stamps(text):
    with pytest.raises(ValueError, match="is not a time in seconds"):
        parse_stamp_ns(text)


@given(st.integers(-(2**62), 2**62))
def test_any_stamp_survives_its_text(stamp_ns):
    assert parse_stamp_ns(format_stamp(stamp_ns)) == stamp_ns


def test_the_closest_pair_is_made_first():
    first, second = np.array([0, 10, 20]), np.array([8, 11, 27])
    assert associate(first, second, 9).tolist() == [0, 1, 2]
    assert associate(first, second, 5).tolist() == [-1, 1, -1]
    assert associate(first, np.array([], dtype=np.int64), 5).tolist() == [-1, -1, -1]


@given(STAMPS, STAMPS, st.integers(0, 30))
def test_pairs_are_within_the_tolerance_unique_and_greedy(first, second, tolerance):
    pairs = associate(first, second, tolerance)
    used = pairs[pairs >= 0]
    assert len(set(used.tolist())) == len(used)
    gaps = np.abs(first[pairs >= 0] - second[used])
    assert (gaps <= tolerance).all()
    free = np.setdiff1d(np.arange(len(second)), used)
    for i in np.flatnonzero(pairs < 0):
        # Nobody stays alone beside a free partner.
        assert (np.abs(second[free] - first[i]) > tolerance).all()


def track():
    poses = np.stack([np.eye(4)] * 3)
    poses[1, :3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    poses[1, 0, 3] = 1.0
    poses[2] = poses[1]
    return PoseTrack(np.array([0, 100, 500]), poses)


def test_poses_between_neighbours_are_interpolated():
    pose = track().at(50, tolerance_ns=60)
    assert pose[0, 3] == pytest.approx(0.5)
    turn = Rotation.from_matrix(pose[:3, :3]).as_euler("zyx", degrees=True)
    np.testing.assert_allclose(turn, [45.0, 0.0, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("stamp", "tolerance", "x"),
    [(0, 0, 0.0), (-5, 5, 0.0), (-6, 5, None), (120, 20, 1.0), (300, 20, None), (505, 5, 1.0)]
    + [(506, 5, None), (25, 30, 0.0)],
)
def test_nothing_is_extrapolated_or_bridged(stamp, tolerance, x):
    pose = track().at(stamp, tolerance)
    assert (None if pose is None else pose[0, 3]) == x


def test_an_empty_track_has_no_pose():
    empty = PoseTrack(np.array([], dtype=np.int64), np.zeros((0, 4, 4)))
    assert len(empty) == 0 and empty.at(0, 10**9) is None


def test_quaternions_are_normalised_and_nonsense_refused():
    np.testing.assert_allclose(pose_matrix((1, 2, 3), (0, 0, 0, 2.0))[:3, :3], np.eye(3))
    for translation, quaternion in [
        ((0, 0, float("nan")), (0, 0, 0, 1)),
        ((0, 0, 0), (0, 0, 0, 0)),
        ((0, 0, 0), (0, float("inf"), 0, 1)),
    ]:
        with pytest.raises(ValueError, match="not finite|zero"):
            pose_matrix(translation, quaternion)


def shift(x=0.0, y=0.0):
    pose = np.eye(4)
    pose[:2, 3] = [x, y]
    return pose


def test_transforms_are_chained_and_interpolated():
    tree = TransformTree()
    tree.add("/base", "camera", None, shift(y=1.0))
    tree.add("world", "/base", 0, shift(0.0))
    tree.add("world", "base", 100, shift(10.0))
    np.testing.assert_allclose(tree.lookup("world", "camera", 50, 50), shift(5.0, 1.0))
    assert tree.lookup("world", "camera", 300, 50) is None
    assert tree.lookup("camera", "world", 50, 50) is None
    np.testing.assert_allclose(tree.lookup("base", "camera", 10**12, 0), shift(y=1.0))
    assert tree.world_of("camera") == "world" and tree.world_of("world") is None
    assert tree.is_moving("world", "camera") and not tree.is_moving("base", "camera")
    assert tree.ancestors("nobody") == []


def test_a_circle_of_transforms_ends():
    tree = TransformTree()
    tree.add("a", "b", None, shift(1.0))
    tree.add("b", "a", None, shift(1.0))
    assert tree.ancestors("a") == ["a", "b"]
    assert tree.lookup("nobody", "a", 0, 0) is None
