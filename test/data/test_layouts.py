"""Each published layout: recognised, and its cameras, poses and depth in our conventions."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data import layout_scenes as scenes
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import LAYOUT_NAMES
from e2e_slam_ros.data.layouts import LAYOUTS, recognised
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.pose_check import check_poses

HAS_AV = importlib.util.find_spec("av") is not None


def parameters() -> list[object]:
    skipped = pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
    return [
        pytest.param(
            *scene, id=scene[1].__name__, marks=skipped if scene[0] in scenes.VIDEOS else ()
        )
        for scene in scenes.SCENES
    ]


@pytest.mark.parametrize(("name", "write", "has_depth"), parameters())
def test_a_known_point_is_where_it_should_be(
    tmp_path: Path, name: str, write: Callable[[Path], Path], has_depth: bool
) -> None:
    """The point that the images show is, through camera and pose, the point of the world."""
    path = write(tmp_path / "recording")
    assert recognised(path)[0].name == name
    reader = open_reader(path)
    assert len(reader) == scenes.COUNT and not reader.report.skipped
    stamps = []
    for frame in reader:
        at = (np.linalg.inv(frame.T_map_camera) @ np.append(scenes.POINT, 1.0))[:3]
        assert at[2] > 1.0
        camera = frame.camera
        flat = at[:2] / at[2]
        if camera.is_distorted:
            import cv2

            matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
            lens = np.array(camera.distortion)
            zero = np.zeros(3)
            expected = cv2.projectPoints(at.reshape(1, 1, 3), zero, zero, matrix, lens)[0].ravel()
        else:
            expected = flat * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        seen = scenes.found_dot(frame.image)
        np.testing.assert_allclose(seen, expected, atol=0.1)
        assert (frame.depth is not None) is has_depth
        if frame.depth is not None:
            u, v = np.rint(seen).astype(int)
            assert frame.depth[v, u] == pytest.approx(at[2], abs=1e-3)
            assert frame.depth.shape == frame.image.shape[:2]
        stamps.append(frame.stamp_ns)
    assert all(a < b for a, b in zip(stamps, stamps[1:], strict=False)) and stamps[0] > 0
    if name == "kitti":  # its poses are those of another camera, beside this one
        return
    moved = np.linalg.inv(reader[0].T_map_camera) @ reader[2].T_map_camera
    true = np.linalg.inv(scenes.pose(0)) @ scenes.pose(2)
    np.testing.assert_allclose(moved, true, atol=1e-5)


REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "hololens" / "rooms_000"


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")
def test_real_images_agree_with_poses_that_were_opengl(tmp_path: Path) -> None:
    """Real frames written with OpenGL's axes: the images show that they are optical again."""
    source = open_reader(REAL)
    camera, frames = source[0].camera, []
    for index in range(0, 40, 2):
        frame, name = source[index], f"images/{index}.png"
        scenes.save(tmp_path / name, frame.image)
        gl = frame.T_map_camera @ np.diag([1.0, -1.0, -1.0, 1.0])
        frames.append({"file_path": name, "transform_matrix": gl.tolist()})
    inner = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx + 0.5, "cy": camera.cy + 0.5}
    (tmp_path / "transforms.json").write_text(json.dumps({**inner, "frames": frames}))
    fit = check_poses(open_reader(tmp_path))
    assert fit is not None and fit.optical > 0.9


@pytest.mark.parametrize(("name", "write", "has_depth"), parameters())
def test_frames_are_the_same_in_any_order(
    tmp_path: Path, name: str, write: Callable[[Path], Path], has_depth: bool
) -> None:
    reader = open_reader(write(tmp_path / "recording"), dataset="auto")
    forward = [frame.image for frame in reader]
    for index in (2, 0, 1, 1, 2):
        np.testing.assert_array_equal(reader[index].image, forward[index])


def test_the_folder_above_stands_for_its_only_recording(tmp_path: Path) -> None:
    scenes.replica(tmp_path / "replica")
    assert recognised(tmp_path / "replica")[0].name == "replica"
    scenes.sens(tmp_path / "scan")
    assert recognised(tmp_path / "scan")[1].name == "scene0000_00.sens"


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    folder = scenes.scannet(tmp_path / "scan")
    (folder / "calibration.yaml").write_text(
        "{width: 160, height: 120, fx: 140, fy: 138, cx: 79, cy: 60.5, depth_factor: 1000}"
    )
    assert open_reader(folder)[0].T_map_camera is not None
    plain = open_reader(folder, dataset="images")
    assert plain[0].T_map_camera is None and plain[0].camera.fx == 140.0
    with pytest.raises(DataError, match="expected .*rgb.txt"):
        open_reader(folder, dataset="tum")


def test_what_is_none_lists_all_layouts(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError) as refusal:
        open_reader(tmp_path)
    message = str(refusal.value)
    assert "got files of no known layout, expected one of these layouts" in message
    assert all(name in message for name in LAYOUT_NAMES) and "--dataset NAME" in message
    assert all(layout.what in message for layout in LAYOUTS)


def test_euroc_chooses_a_camera_and_needs_to_know_where_it_is(tmp_path: Path) -> None:
    folder = scenes.euroc(tmp_path / "a")
    with pytest.raises(DataError, match="no cam1/data.csv, expected one of the cameras cam0"):
        open_reader(folder, image_topic="cam1")
    sensor = folder / "mav0" / "cam0" / "sensor.yaml"
    sensor.write_text(sensor.read_text().replace("T_BS", "T_XX"))
    reader = open_reader(folder)
    assert reader[0].T_map_camera is None
    assert any("where the camera is on the body is not known" in n for n in reader.report.notes)
    optical = open_reader(folder, pose_frame="optical")[0].T_map_camera
    np.testing.assert_allclose(optical @ scenes.T_BODY_CAMERA, scenes.pose(0), atol=1e-6)
    sensor.unlink()
    with pytest.raises(DataError, match="no sensor.yaml .*, expected .*; copy it there"):
        open_reader(folder)
    given = open_reader(folder, intrinsics="140,138,79,60.5", pose_frame="body")
    assert given[0].camera.fx == 140.0 and not given[0].camera.is_distorted


def test_euroc_ground_truth_of_a_sensor_beside_the_body(tmp_path: Path) -> None:
    """Vicon gives poses of its markers, whose T_BS is in their own sensor.yaml."""
    folder = scenes.euroc(tmp_path / "a")
    truth = folder / "mav0" / "state_groundtruth_estimate0"
    mount = np.eye(4)
    mount[:3, 3] = (0.2, 0.0, -0.1)
    text = f"T_BS: {{cols: 4, rows: 4, data: {mount.reshape(-1).tolist()}}}"
    (truth / "sensor.yaml").write_text(text)
    moved = open_reader(folder)[0].T_map_camera
    expected = scenes.pose(0) @ np.linalg.inv(scenes.T_BODY_CAMERA)
    expected = expected @ np.linalg.inv(mount) @ scenes.T_BODY_CAMERA
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_seven_scenes_leaves_out_what_is_no_depth(tmp_path: Path) -> None:
    folder = scenes.seven_scenes(tmp_path / "a")
    (folder / "frame-000001.pose.txt").write_text("nan " * 16)
    (folder / "frame-000002.depth.png").unlink()
    reader = open_reader(folder)
    assert [f.T_map_camera is None for f in reader] == [False, True, False]
    assert [f.depth is None for f in reader] == [False, False, True]
    assert reader.report.skipped == {
        "pose file not finite or not rigid": 1,
        "missing depth image": 1,
    }
    assert reader[0].depth.max() < 60.0  # 65535 is nothing
    assert len(open_reader(folder, require_depth=True, require_pose=True)) == 1


def test_scannet_with_intrinsics_of_larger_images(tmp_path: Path) -> None:
    folder = scenes.scannet(tmp_path / "a")
    file = folder / "intrinsic" / "intrinsic_color.txt"
    k = np.diag([8.1, 8.1, 1.0]) @ scenes.K
    matrix = np.eye(4)
    matrix[:3, :3] = k
    file.write_text(scenes.rows(matrix))
    reader = open_reader(folder)
    assert reader[0].camera.fx == pytest.approx(140.0, rel=0.02)
    assert any("scaled to 160x120" in note for note in reader.report.notes)
    (folder / "pose" / "1.txt").write_text(" ".join(["-inf"] * 16))
    assert open_reader(folder)[1].T_map_camera is None
    file.unlink()
    with pytest.raises(DataError, match="no intrinsic/intrinsic_color.txt, expected .*; export"):
        open_reader(folder)


def test_a_sens_file_that_was_cut_off(tmp_path: Path) -> None:
    folder = scenes.sens(tmp_path / "a")
    file = folder / "scene0000_00.sens"
    content = file.read_bytes()
    file.write_bytes(content[:-50])
    reader = open_reader(file)
    assert len(reader) == 2 and reader.report.skipped == {"frame that the file does not hold": 1}
    file.write_bytes(content[:100])
    with pytest.raises(DataError, match="of 256 bytes, expected a .sens file of version 4"):
        open_reader(file)
    file.write_bytes(b"\x05" + content[1:])
    with pytest.raises(DataError, match="got version 5, expected"):
        open_reader(file)


def test_replica_without_a_camera(tmp_path: Path) -> None:
    scene = scenes.replica(tmp_path / "a")
    (tmp_path / "a" / "cam_params.json").write_text('{"camera": {"w": 160}}')
    with pytest.raises(DataError, match="KeyError.*, expected a camera with w, h, fx"):
        open_reader(scene)
    (tmp_path / "a" / "cam_params.json").write_text("{")
    with pytest.raises(DataError, match="expected a camera with w, h, fx"):
        open_reader(scene)
    (tmp_path / "a" / "cam_params.json").unlink()
    given = open_reader(scene, intrinsics="140,138,79,60.5")
    assert given[0].depth[60, 80] == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": 3}, "no list of frames"),
        ({"frames": []}, "no image of the 0 frames"),
        ({"fl_x": "wide"}, "fl_x is 'wide'"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model EQUIRECTANGULAR"),
        ({"fl_x": None, "camera_angle_x": None}, "fl_x is None"),
    ],
)
def test_nerfstudio_refuses(tmp_path: Path, change: dict[str, object], words: str) -> None:
    folder = scenes.nerfstudio(tmp_path / "a")
    file = folder / "transforms.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError) as refusal:
        open_reader(folder)
    assert words in str(refusal.value) and "expected" in str(refusal.value)


def test_nerfstudio_view_angles_and_cameras_of_single_images(tmp_path: Path) -> None:
    folder = scenes.nerfstudio(tmp_path / "a")
    file = folder / "transforms.json"
    content = json.loads(file.read_text())
    angle = {key: value for key, value in content.items() if not key.startswith("fl_")}
    file.write_text(json.dumps(angle | {"camera_angle_x": 2 * np.arctan(80 / 140.0)}))
    assert open_reader(folder)[0].camera.fx == pytest.approx(140.0)
    for frame, focal in zip(content["frames"], (139.5, 140.0, 140.5), strict=True):
        frame["fl_x"] = focal
    file.write_text(json.dumps(content))
    reader = open_reader(folder)
    assert reader[0].camera.fx == 140.0
    assert any("focal lengths differ by 0.4%" in note for note in reader.report.notes)
    content["frames"][0]["fl_x"] = 280.0
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="focal lengths that differ by 99%"):
        open_reader(folder)
    content = json.loads(file.read_text())
    content["frames"][0]["fl_x"] = 140.0
    content["integer_depth_scale"] = 0.002
    file.write_text(json.dumps(content))
    assert open_reader(folder)[0].depth[60, 80] == pytest.approx(6.0, abs=0.01)
    # Exports of phones have smaller depth of the same view.
    small = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40)
    scenes.save(folder / "depth" / "0.png", small)
    depth = open_reader(folder)[0].depth
    np.testing.assert_allclose(depth, np.kron(small, np.ones((4, 4))) * 0.002, rtol=1e-6)
    scenes.save(folder / "depth" / "0.png", small[:, :20].copy())
    assert open_reader(folder)[0].depth is None


def test_openloris_without_transforms(tmp_path: Path) -> None:
    folder = scenes.openloris(tmp_path / "a")
    (folder / "trans_matrix.yaml").write_text("%YAML:1.0\n---\ntrans_matrix: []\n")
    reader = open_reader(folder)
    assert reader[0].T_map_camera is None
    assert any("no transform from base_link to d400" in note for note in reader.report.notes)
    (folder / "aligned_depth.txt").unlink()
    assert open_reader(folder)[0].depth is None
    (folder / "sensors.yaml").write_text("%YAML:1.0\n")
    with pytest.raises(DataError, match="no intrinsics of d400_color_optical_frame"):
        open_reader(folder)


def test_kitti_cameras_and_times(tmp_path: Path) -> None:
    folder = scenes.kitti(tmp_path / "a")
    assert open_reader(folder)[1].stamp_ns == 1_103_700_000
    grey = open_reader(folder, image_topic="image_0")
    np.testing.assert_allclose(grey[1].T_map_camera, scenes.pose(1), atol=1e-6)
    (folder / "times.txt").write_text("0.0\n")
    reader = open_reader(folder)
    assert any("does not fit the 3 images" in note for note in reader.report.notes)
    (folder / "calib.txt").write_text("P2: 1 2 3")
    with pytest.raises(DataError, match="no projection matrix P2 in calib.txt"):
        open_reader(folder)


@pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
def test_stray_scanner_leaves_out_depth_without_confidence(tmp_path: Path) -> None:
    folder = scenes.stray(tmp_path / "a")
    reader = open_reader(folder)
    frame = reader[0]
    assert (frame.depth[:5] == 0).all() and (frame.depth[5:] > 0).all()
    assert frame.stamp_ns == 12_345_500_000_000
    text = (folder / "odometry.csv").read_text()
    (folder / "odometry.csv").write_text(text + "\n1, x, 2\n12346.9, 000099, 0,0,0,0,0,0,1")
    again = open_reader(folder)
    assert len(again) == 3 and again.report.skipped == {
        "malformed line in odometry.csv": 1,
        "line of a frame that the video does not have": 1,
    }
    (folder / "camera_matrix.csv").write_text("1,2\n")
    with pytest.raises(DataError, match="no 3x3 matrix in camera_matrix.csv"):
        open_reader(folder)


@pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
def test_a_video_needs_a_calibration_and_pyav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = scenes.video_file(tmp_path / "a")
    (file.parent / "walk.yaml").unlink()
    with pytest.raises(DataError, match="no walk.yaml .*, expected the camera's calibration"):
        open_reader(file)
    assert open_reader(file, intrinsics="140,138,79,60.5")[1].stamp_ns == 1_033_333_333
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video" * 50)
    with pytest.raises(DataError, match="expected a video that FFmpeg reads"):
        open_reader(bad, intrinsics="140,138,79,60.5")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match="got no PyAV .*; pip install av"):
        open_reader(file, intrinsics="140,138,79,60.5")


@pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
def test_a_video_is_turned_as_players_turn_it(tmp_path: Path) -> None:
    """The matrix of an MP4's track says a quarter turn; OpenCV is the reference."""
    from e2e_slam_ros.data.video_frames import VideoFrames

    file = scenes.video_file(tmp_path / "a")
    content = bytearray(file.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    one, zero = (65536).to_bytes(4, "big"), bytes(4)
    minus = (2**32 - 65536).to_bytes(4, "big")
    content[place : place + 36] = zero + one + zero + minus + zero * 4 + (2**30).to_bytes(4, "big")
    file.write_bytes(bytes(content))
    ours = VideoFrames(file).image(0)
    capture = cv2.VideoCapture(str(file))
    theirs = capture.read()[1][..., ::-1]
    assert ours.shape == theirs.shape == (160, 120, 3)
    np.testing.assert_allclose(scenes.found_dot(ours), scenes.found_dot(theirs), atol=0.1)
    assert VideoFrames(file, turned=False).image(0).shape == (120, 160, 3)


def test_image_folders_follow_the_input_policy(tmp_path: Path) -> None:
    folder = scenes.images(tmp_path / "a")
    reader = open_reader(folder)
    notes = reader.report.notes
    assert any(note.startswith("colour = /color (rgb8 as png") for note in notes)
    assert any(note.startswith("depth = /depth (mono16 as png") for note in notes)
    assert any(note.startswith("not taken: /confidence (mono8 as png") for note in notes)
    named = open_reader(folder, depth_topic="depth", image_topic="color")
    assert named[0].depth is not None
    with pytest.raises(DataError, match="'xyz', expected one of"):
        open_reader(folder, depth_topic="xyz")
    (folder / "calibration.yaml").unlink()
    with pytest.raises(DataError, match="got images without a calibration, expected one of"):
        open_reader(folder)
    given = open_reader(folder, intrinsics="140,138,79,60.5")
    assert given[0].depth[60, 80] == pytest.approx(3.0, abs=1e-3)  # millimetres


def test_image_folders_with_times_in_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for index in range(3):
        at = scenes.in_camera(scenes.pose(index))
        name = f"{scenes.FIRST_NS + index * scenes.STEP_NS}.png"
        scenes.save(folder / name, scenes.colour(scenes.dot(scenes.pixel_of(at))))
    lines = []
    for index in range(3):
        T = scenes.pose(index)
        values = [*T[:3, 3], *scenes.quaternion(T)]
        stamp = f"{(scenes.FIRST_NS + index * scenes.STEP_NS) / 1e9:.9f}"
        lines.append(" ".join([stamp, *(f"{v:.9f}" for v in values)]))
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    reader = open_reader(folder, intrinsics="140,138,79,60.5")
    assert reader[1].stamp_ns == scenes.FIRST_NS + scenes.STEP_NS
    np.testing.assert_allclose(reader[1].T_map_camera, scenes.pose(1), atol=1e-4)
    assert reader[0].depth is None


def test_a_tum_folder_without_its_lists(tmp_path: Path, tum_folder: Callable[..., Any]) -> None:
    """Times are in the names of the files; depth is a little later."""
    folder = tum_folder(calibration=False)
    for index in range(folder.count):
        late = folder.path / "depth" / f"{100 + index / 10 + 0.004:.6f}.png"
        folder.depth(index).rename(late)
    for name in ("rgb.txt", "depth.txt"):
        (folder.path / name).unlink()
    named = {"intrinsics": "15,15,7.5,5.5"}
    reader = open_reader(folder.path, **named)
    assert [f.stamp_ns for f in reader] == [100 * 10**9 + i * 10**8 for i in range(4)]
    assert reader[1].T_map_camera[0, 3] == pytest.approx(0.1)
    assert any("millimetres assumed; --depth-factor 5000" in n for n in reader.report.notes)
    assert reader[0].depth[5, 5] == pytest.approx(5.0)
    assert open_reader(folder.path, depth_factor=5000.0, **named)[0].depth[5, 5] == 1.0


def test_a_layout_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = scenes.images(tmp_path / "a")
    with pytest.raises(DataError, match="a folder has no TF"):
        open_reader(folder, pose_frame="base_link")
