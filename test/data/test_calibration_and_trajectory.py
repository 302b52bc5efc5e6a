"""Text files beside the images: calibration and trajectories."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import read_calibration, write_calibration
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory, write_tum_trajectory
from e2e_slam_ros.geometry.camera import PinholeCamera

GOOD = "width: 64\nheight: 48\nfx: 60.0\nfy: 61\ncx: 31.5\ncy: 23.5\n"


def test_a_calibration_survives_its_file(tmp_path):
    camera = PinholeCamera(64, 48, 60.1, 61.2, 31.5, 23.5, (0.1, -0.2, 0.0, 1e-7, 0.3))
    write_calibration(tmp_path / "c.yaml", camera, 1000.0)
    read = read_calibration(tmp_path / "c.yaml")
    assert read.camera == camera and read.depth_factor == 1000.0


def test_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    read = read_calibration(path)
    assert read.camera == PinholeCamera(64, 48, 60.0, 61.0, 31.5, 23.5)
    assert read.depth_factor == 5000.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("fx: 60.0\n", ""), "got no fx, expected width height fx fy cx cy"),
        (GOOD + "distorsion: [1, 2]\n", "got unknown distorsion"),
        (GOOD.replace("60.0", "0.0"), "expected positive focal lengths"),
        (GOOD.replace("61", "-480"), "expected positive focal lengths"),
        (GOOD.replace("60.0", "wide"), "expected numbers that describe a camera"),
        (GOOD.replace("64", ".nan"), "expected numbers that describe a camera"),
        (GOOD + "distortion: [1, 2]\n", "2 coefficients, expected plumb_bob"),
        (GOOD + "distortion: 3\n", "expected numbers that describe a camera"),
        (GOOD + "depth_factor: 0\n", "expected a positive number of counts"),
        (GOOD + "depth_factor: .inf\n", "expected a positive number of counts"),
        ("- 1\n- 2\n", "got list, expected the keys"),
        ("", "got NoneType"),
        ("{{{", "expected YAML"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refusal:
        read_calibration(path)
    assert str(path) in str(refusal.value)


def random_poses(count):
    dice = np.random.default_rng(3)
    poses = np.stack([np.eye(4)] * count)
    poses[:, :3, :3] = Rotation.random(count, random_state=3).as_matrix()
    poses[:, :3, 3] = dice.normal(size=(count, 3)) * 10
    return poses


def test_a_trajectory_survives_its_file(tmp_path):
    stamps = [1305031452791720001 + i * 33_333_333 for i in range(20)]
    poses = random_poses(20)
    write_tum_trajectory(tmp_path / "new" / "t.txt", stamps, poses)
    read = read_tum_trajectory(tmp_path / "new" / "t.txt")
    assert read.stamps_ns.tolist() == stamps
    np.testing.assert_allclose(read.poses, poses, atol=1e-8)
    assert read.track().at(stamps[4], 0) is not None


def test_evo_reads_it(tmp_path):
    file_interface = pytest.importorskip("evo.tools.file_interface")
    poses = random_poses(5)
    write_tum_trajectory(tmp_path / "t.txt", [10**9 * i for i in range(5)], poses)
    read = file_interface.read_tum_trajectory_file(str(tmp_path / "t.txt"))
    np.testing.assert_allclose(read.positions_xyz, poses[:, :3, 3], atol=1e-8)
    np.testing.assert_allclose(np.stack(read.poses_se3), poses, atol=1e-8)


def test_an_empty_trajectory(tmp_path):
    write_tum_trajectory(tmp_path / "t.txt", [], [])
    read = read_tum_trajectory(tmp_path / "t.txt")
    assert len(read) == 0 and read.poses.shape == (0, 4, 4)


def test_bad_lines_are_counted(tmp_path):
    lines = ["# c", "1 0 0 0 0 0 0 1", "2,1,0,0,0,0,0,1", "3 0 0", "4 0 0 0 0 0 0 0"]
    lines += ["5 nan 0 0 0 0 0 1", "x 0 0 0 0 0 0 1", "1 9 9 9 0 0 0 1"]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    report = ReaderReport()
    read = read_tum_trajectory(tmp_path / "t.txt", report)
    assert read.stamps_ns.tolist() == [10**9, 2 * 10**9]
    assert report.skipped == {
        "malformed line in t.txt": 2,
        "pose not finite or zero quaternion in t.txt": 2,
        "repeated stamp in t.txt": 1,
    }


def test_what_is_no_trajectory_is_not_written(tmp_path):
    with pytest.raises(DataError, match="got 1 poses, expected 2"):
        write_tum_trajectory(tmp_path / "t.txt", [0, 1], np.eye(4)[None])
    with pytest.raises(DataError, match="not finite"):
        write_tum_trajectory(tmp_path / "t.txt", [0], np.full((1, 4, 4), np.nan))
    assert not (tmp_path / "t.txt").exists()
    with pytest.raises(DataError, match="expected a readable text file"):
        read_tum_trajectory(tmp_path / "t.txt")
