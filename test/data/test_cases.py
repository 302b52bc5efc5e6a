"""The recorded inputs of ../shared/cases: what each must give. Live ones: test/nodes.

Each case holds one input, the command, what was got once, and what is expected. A test checks the
right values and prints what it got. `pytest -s` shows the lines.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.pose_check import check_poses

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="../shared/cases is not here; test_inputs.py has the same kinds"
)


def opened(case: str, **named: object) -> FrameReader:
    """Open a case as the commands do; print what would be used."""
    folder = CASES / case
    source = folder / "bag" if (folder / "bag").exists() else folder / "seq"
    reader = open_reader(source, options=InputOptions(**named))
    check_poses(reader)
    for note in reader.report.notes:
        print(f"  {case}: {note}")
    return reader


def said(reader: FrameReader) -> str:
    return " | ".join([*reader.report.notes, *reader.report.skipped])


def refusal(case: str, **named: object) -> str:
    with pytest.raises(DataError) as caught:
        reader = opened(case, **named)
        reader[0]
    print(f"  {case}: {caught.value}")
    return str(caught.value)


def assert_true_camera(reader: FrameReader) -> None:
    camera = reader[0].camera
    assert (camera.width, camera.height) == (96, 72)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((90, 90, 47.5, 35.5))


def assert_true_poses(reader: FrameReader) -> None:
    """The camera moves by 0.1 m along x and turns by 2 degrees about y each frame."""
    assert len(reader) == 6
    first = reader[0].T_map_camera
    for index in range(6):
        pose = reader[index].T_map_camera
        assert pose is not None, f"frame {index} has no pose"
        moved = np.linalg.inv(first) @ pose
        np.testing.assert_allclose(moved[:3, 3], [0.1 * index, 0, 0], atol=2e-3)
        turned = Rotation.from_matrix(moved[:3, :3]).as_rotvec(degrees=True)
        np.testing.assert_allclose(turned, [0, 2.0 * index, 0], atol=0.01)


def assert_depth(reader: FrameReader, present: bool = True) -> None:
    assert (reader[0].depth is not None) is present


def backslashes() -> None:
    reader = opened("backslashes")
    assert_true_poses(reader)
    assert_depth(reader)


def binning() -> None:
    reader = opened("binning")
    assert_true_camera(reader)
    assert_true_poses(reader)


def body_pose_as_optical() -> None:
    reader = opened("body_pose_as_optical")
    assert reader[0].T_map_camera is None
    assert "not taken: /zed/zed_node/pose does not say whose pose it is" in said(reader)
    message = refusal("body_pose_as_optical", pose_topic="/zed/zed_node/pose")
    assert "/zed/zed_node/pose" in message and "x forward" in message
    assert "--pose-frame body" in message
    topic, frame = "/zed/zed_node/pose", "zed_left_camera_optical_frame"
    body = {"pose_topic": topic, "pose_frame": "body", "depth_frame": frame}
    assert_true_poses(opened("body_pose_as_optical", **body))


def camera_info_of_another_camera() -> None:
    message = refusal("camera_info_of_another_camera")
    assert "camera_infra1_optical_frame" in message and "camera_color_optical_frame" in message
    assert "--camera-info-topic" in message
    named = opened("camera_info_of_another_camera", camera_info_topic="/camera/infra1/camera_info")
    assert named[0].camera.fx == 70.0


def depth_jpeg_as_colour() -> None:
    reader = opened("depth_jpeg_as_colour")
    assert "colour = /camera/color/image_raw/compressed" in said(reader)
    assert "not taken: /camera/aligned_depth_to_color/image_raw/compressed" in said(reader)
    assert np.ptp(reader[0].image.astype(int), axis=2).max() > 0  # it is not grey
    assert_depth(reader, present=False)


def depth_png_topic_without_depth_in_name() -> None:
    reader = opened("depth_png_topic_without_depth_in_name")
    assert_depth(reader)
    assert "depth = /oak/stereo/image_raw/compressed" in said(reader)


def depth_to_rgb_loses() -> None:
    reader = opened("depth_to_rgb_loses")
    assert "depth = /depth_to_rgb/image_raw" in said(reader)
    assert_depth(reader)


def device_clock() -> None:
    reader = opened("device_clock")
    assert reader[0].T_map_camera is None
    assert "the clocks differ" in said(reader)
    assert_true_poses(opened("device_clock", clock="recording"))


def empty_definition() -> None:
    reader = opened("empty_definition")
    assert_true_camera(reader)
    assert_true_poses(reader)
    assert_depth(reader)


def goal_pose_as_camera() -> None:
    reader = opened("goal_pose_as_camera")
    assert reader[0].T_map_camera is None
    assert "base_link" in said(reader) and "camera_color_optical_frame" in said(reader)
    assert "not taken: /goal_pose" in said(reader)


def grey16_png() -> None:
    image = opened("grey16_png")[0].image
    assert 30 < image.mean() < 220


def gt_4x4_rows() -> None:
    reader = opened("gt_4x4_rows")
    assert_true_poses(reader)
    assert "4x4" in said(reader)


def h264() -> None:
    message = refusal("h264")
    assert "h264" in message and "BytesIO" not in message


def map_odom_1hz() -> None:
    reader = opened("map_odom_1hz")
    assert all(reader[index].T_map_camera is not None for index in range(len(reader)))
    assert len(reader) == 6


def ost_yaml() -> None:
    reader = opened("ost_yaml")
    assert_true_camera(reader)
    assert reader[0].camera.distortion == (0.1, -0.2, 0.001, 0.002, 0.0)
    assert_true_poses(reader)
    assert "--depth-factor 1000" in said(reader)


def rational_polynomial() -> None:
    reader = opened("rational_polynomial")
    assert not reader[0].camera.is_distorted
    assert "rational_polynomial" in said(reader)
    assert reader[0].image.shape == (72, 96, 3)


def reindexed_storage_identifier() -> None:
    reader = opened("reindexed_storage_identifier")
    assert_true_camera(reader)
    assert_true_poses(reader)


def tum_associations_only() -> None:
    reader = opened("tum_associations_only")
    assert len(reader) == 6
    assert_depth(reader)
    assert "associations.txt" in said(reader)
    # The list gives each image 23 ms more than its name; poses are found at the listed times.
    assert reader[0].stamp_ns == 1_700_000_000_123_000_000
    pose = opened("tum_associations_only", tolerance_s=0.1)[0].T_map_camera
    assert pose[0, 3] == pytest.approx(0.123, abs=1e-3)


def two_camera_infos_called_none() -> None:
    reader = opened("two_camera_infos_called_none")
    assert_true_camera(reader)
    assert_depth(reader)
    for topic in ("sensor_1/Color_0/info/camera_info", "sensor_0/Depth_0/info/camera_info"):
        assert topic in said(reader)
    assert "--camera-info-topic" in said(reader)


def unregistered_depth_silent() -> None:
    reader = opened("unregistered_depth_silent")
    assert_depth(reader, present=False)
    for frame in ("camera_depth_optical_frame", "camera_color_optical_frame"):
        assert frame in said(reader)


OFFLINE: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        backslashes,
        binning,
        body_pose_as_optical,
        camera_info_of_another_camera,
        depth_jpeg_as_colour,
        depth_png_topic_without_depth_in_name,
        depth_to_rgb_loses,
        device_clock,
        empty_definition,
        goal_pose_as_camera,
        grey16_png,
        gt_4x4_rows,
        h264,
        map_odom_1hz,
        ost_yaml,
        rational_polynomial,
        reindexed_storage_identifier,
        tum_associations_only,
        two_camera_infos_called_none,
        unregistered_depth_silent,
    )
}


@pytest.mark.parametrize("case", OFFLINE)
def test_a_recorded_case_gives_the_right_values(case: str) -> None:
    for line in (CASES / case / "README.txt").read_text().splitlines():
        print(f"  {case}: {line}")
    OFFLINE[case]()


def test_every_case_has_a_test() -> None:
    live = {path.name for path in CASES.iterdir() if path.name.startswith("live_")}
    assert {path.name for path in CASES.iterdir()} - live == set(OFFLINE)
