"""The ICL-NUIM reader: both pose formats, mirrored axes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.icl import IclReader, is_icl_folder
from e2e_slam_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(16, 12, 15.0, 15.0, 7.5, 5.5)


def left_handed_poses(count):
    """Camera-to-world in the benchmark's own axes (y up)."""
    poses = []
    for index in range(count):
        pose = np.eye(4)
        turn = Rotation.from_euler("xyz", [0.1 * index, -0.2 * index, 0.05 * index])
        pose[:3, :3] = turn.as_matrix()
        pose[:3, 3] = [0.1 * index, 0.2 * index, -2.25 + 0.05 * index]
        poses.append(pose)
    return poses


def write(folder, first=0, count=4, numbered_list=True):
    for kind in ("rgb", "depth"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(first, first + count):
        Image.fromarray(np.full((12, 16, 3), number, np.uint8)).save(
            folder / "rgb" / f"{number}.png"
        )
        Image.fromarray(np.full((12, 16), 5000, np.uint16)).save(
            folder / "depth" / f"{number}.png"
        )
        lines.append(f"{number} depth/{number}.png {number} rgb/{number}.png")
    if numbered_list:
        (folder / "associations.txt").write_text("\n".join(lines))
    return folder


def write_freiburg(path, first, poses):
    rows = []
    for number, pose in enumerate(poses, first):
        values = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        rows.append(f"{number} " + " ".join(f"{v:.9f}" for v in values))
    path.write_text("\n".join(rows))


def write_sim(path, poses):
    blocks = ["\n".join(" ".join(f"{v:.9f}" for v in row) for row in p[:3]) for p in poses]
    path.write_text("\n\n".join(blocks) + "\n")


def test_both_formats_give_the_same_poses(tmp_path):
    folder = write(tmp_path / "a")
    write_freiburg(folder / "livingRoom0.gt.freiburg", 0, left_handed_poses(4))
    other = write(tmp_path / "b")
    write_sim(other / "livingRoom0n.gt.sim", left_handed_poses(4))
    first, second = IclReader(folder, CAMERA), IclReader(other, CAMERA)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a.T_map_camera, b.T_map_camera, atol=1e-8)
        rotation = a.T_map_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_mirroring_sees_the_same_pixels(tmp_path):
    """What the published camera (fy < 0, y up) sees, ours (fy > 0, y down) sees, mirrored."""
    folder = write(tmp_path / "a")
    poses = left_handed_poses(4)
    write_sim(folder / "livingRoom0n.gt.sim", poses)
    points = np.random.default_rng(0).uniform(-1, 1, (3, 50))
    for published, frame in zip(poses, IclReader(folder, CAMERA), strict=True):
        seen = np.linalg.inv(published) @ np.vstack([points, np.ones(50)])
        u, v = 481.2 * seen[0] / seen[2] + 319.5, -480.0 * seen[1] / seen[2] + 239.5
        mirrored = points * np.array([[1.0], [-1.0], [1.0]])
        ours = np.linalg.inv(frame.T_map_camera) @ np.vstack([mirrored, np.ones(50)])
        np.testing.assert_allclose(481.2 * ours[0] / ours[2] + 319.5, u, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(480.0 * ours[1] / ours[2] + 239.5, v, rtol=1e-5, atol=1e-4)


def test_frames_carry_what_the_files_hold(tmp_path):
    folder = write(tmp_path / "living_room_traj0_frei_png")
    write_sim(folder / "x.gt.sim", left_handed_poses(4))
    reader = IclReader(folder, CAMERA)
    frame = reader[3]
    assert reader.name == "living_room_traj0_frei_png"
    assert frame.stamp_ns == 1_100_000_000  # 1 s + 3 / 30 Hz
    assert (frame.image == 3).all() and (frame.depth == 1.0).all()
    np.testing.assert_allclose(frame.T_map_camera[:3, 3], [0.3, -0.6, -2.1])


def test_numbers_in_the_file_name_the_images(tmp_path):
    folder = write(tmp_path / "a", first=0)
    poses = left_handed_poses(3)
    write_freiburg(folder / "livingRoom0.gt.freiburg", 1, poses)
    reader = IclReader(folder, CAMERA)
    assert [f.T_map_camera is not None for f in reader] == [False, True, True, True]
    assert reader[1].T_map_camera[2, 3] == pytest.approx(-2.25)
    shifted = IclReader(folder, CAMERA, first_pose_image=0)
    assert shifted[0].T_map_camera[2, 3] == pytest.approx(-2.25)
    assert shifted[3].T_map_camera is None
    assert len(IclReader(folder, CAMERA, require_pose=True)) == 3


def test_matrices_belong_to_the_listed_images_in_order(tmp_path):
    folder = write(tmp_path / "a", first=1)
    write_sim(folder / "livingRoom1n.gt.sim", left_handed_poses(4))
    reader = IclReader(folder, CAMERA)
    assert reader[0].T_map_camera[2, 3] == pytest.approx(-2.25)
    assert reader[3].T_map_camera[0, 3] == pytest.approx(0.3)


def test_without_a_list_the_file_names_count(tmp_path):
    folder = write(tmp_path / "a", first=8, count=4, numbered_list=False)
    write_sim(folder / "x.gt.sim", left_handed_poses(4))
    reader = IclReader(folder, CAMERA)
    assert [int(f.image[0, 0, 0]) for f in reader] == [8, 9, 10, 11]


def test_missing_files_and_damaged_poses_are_counted(tmp_path):
    folder = write(tmp_path / "a", count=5)
    (folder / "rgb" / "1.png").unlink()
    (folder / "depth" / "2.png").unlink()
    poses = left_handed_poses(6)
    poses[3][0, 0] = np.nan
    poses[4][:3, :3] *= 1.1
    poses[5][:3, 0] *= -1.0  # a mirror image is no rotation
    write_sim(folder / "x.gt.sim", poses)
    reader = IclReader(folder, CAMERA)
    assert len(reader) == 4
    assert [f.depth is not None for f in reader] == [True, False, True, True]
    assert [f.T_map_camera is not None for f in reader] == [True, True, False, False]
    assert reader.report.skipped == {
        "missing colour image": 1,
        "missing depth image": 1,
        "pose not finite or not rigid in x.gt.sim": 3,
    }


def test_a_zero_quaternion_and_words_are_left_out(tmp_path):
    folder = write(tmp_path / "a", count=3)
    (folder / "x.gt.freiburg").write_text("0 0 0 0 0 0 0 0\n1 1 0 0 0 0 0 1\ntwo 0 0 0 0 0 0 1\n")
    reader = IclReader(folder, CAMERA)
    assert [f.T_map_camera is not None for f in reader] == [False, True, False]
    assert reader.report.skipped == {
        "pose not finite or zero quaternion in x.gt.freiburg": 1,
        "malformed line in x.gt.freiburg": 1,
    }


@pytest.mark.parametrize("text", ["1 2 3\n", "1 2 3 4\n5 6 7 8\n", "a b c d\n1 2 3 4\n1 2 3 4\n"])
def test_other_pose_files_are_refused(tmp_path, text):
    folder = write(tmp_path / "a")
    (folder / "x.gt.sim").write_text(text)
    with pytest.raises(DataError, match=r"poses .*x.gt.sim: got .*, expected .*; "):
        IclReader(folder, CAMERA)


def test_no_poses_and_no_images(tmp_path):
    folder = write(tmp_path / "a")
    reader = IclReader(folder, CAMERA)
    assert reader[0].T_map_camera is None
    assert reader.report.notes == ["no *.gt.freiburg or *.gt.sim: the frames have no pose"]
    with pytest.raises(DataError, match="extract the 'TUM RGB-D compatible' archive"):
        IclReader(tmp_path)


def test_the_published_camera_has_a_positive_fy(tmp_path):
    folder = tmp_path / "a"
    write(folder, count=1)
    Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(folder / "rgb" / "0.png")
    camera = IclReader(folder)[0].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (481.2, 480.0, 319.5, 239.5)
    with pytest.raises(DataError, match="rate_hz"):
        IclReader(folder, rate_hz=0.0)


def test_told_from_tum_by_its_files(tmp_path):
    folder = write(tmp_path / "a")
    assert is_icl_folder(folder)
    (folder / "rgb.txt").write_text("1 rgb/1.png")
    assert not is_icl_folder(folder)
    (folder / "livingRoom1.gt.freiburg").write_text("")
    assert is_icl_folder(folder)
