"""The TUM reader, on small folders and on the real recordings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.data.calibration import tum_camera
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.geometry.camera import PinholeCamera


def test_frames_carry_what_the_files_hold(tum_folder):
    folder = tum_folder()
    reader = TumReader(folder.path)
    assert isinstance(reader, FrameReader)
    assert len(reader) == 4 and reader.name == "sequence"
    assert reader.report.listed == 4 and not reader.report.skipped and not reader.report.notes
    frame = reader[2]
    assert frame.index == 2 and frame.stamp_ns == 100_200_000_000
    np.testing.assert_array_equal(frame.image, np.array(Image.open(folder.image(2))))
    assert frame.image.dtype == np.uint8 and frame.depth.dtype == np.float32
    assert frame.depth[0, 0] == 0.0
    np.testing.assert_allclose(frame.depth[1:], (5000 + 200) / 5000)
    np.testing.assert_allclose(frame.T_map_camera[:3, 3], [0.2, 0.0, 0.0])
    assert frame.camera == folder.camera
    assert reader[-1].index == 3
    assert [f.index for f in reader] == [0, 1, 2, 3]
    with pytest.raises(IndexError):
        reader[4]


def test_nothing_is_decoded_before_it_is_asked_for(tum_folder, monkeypatch):
    folder = tum_folder()

    def refuse(*_: object) -> None:
        raise AssertionError("decoded too early")

    for name in ("read_color", "read_depth"):
        monkeypatch.setattr(f"e2e_slam_ros.data.folder_sequence.{name}", refuse)
    reader = TumReader(folder.path)
    with pytest.raises(AssertionError):
        reader[0]


def test_a_frame_is_the_callers_to_change(tum_folder):
    reader = TumReader(tum_folder().path)
    reader[1].T_map_camera[:] = 7.0
    reader[1].image[:] = 0
    assert reader[1].T_map_camera[0, 0] == 1.0 and reader[1].image.any()


def test_many_threads_may_read(tum_folder):
    reader = TumReader(tum_folder(count=6).path)
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(reader.__getitem__, [i % 6 for i in range(48)]))
    assert [f.index for f in frames] == [i % 6 for i in range(48)]


def test_missing_files_are_left_out_counted_once(tum_folder):
    folder = tum_folder(count=6)
    for index in (0, 3):
        folder.image(index).unlink()
    folder.depth(1).unlink()
    reader = TumReader(folder.path)
    assert [f.stamp_ns // 10**8 for f in reader] == [1001, 1002, 1004, 1005]
    assert reader.report.listed == 6
    assert reader.report.skipped == {"missing colour image": 2, "missing depth image": 1}
    assert reader[0].depth is None and reader[1].depth is not None
    assert reader.report.notes == ["1 of 4 images have no depth near their time"]
    list(reader)
    assert reader.report.skipped == {"missing colour image": 2, "missing depth image": 1}


def test_names_that_no_file_can_have_are_missing_files(tum_folder):
    folder = tum_folder()
    with (folder.path / "rgb.txt").open("a") as stream:
        stream.write(f"\n105.0 rgb/{'x' * 5000}.png\n")
    reader = TumReader(folder.path)
    assert len(reader) == 4
    assert reader.report.skipped == {"missing colour image": 1}


def test_all_files_missing_is_refused(tum_folder):
    folder = tum_folder()
    for index in range(4):
        folder.image(index).unlink()
    with pytest.raises(
        DataError,
        match="4 names of files .*the first: .*rgb/100.000000.png",
    ):
        TumReader(folder.path)


def test_an_empty_list_is_refused(tum_folder):
    folder = tum_folder()
    (folder.path / "rgb.txt").write_text("# nothing\n\n")
    with pytest.raises(DataError, match=r"rgb.txt: got no entry, expected lines of .*; export"):
        TumReader(folder.path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"got no rgb.txt, expected a TUM RGB-D folder"):
        TumReader(tmp_path)


def test_an_unreadable_image_is_refused_counted_and_passed_over(tum_folder):
    folder = tum_folder()
    content = folder.image(1).read_bytes()
    folder.image(1).write_bytes(content[: len(content) // 2])
    folder.image(2).write_text("not an image")
    reader = TumReader(folder.path)
    for index in (1, 2, 1):
        with pytest.raises(DataError, match="expected a PNG or JPEG colour image; copy the file"):
            reader[index]
    assert reader.report.skipped == {"unreadable frame": 2}
    assert [f.index for f in reader] == [0, 3]
    assert reader.report.skipped == {"unreadable frame": 2}
    assert len([n for n in reader.report.notes if n.startswith("unreadable frame")]) == 1


def test_a_sequence_with_no_readable_image_is_an_error_not_an_empty_one(tum_folder):
    folder = tum_folder(count=2)
    for index in range(2):
        folder.image(index).write_bytes(b"")
    with pytest.raises(DataError, match="colour image"):
        list(TumReader(folder.path))


def test_unreadable_depth_costs_the_depth_only(tum_folder):
    folder = tum_folder()
    folder.depth(1).write_bytes(b"damaged")
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(folder.depth(2))  # 8 bits: no depth
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(folder.depth(3))  # not registered
    reader = TumReader(folder.path)
    frames = list(reader)
    assert [f.depth is not None for f in frames] == [True, False, False, False]
    assert reader.report.skipped == {"unreadable depth image": 3}
    strict = TumReader(folder.path, require_depth=True)
    assert [f.index for f in strict] == [0]
    with pytest.raises(DataError, match="8x6 pixels, expected 16x12"):
        strict[3]


def test_a_size_change_in_the_stream_is_refused_there(tum_folder):
    folder = tum_folder()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(folder.image(1))
    reader = TumReader(folder.path)
    with pytest.raises(DataError, match="got 32x24 pixels, expected 16x12"):
        reader[1]
    assert [f.index for f in reader] == [0, 2, 3]


def test_a_calibration_of_another_size_is_refused_at_once(tum_folder):
    folder = tum_folder("rgbd_dataset_freiburg1_small", calibration=False)
    with pytest.raises(DataError, match="got 16x12 pixels, expected 640x480, the size of"):
        TumReader(folder.path)


def test_no_ground_truth_means_no_pose(tum_folder):
    folder = tum_folder()
    (folder.path / "groundtruth.txt").unlink()
    reader = TumReader(folder.path)
    assert all(f.T_map_camera is None for f in reader)
    assert reader.report.notes == ["no groundtruth.txt: the frames have no pose"]
    with pytest.raises(DataError, match="none of 4 images with everything that is required"):
        TumReader(folder.path, require_pose=True)


def test_no_depth_list_means_no_depth(tum_folder):
    folder = tum_folder()
    (folder.path / "depth.txt").unlink()
    reader = TumReader(folder.path)
    assert all(f.depth is None for f in reader)
    assert reader.report.notes == ["no depth.txt: the frames have no depth"]


@pytest.mark.parametrize(("delay_s", "paired"), [(0.019, True), (0.021, False)])
def test_depth_counts_within_the_tolerance_only(tum_folder, delay_s, paired):
    reader = TumReader(tum_folder(depth_delay_s=delay_s).path)
    assert (reader[0].depth is not None) == paired
    assert any("4 entries of depth.txt are there" in n for n in reader.report.notes) != paired


def test_unsynchronised_depth_is_refused_where_depth_is_required(tum_folder):
    folder = tum_folder(depth_delay_s=1000.0)
    with pytest.raises(DataError, match="check that the clocks agree"):
        TumReader(folder.path, require_depth=True)


def test_required_parts_select_frames(tum_folder):
    lines = ["100.000000 0 0 0 0 0 0 1", "100.100000 1 0 0 0 0 0 1"]
    folder = tum_folder(pose_lines=lines)
    folder.depth(0).unlink()
    reader = TumReader(folder.path, require_depth=True, require_pose=True)
    assert [f.stamp_ns for f in reader] == [100_100_000_000]
    assert reader.report.skipped["no pose near the image's time"] == 2
    assert reader.report.skipped["no depth near the image's time"] == 1


def test_damaged_poses_are_left_out(tum_folder):
    lines = [
        "100.0 nan 0 0 0 0 0 1",
        "100.1 1 0 0 0 0 0 0",
        "100.2 2 0 0 0 0 0 1",
        "100.3 3 0 0 zero 0 0 1",
        "100.4 inf 0 0 0 0 0 1",
    ]
    reader = TumReader(tum_folder(pose_lines=lines).path)
    assert [f.T_map_camera is not None for f in reader] == [False, False, True, False]
    assert reader.report.skipped == {
        "pose not finite or zero quaternion in groundtruth.txt": 3,
        "malformed line in groundtruth.txt": 1,
    }


def test_time_going_back_in_a_list_is_sorted_and_said(tum_folder):
    folder = tum_folder()
    lines = (folder.path / "rgb.txt").read_text().splitlines()
    lines = [*lines[3:], *lines[1:3], lines[2], "soon rgb/x.png", "100.9"]
    (folder.path / "rgb.txt").write_text("\n".join(lines))
    reader = TumReader(folder.path)
    stamps = [f.stamp_ns for f in reader]
    assert stamps == sorted(stamps) and len(stamps) == 4
    assert "rgb.txt is not in time order; it was sorted" in reader.report.notes
    assert reader.report.skipped == {
        "repeated stamp in rgb.txt": 1,
        "malformed line in rgb.txt": 2,
    }


def test_a_list_that_is_not_text_is_refused(tum_folder):
    folder = tum_folder()
    (folder.path / "rgb.txt").write_bytes(b"\x00\x81\x02\xff")
    with pytest.raises(DataError, match="expected a readable text file"):
        TumReader(folder.path)


def test_calibration_beside_the_data_wins_over_names(tum_folder):
    folder = tum_folder("rgbd_dataset_freiburg1_desk")
    assert TumReader(folder.path).report.notes == []
    assert TumReader(folder.path)[0].camera.fx == 15.0
    assert TumReader(folder.path, camera="fr3")[0].camera.fx == 15.0
    own = PinholeCamera(16, 12, 20.0, 20.0, 8.0, 6.0)
    assert TumReader(folder.path, camera=own)[0].camera == own


@pytest.mark.parametrize(
    ("name", "fx", "distorted"),
    [
        ("rgbd_dataset_freiburg1_desk", 517.3, True),
        ("freiburg2_xyz", 520.9, True),
        ("fr3_office", 535.4, False),
        ("ros", 525.0, False),
    ],
)
def test_built_in_cameras(name, fx, distorted):
    camera = tum_camera(name)
    assert camera is not None
    assert (camera.fx, camera.is_distorted) == (fx, distorted)
    assert (camera.width, camera.height) == (640, 480)


@pytest.mark.parametrize("name", ["my_room", "fr4", "frame12", "africa"])
def test_other_names_have_no_camera(name):
    assert tum_camera(name) is None


def test_an_unknown_folder_gets_the_benchmarks_default_and_says_so(tum_folder):
    camera = PinholeCamera(640, 480, 100.0, 100.0, 0.0, 0.0)
    reader = TumReader(tum_folder("walk", count=1, camera=camera, calibration=False).path)
    assert reader[0].camera.fx == 525.0
    assert any("525, 525, 319.5, 239.5 assumed" in n for n in reader.report.notes)


def test_an_unknown_camera_name_is_refused(tum_folder):
    with pytest.raises(DataError, match="got 'fr9', expected fr1, fr2, fr3 or ros"):
        TumReader(tum_folder(calibration=False).path, camera="fr9")


def test_a_negative_tolerance_is_refused(tum_folder):
    for value in (-0.1, float("nan")):
        with pytest.raises(ConfigError, match="tolerance_s"):
            TumReader(tum_folder(f"f{value}").path, tolerance_s=value)


# --- real recordings -----------------------------------------------------------------------


def test_nine_of_613_images_exist(shared_data):
    folder = shared_data / "tum" / "rgbd_dataset_freiburg1_desk_9frames"
    reader = TumReader(folder)
    assert len(reader) == 9
    assert reader.report.listed == 613
    assert reader.report.skipped["missing colour image"] == 604
    frames = list(reader)
    assert all(f.depth is not None and f.T_map_camera is not None for f in frames)
    assert frames[0].camera == tum_camera("fr1")
    assert 0.5 < float(np.median(frames[0].depth[frames[0].depth > 0])) < 3.0
    travelled = np.linalg.norm(frames[-1].T_map_camera[:3, 3] - frames[0].T_map_camera[:3, 3])
    assert 0.05 < travelled < 0.15  # the data's own description: 0.10 m


def test_the_turning_excerpt(shared_data):
    folder = shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt"
    reader = TumReader(folder, require_pose=True)
    assert len(reader) == 297
    places = np.stack([reader[i].T_map_camera[:3, 3] for i in range(0, 297, 37)])
    assert (np.ptp(places, axis=0) < 0.2).all()  # almost pure rotation


def test_the_hololens_walk(shared_data):
    reader = TumReader(shared_data / "hololens" / "rooms_000", require_depth=True)
    assert len(reader) == 373 and not reader.report.skipped
    first, second = reader[0], reader[1]
    assert first.image.shape == (360, 540, 3)
    assert first.camera.fx == pytest.approx(495.5678)
    assert second.stamp_ns - first.stamp_ns == 100_000_000
    assert 0.5 < float(np.median(first.depth[first.depth > 0])) < 6.0


def test_real_depth_and_poses_agree(shared_data):
    """Points of one frame, moved by the poses, have the depth that another frame measured."""
    reader = TumReader(shared_data / "hololens" / "rooms_000")
    first, second = reader[100], reader[101]
    camera = first.camera
    v, u = np.nonzero(first.depth)
    z = first.depth[v, u].astype(np.float64)
    rays = [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(z)]
    points = np.stack(rays) * z
    motion = np.linalg.inv(second.T_map_camera) @ first.T_map_camera
    moved = motion[:3, :3] @ points + motion[:3, 3:]
    column = np.rint(moved[0] / moved[2] * camera.fx + camera.cx).astype(int)
    row = np.rint(moved[1] / moved[2] * camera.fy + camera.cy).astype(int)
    inside = (moved[2] > 0) & (column >= 0) & (column < 540) & (row >= 0) & (row < 360)
    seen = second.depth[row[inside], column[inside]]
    error = np.abs(seen - moved[2][inside])[seen > 0]
    assert len(error) > 50_000
    assert float(np.median(error)) < 0.03


def test_the_folder_may_be_a_link_or_a_string(tum_folder, tmp_path: Path):
    folder = tum_folder("rgbd_dataset_freiburg2_x")
    link = tmp_path / "latest"
    link.symlink_to(folder.path)
    assert TumReader(str(link)).name == "rgbd_dataset_freiburg2_x"
