"""Kinds of recordings that people have, built here: right values, or a reason why not."""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.bag_storage import ZSTD_LIBRARIES
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.pose_check import check_poses
from e2e_slam_ros.data.pose_policy import T_BODY_OPTICAL
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.simulation import ProceduralReader

SECOND = 10**9
START = 100 * SECOND
STEP = SECOND // 10
OPTICAL = (-0.5, 0.5, -0.5, 0.5)


def noise(index: int = 0, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def said(reader) -> str:
    return " | ".join([*reader.report.notes, *reader.report.skipped])


def frames_in(bag, count: int = 3, frame: str = "camera_optical_frame") -> None:
    for index in range(count):
        bag.image(START + index * STEP, noise(index), frame=frame)
    bag.info(START)


# --- depth of another frame


def two_cameras(bag) -> np.ndarray:
    """A wall 2 m ahead, seen by a depth camera 0.4 m to the left; returns the depth."""
    camera = PinholeCamera(16, 12, 15.0, 15.0, 7.5, 5.5)
    bag.image(START, noise(), topic="/camera/color/image_raw", frame="color")
    bag.info(START, camera, "/camera/color/camera_info")
    depth = np.full((12, 16), 2000, np.uint16)
    bag.image(START, depth, "16UC1", "/camera/depth/image_rect_raw", frame="depth")
    bag.info(START, camera, "/camera/depth/camera_info")
    return depth


def test_depth_of_another_frame_is_registered_by_tf(bag, tmp_path):
    two_cameras(bag)
    bag.transform(START, "link", "color", (0, 0, 0), topic="/tf_static")
    bag.transform(START, "link", "depth", (-0.4, 0, 0.1), topic="/tf_static")
    reader = BagReader(bag.write(tmp_path / "b"))
    depth = reader[0].depth
    assert "it is registered to color by TF" in said(reader)
    # 0.4 m at 2.1 m moves by three pixels: the right edge is not seen by the depth camera.
    np.testing.assert_allclose(depth[2:-2, 2:12], 2.1, rtol=1e-6)
    assert (depth[:, 14:] == 0).all()


@pytest.mark.parametrize("lacking", ["tf", "camera_info"])
def test_depth_that_cannot_be_registered_is_left_out_with_the_reason(bag, tmp_path, lacking):
    two_cameras(bag)
    if lacking == "camera_info":
        bag.transform(START, "color", "depth", (-0.4, 0, 0.1), topic="/tf_static")
        bag.items = [item for item in bag.items if item[0] != "/camera/depth/camera_info"]
    path = bag.write(tmp_path / "b")
    reader = BagReader(path)
    assert reader[0].depth is None
    assert "not taken: depth of /camera/depth/image_rect_raw is in depth, the image in color" in (
        said(reader)
    )
    assert "--depth-frame color" in said(reader)
    assert (BagReader(path, depth_frame="color")[0].depth == 2.0).all()


def test_depth_and_image_of_a_fisheye_are_remapped_together(bag, tmp_path):
    camera = PinholeCamera(160, 120, 60.0, 60.0, 79.5, 59.5)
    image = np.full((120, 160, 3), 10, np.uint8)
    image[:, 100:] = 200
    depth = np.where(image[..., 0] > 100, 3000, 1000).astype(np.uint16)
    bag.image(START, image)
    bag.image(START, depth, "16UC1", "/camera/depth/image")
    bag.info(START, camera, d=[0.05, 0.01, 0.0, 0.0], model="equidistant")
    frame = BagReader(bag.write(tmp_path / "b"))[0]
    assert not frame.camera.is_distorted and frame.camera.fx < 60.0
    seen = (frame.depth > 0) & (frame.image[..., 0] > 0)
    bright = frame.image[..., 0] > 150
    assert ((frame.depth > 2.5) == bright)[seen].mean() > 0.99


# --- camera_info


def test_rectified_topics_and_the_option(bag, tmp_path):
    p = [14.0, 0, 7.0, 0, 0, 14.0, 5.0, 0, 0, 0, 1.0, 0]
    bag.image(START, noise(), topic="/camera/image_rect_color")
    bag.info(START, d=[0.1, 0.2, 0, 0, 0], p=p)
    path = bag.write(tmp_path / "b")
    assert (BagReader(path).camera.fx, BagReader(path).camera.distortion) == (14.0, ())
    raw = BagReader(path, rectified="no").camera
    assert raw.fx == 15.0 and raw.is_distorted


@pytest.mark.parametrize("frame", ["", "camera_optical_frame"])
def test_calibration_beside_the_image_comes_before_another(bag, tmp_path, frame):
    frames_in(bag)
    other = PinholeCamera(16, 12, 99.0, 99.0, 7.5, 5.5)
    bag.info(START, other, topic="/a_camera/camera_info")
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader.camera.fx == 15.0
    assert "other camera_info: /a_camera/camera_info" in said(reader)


def test_a_calibration_of_another_size_is_not_chosen(bag, tmp_path):
    bag.image(START, noise(), topic="/cam/image_raw")
    bag.info(START, PinholeCamera(64, 48, 60.0, 60.0, 31.5, 23.5), "/cam/camera_info")
    with pytest.raises(DataError, match="16x12, expected 64x48, from camera_info: 64x48, binning"):
        BagReader(bag.write(tmp_path / "a"))
    bag.info(START, topic="/cam/low/camera_info")
    assert BagReader(bag.write(tmp_path / "b")).camera.width == 16


# --- poses


def test_slashes_before_frames_are_ignored(bag, tmp_path):
    frames_in(bag, frame="/camera_optical_frame")
    bag.transform(START, "/base", "/camera_optical_frame", (0, 0, 1), topic="/tf_static")
    for index in range(3):
        bag.transform(START + index * STEP, "/map", "base", (0.5 * index, 0, 0))
    reader = BagReader(bag.write(tmp_path / "b"))
    assert [f.T_map_camera[0, 3] for f in reader] == [0.0, 0.5, 1.0]


def test_slow_transforms_are_interpolated_and_gaps_are_not(bag, tmp_path):
    for index in range(31):
        bag.image(START + index * STEP, noise(index))
        if not 8 < index < 20:
            bag.transform(START + index * STEP, "odom", "base", (0.1 * index, 0, 0))
    for index in range(4):
        bag.transform(START + index * SECOND, "map", "odom", (10.0 + index, 0, 0))
    bag.info(START)
    bag.transform(START, "base", "camera_optical_frame", (0, 0, 0), topic="/tf_static")
    reader = BagReader(bag.write(tmp_path / "b"))
    poses = [f.T_map_camera for f in reader]
    np.testing.assert_allclose(poses[5][0, 3], 10.5 + 0.5)
    np.testing.assert_allclose(poses[25][0, 3], 12.5 + 2.5)
    assert all(pose is None for pose in poses[11:18]), "odometry was lost for a second"


@pytest.mark.parametrize(
    "topic", ["/goal_pose", "/move_base_simple/goal", "/camera/aruco_pose", "/mavros/setpoint"]
)
def test_poses_that_are_not_the_cameras_are_not_taken(bag, tmp_path, topic):
    frames_in(bag)
    for index in range(3):
        bag.pose(START + index * STEP, (float(index), 0, 0), topic=topic)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].T_map_camera is None and f"not taken: {topic}" in said(reader)


def test_a_pose_in_a_frame_that_the_camera_carries_is_not_taken(bag, tmp_path):
    frames_in(bag)
    for index in range(3):
        bag.pose(START + index * STEP, (float(index), 0, 0), topic="/tracked/pose")
        bag.items[-1][3].header.frame_id = "camera_optical_frame"
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].T_map_camera is None
    assert "is given in 'camera_optical_frame', which moves with the camera" in said(reader)


def test_odometry_of_a_body_names_both_frames_and_the_ways_out(bag, tmp_path):
    frames_in(bag)
    for index in range(3):
        bag.odometry(START + index * STEP, (float(index), 0, 0))
        bag.pose(START + index * STEP, (float(index), 0, 0), topic="/robot_pose")
    path = bag.write(tmp_path / "b")
    reader = BagReader(path)
    assert reader[0].T_map_camera is None
    text = said(reader)
    assert "'base_link', and no TF leads from there to 'camera_optical_frame'" in text
    assert "not taken: /robot_pose does not say whose pose it is" in text
    body = BagReader(path, pose_frame="body")[1].T_map_camera
    np.testing.assert_allclose(body[:3, :3], T_BODY_OPTICAL[:3, :3])
    np.testing.assert_allclose(body[:3, 3], [1, 0, 0])


def test_odometry_without_a_child_frame_is_not_taken(bag, tmp_path):
    frames_in(bag)
    bag.odometry(START, (1.0, 0, 0), child="")
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].T_map_camera is None and "has no child_frame_id" in said(reader)


def test_poses_in_several_frames_are_not_mixed(bag, tmp_path):
    frames_in(bag)
    for index in range(3):
        bag.pose(START + index * STEP, (float(index), 0, 0))
    bag.items[-1][3].header.frame_id = "odom"
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader.report.skipped == {"pose in another frame (odom) in /camera/pose": 1}


def test_poses_are_moved_to_a_named_map_frame_or_refused(bag, tmp_path):
    frames_in(bag)
    for index in range(3):
        bag.pose(START + index * STEP, (float(index), 0, 0))
    path = bag.write(tmp_path / "a")
    with pytest.raises(DataError, match="given in 'map', and no TF leads from there to 'earth'"):
        BagReader(path, map_frame="earth", pose_topic="/camera/pose")
    bag.transform(START, "earth", "map", (100, 0, 0), topic="/tf_static")
    pose = BagReader(bag.write(tmp_path / "b"), map_frame="earth")[1].T_map_camera
    assert pose[0, 3] == 101


def test_tf_that_does_not_reach_the_camera_names_both_frames(bag, tmp_path):
    frames_in(bag, frame="cam0")
    for index in range(3):
        bag.transform(START + index * STEP, "odom", "base_link", (float(index), 0, 0))
    reader = BagReader(bag.write(tmp_path / "b"))
    assert "no transforms lead from 'cam0' to 'odom': 'cam0' is not in TF" in said(reader)
    assert "TF has base_link, odom" in said(reader)


# --- poses against images


@pytest.fixture(scope="module")
def walk() -> list:
    return list(ProceduralReader(0, 24, 160, 120))


def written(frames: list, folder: Path, change) -> TumReader:
    from dataclasses import replace

    with TumWriter(folder, frames[0].camera) as writer:
        for frame in frames:
            writer.write(replace(frame, T_map_camera=change(frame.T_map_camera)))
    return TumReader(folder)


def test_right_poses_fit_the_images(walk, tmp_path):
    fit = check_poses(written(walk, tmp_path / "right", lambda pose: pose))
    assert fit is not None and fit.optical > 0.8


def test_body_poses_are_told_from_optical_ones_by_the_images(walk, tmp_path):
    reader = written(walk, tmp_path / "body", lambda pose: pose @ np.linalg.inv(T_BODY_OPTICAL))
    with pytest.raises(DataError, match="a body with x forward.*--pose-frame body"):
        check_poses(reader)
    check_poses(reader, insist=True)
    assert any(note.startswith("the poses contradict") for note in reader.report.notes)
    again = open_reader(tmp_path / "body", pose_frame="body")
    fit = check_poses(again)
    assert fit is not None and fit.optical > 0.8


def test_inverse_poses_are_told(walk, tmp_path):
    start = np.linalg.inv(walk[0].T_map_camera)
    reader = written(walk, tmp_path / "inverse", lambda pose: np.linalg.inv(start @ pose))
    with pytest.raises(DataError, match=r"the inverse \(map to camera\)"):
        check_poses(reader)


def test_a_camera_that_stands_still_tells_nothing(walk, tmp_path):
    assert check_poses(written([walk[0]] * 1, tmp_path / "one", lambda pose: pose)) is None


# --- files of poses


def pose_file(tum_folder, lines: list[str], **options) -> TumReader:
    folder = tum_folder("poses" + str(len(lines)) + lines[0][:3])
    (folder.path / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    return TumReader(folder.path, **options)


def rows(index: int, count: int) -> str:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("y", 2 * index, degrees=True).as_matrix()
    matrix[0, 3] = 0.1 * index
    return " ".join(f"{value:.6f}" for value in matrix.reshape(-1)[:count])


@pytest.mark.parametrize("count", [12, 16])
def test_rows_of_matrices_are_recognised(tum_folder, count):
    lines = [f"{100 + i / 10:.6f} {rows(i, count)}" for i in range(4)]
    reader = pose_file(tum_folder, lines)
    assert reader[2].T_map_camera[0, 3] == pytest.approx(0.2)
    assert reader[2].T_map_camera[0, 2] == pytest.approx(np.sin(np.radians(4)), abs=1e-5)
    assert "matrix" in said(reader)


@pytest.mark.parametrize("count", [12, 16])
def test_rows_of_matrices_without_stamps_are_refused(tum_folder, count):
    lines = [rows(i, count) for i in range(4)]
    # The first numbers, 1.0 and 0.99..., are read as stamps.
    with pytest.raises(DataError, match=f"got {count} columns, expected 8.*without stamps"):
        pose_file(tum_folder, lines)


def test_columns_of_euroc_are_recognised_by_their_names(tum_folder):
    names = "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y []"
    q = Rotation.from_euler("y", 4, degrees=True).as_quat()
    values = f"1.5,2.5,3.5,{q[3]},{q[0]},{q[1]},{q[2]}," + ",".join(["0.1"] * 9)
    stamps = [1_403_636_579_763_555_584 + i * 50_000_000 for i in range(4)]
    lines = [names, *(f"{stamp},{values}" for stamp in stamps)]
    folder = tum_folder("euroc")
    (folder.path / "groundtruth.txt").write_text("\n".join(lines))
    from e2e_slam_ros.data.trajectory_file import read_tum_trajectory

    read = read_tum_trajectory(folder.path / "groundtruth.txt")
    assert read.stamps_ns.tolist() == stamps
    np.testing.assert_allclose(read.poses[0][:3, 3], [1.5, 2.5, 3.5])
    assert read.poses[0][0, 2] == pytest.approx(np.sin(np.radians(4)), abs=1e-6)


@pytest.mark.parametrize("columns", [9, 10, 14, 17])
def test_other_columns_are_refused(tum_folder, columns):
    lines = [f"{100 + i / 10} " + " ".join(["0.5"] * (columns - 1)) for i in range(4)]
    with pytest.raises(DataError, match=f"got {columns} columns, expected 8 columns"):
        pose_file(tum_folder, lines)


def test_numbers_that_are_no_quaternions_are_refused(tum_folder):
    lines = [f"{100 + i / 10} 1 2 3 10 20 30 40" for i in range(4)]
    with pytest.raises(DataError, match="quaternions whose length is not 1, such as 10 20 30 40"):
        pose_file(tum_folder, lines)


# --- lists


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("style", ["plain", "backslashes", "quotes", "semicolons", "comma"])
def test_lists_as_other_programs_write_them(tum_folder, code, style):
    folder = tum_folder(f"list_{code}_{style}")
    for name in ("rgb.txt", "depth.txt"):
        text = (folder.path / name).read_text()
        if style == "backslashes":
            text = text.replace("/", "\\")
        elif style == "quotes":
            text = "\n".join(
                line if line.startswith("#") else '{} "{}"'.format(*line.split())
                for line in text.splitlines()
            )
        elif style == "semicolons":
            text = text.replace(" ", ";")
        elif style == "comma":
            text = "\r\n".join(
                line if line.startswith("#") else line.replace(".", ",", 1)
                for line in text.splitlines()
            )
        (folder.path / name).write_bytes(text.encode(code))
    reader = TumReader(folder.path)
    assert len(reader) == 4 and reader[3].depth is not None
    assert reader[1].stamp_ns == 100_100_000_000


def test_stamps_in_nanoseconds(tum_folder):
    folder = tum_folder()
    for name in ("rgb.txt", "depth.txt", "groundtruth.txt"):
        lines = []
        for line in (folder.path / name).read_text().splitlines():
            stamp, _, rest = line.partition(" ")
            if line.startswith("#"):
                continue
            lines.append(f"{1_400_000_000_000_000_000 + round(float(stamp) * 1e9)} {rest}")
        (folder.path / name).write_text("\n".join(lines))
    reader = TumReader(folder.path)
    assert reader[1].stamp_ns == 1_400_000_100_100_000_000
    assert reader[3].T_map_camera[0, 3] == pytest.approx(0.3)
    assert "read as nanoseconds" in said(reader)


def test_a_list_cannot_name_files_outside_its_folder(tum_folder, tmp_path):
    folder = tum_folder("inside")
    (tmp_path / "secret.png").write_bytes(folder.image(0).read_bytes())
    text = (folder.path / "rgb.txt").read_text()
    (folder.path / "rgb.txt").write_text(f"{text}\n100.9 ../secret.png\n101.0 /dev/zero\n")
    reader = TumReader(folder.path)
    assert len(reader) == 4 and reader.report.skipped == {"missing colour image": 2}


def test_stamps_far_from_all_others_are_left_out(tum_folder, bag, tmp_path):
    folder = tum_folder()
    text = (folder.path / "rgb.txt").read_text()
    name = folder.image(0).name
    (folder.path / "rgb.txt").write_text(f"{text}\n-5 rgb/{name}\n4000000000 rgb/{name}\n")
    reader = TumReader(folder.path)
    assert len(reader) == 4
    assert reader.report.skipped == {
        "negative stamp, or far from all others, of a colour image": 2
    }
    frames_in(bag)
    bag.image(4_000_000_000 % 2**31 * SECOND, noise(9), recorded_ns=START + 5)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert len(reader) == 3
    assert "negative stamp, or far from all others, in /camera/image_raw" in said(reader)


def test_stamps_of_zero_are_those_of_recording_and_said(bag, tmp_path):
    for index in range(3):
        bag.image(0, noise(index), recorded_ns=START + index * STEP)
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert [f.stamp_ns for f in reader] == [START, START + STEP, START + 2 * STEP]
    assert "3 stamps of /camera/image_raw are zero" in said(reader)


def test_clocks_that_differ_are_said_for_depth_and_poses(bag, tmp_path):
    for index in range(3):
        recorded = START + index * STEP
        bag.image(5 * SECOND + index * STEP, noise(index), recorded_ns=recorded)
        depth = np.full((12, 16), 1000, np.uint16)
        bag.image(recorded, depth, "16UC1", "/camera/depth/image")
        bag.pose(recorded, (0.1 * index, 0, 0))
    bag.info(START)
    path = bag.write(tmp_path / "b")
    text = said(BagReader(path))
    assert "the clocks differ: images are at 5.0 to 5.2 s, poses at 100.0 to 100.2 s" in text
    assert "depth images at 100.0 to 100.2 s" in text
    again = BagReader(path, clock="recording", pose_tolerance_s=0.2)
    assert all(frame.T_map_camera is not None for frame in again)
    assert all(frame.depth is not None for frame in again)


# --- recordings


def with_bad_topics(bag, path: Path) -> Path:
    """The frames, and topics that other readers stumble over."""
    frames_in(bag)
    for index in range(3):
        bag.pose(START + index * STEP, (0.1 * index, 0, 0))
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("uint8 a", "made_up_msgs/msg/Thing"))
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        made_up = writer.add_connection("/thing", "made_up_msgs/msg/Thing", typestore=store)
        events = writer.add_connection(
            "/set/_service_event", "made_up_msgs/msg/Thing", typestore=store
        )
        connections = {}
        for topic, kind, recorded_ns, message in sorted(bag.items, key=lambda item: item[2]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=bag.store)
            raw = bag.store.serialize_cdr(message, kind)
            writer.write(connections[topic], recorded_ns, raw)
        writer.write(made_up, START, b"\0\1\0\0\7")
        writer.write(events, START, b"")
    return path


def test_topics_of_unknown_types_cost_nothing(bag, tmp_path):
    path = with_bad_topics(bag, tmp_path / "b")
    assert len(BagReader(path)) == 3
    (file,) = path.glob("*.mcap")
    content = file.read_bytes()
    # Its definition is damaged: as long as before, and no message definition any more.
    assert b"uint8 a" in content
    file.write_bytes(content.replace(b"uint8 a", b"&%$#@! "))
    assert len(BagReader(path)) == 3 and len(BagReader(file)) == 3


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    "change",
    [
        {"storage_identifier": ""},
        {"storage_identifier": "something_else"},
        {"relative_file_paths": ["gone.mcap"]},
        {"version": 99},
        {"topics_with_message_count": None},
        {"compression_mode": "FILE", "compression_format": "lz4"},
    ],
)
def test_metadata_that_cannot_be_used_is_left_aside(rgbd_bag, tmp_path, storage, change):
    path = rgbd_bag.write(tmp_path / "b", storage)
    file = path / "metadata.yaml"
    content = yaml.safe_load(file.read_text())
    content["rosbag2_bagfile_information"].update(change)
    file.write_text(yaml.safe_dump(content))
    reader = BagReader(path)
    assert len(reader) == 4 and "metadata.yaml cannot be used" in said(reader)


def zstd():
    """The library that unpacks; there always is one, because `rosbags` needs it."""
    for name in ZSTD_LIBRARIES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise AssertionError("rosbags has brought no zstd library")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_packed_recordings(rgbd_bag, tmp_path, storage):
    path = rgbd_bag.write(tmp_path / "b", storage)
    (file,) = [p for p in path.iterdir() if p.suffix in (".mcap", ".db3")]
    packed = file.with_name(f"{file.name}.zstd")
    packed.write_bytes(zstd().compress(file.read_bytes()))
    file.unlink()
    for given in (packed, path):
        reader = open_reader(given)
        assert len(reader) == 4 and reader[3].T_map_camera[0, 3] == pytest.approx(0.3)
        reader.close()


def test_a_recording_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    from e2e_slam_ros.data import bag_storage

    monkeypatch.setattr(bag_storage, "_MOST_GROWTH", 10)
    packed = tmp_path / "bomb.mcap.zstd"
    packed.write_bytes(zstd().compress(bytes(50_000_000)))
    with pytest.raises(DataError, match="MiB when unpacked"):
        open_reader(packed)


def test_one_damaged_file_of_several_costs_only_its_messages(rgbd_bag, tmp_path):
    path = rgbd_bag.write(tmp_path / "b")
    (path / "b_1.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    (path / "metadata.yaml").unlink()
    reader = BagReader(path)
    assert len(reader) == 4 and "b_1.mcap cannot be read" in said(reader)


def test_a_topic_with_two_types_is_read_by_the_more_frequent_one(rgbd_bag, tmp_path):
    rgbd_bag.add(
        "/camera/pose2",
        "std_msgs/msg/Header",
        START,
        None,
        stamp=rgbd_bag.message("builtin_interfaces/msg/Time", sec=1, nanosec=0),
        frame_id="x",
    )
    reader = BagReader(rgbd_bag.write(tmp_path / "b"))
    assert len(reader) == 4


def test_rvl_and_png_depth_in_a_recording(bag, tmp_path):
    counts = np.full((12, 16), 1234, np.uint16)
    frames_in(bag, 1)
    stream = io.BytesIO()
    Image.fromarray(counts).save(stream, format="PNG")
    data = struct.pack("<iff", 0, 0.0, 0.0) + stream.getvalue()
    bag.compressed(START, data, "16UC1; compressedDepth png", "/stereo/image/compressedDepth")
    frame = BagReader(bag.write(tmp_path / "b"))[0]
    np.testing.assert_allclose(frame.depth, 1.234)
    tenfold = BagReader(tmp_path / "b", depth_factor=100.0)[0].depth
    np.testing.assert_allclose(tenfold, 12.34, rtol=1e-6)


def test_a_video_topic_is_named_and_the_raw_one_is_used(bag, tmp_path, monkeypatch):
    monkeypatch.setattr("e2e_slam_ros.data.rosbag.can_decode", lambda: False)
    bag.compressed(START, bytes(40), "h264", "/cam/image_raw/compressed")
    bag.info(START, topic="/cam/camera_info")
    with pytest.raises(DataError, match="h264 video is not decoded"):
        BagReader(bag.write(tmp_path / "a"))
    jpeg = cv2.imencode(".jpg", noise())[1].tobytes()
    bag.compressed(START, jpeg, "rgb8; jpeg compressed bgr8", "/cam/other/compressed")
    reader = BagReader(bag.write(tmp_path / "b"))
    assert "colour = /cam/other/compressed" in said(reader)
    assert "not taken: /cam/image_raw/compressed (video as h264" in said(reader)
