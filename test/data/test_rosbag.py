"""The bag reader, on real recordings in both storages."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.geometry.camera import PinholeCamera

SECOND = 10**9
START = 100 * SECOND
STEP = SECOND // 10


def noise(index=0, height=12, width=16):
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_frames_carry_what_was_recorded(rgbd_bag, tmp_path, storage):
    reader = BagReader(rgbd_bag.write(tmp_path / "walk", storage))
    assert isinstance(reader, FrameReader)
    assert len(reader) == 4 and reader.name == "walk"
    assert reader.report.listed == 4 and not reader.report.skipped
    for index, frame in enumerate(reader):
        assert frame.index == index and frame.stamp_ns == START + index * STEP
        np.testing.assert_array_equal(frame.image, noise(index))
        assert frame.depth.dtype == np.float32 and frame.depth[0, 0] == 0
        np.testing.assert_allclose(frame.depth[1:], (5000 + 100 * index) / 1000)
        np.testing.assert_allclose(frame.T_map_camera[:3, 3], [0.1 * index, 0, 0])
        assert (frame.camera.width, frame.camera.fx) == (16, 15.0)
    reader.close()
    reader.close()
    with pytest.raises(DataError, match="closed"):
        reader[0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_storage_file_alone_is_enough(rgbd_bag, tmp_path, storage):
    folder = rgbd_bag.write(tmp_path / "walk", storage)
    (storage_file,) = [p for p in folder.iterdir() if p.suffix in (".mcap", ".db3")]
    assert len(BagReader(storage_file)) == 4
    (folder / "metadata.yaml").unlink()
    assert len(BagReader(folder)) == 4


def test_many_threads_may_read(rgbd_bag, tmp_path):
    reader = BagReader(rgbd_bag.write(tmp_path / "walk"))
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(reader.__getitem__, [i % 4 for i in range(40)]))
    assert [f.index for f in frames] == [i % 4 for i in range(40)]


@pytest.mark.parametrize(
    ("encoding", "make"),
    [
        ("rgb8", lambda rgb: rgb),
        ("bgr8", lambda rgb: rgb[..., ::-1]),
        ("rgba8", lambda rgb: np.dstack([rgb, rgb[..., :1]])),
        ("bgra8", lambda rgb: np.dstack([rgb[..., ::-1], rgb[..., :1]])),
    ],
)
def test_color_encodings(bag, tmp_path, encoding, make):
    bag.image(START, np.ascontiguousarray(make(noise())), encoding)
    bag.info(START)
    np.testing.assert_array_equal(BagReader(bag.write(tmp_path / "b"))[0].image, noise())


def test_grey_and_padded_rows(bag, tmp_path):
    grey = noise()[..., 0]
    bag.image(START, grey, "mono8")
    padded = np.pad(noise(1).reshape(12, 48), ((0, 0), (0, 16)))
    stamp = START + STEP
    bag.image(stamp, padded, "rgb8", step=64)
    bag.items[-1][3].width = 16  # the array above is wider than the image by its padding
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    np.testing.assert_array_equal(reader[0].image, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(reader[1].image, noise(1))


def test_an_unknown_encoding_is_refused_counted_and_passed_over(bag, tmp_path):
    bag.image(START, noise())
    bag.image(START + STEP, noise(1)[..., 0], "jpeg2000")
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert [f.index for f in reader] == [0]
    assert reader.report.skipped == {"unreadable frame": 1}
    with pytest.raises(DataError, match="got encoding 'jpeg2000', expected rgb8 bgr8 .*yuyv"):
        reader[1]


def test_too_few_bytes_and_a_size_change_are_refused(bag, tmp_path):
    bag.image(START, noise())
    bag.image(START + STEP, noise(1))
    bag.items[-1][3].height = 20
    bag.image(START + 2 * STEP, noise(2, 24, 32))
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    with pytest.raises(DataError, match="576 bytes, expected at least 48 bytes a row"):
        reader[1]
    with pytest.raises(DataError, match="got 32x24 pixels, expected 16x12"):
        reader[2]
    assert [f.index for f in reader] == [0]


def test_metres_in_floats_with_nan(bag, tmp_path):
    depth = np.full((12, 16), 1.5, dtype=np.float32)
    depth[0, :3] = [np.nan, np.inf, -1.0]
    bag.image(START, noise())
    bag.image(START, depth, "32FC1", "/camera/aligned_depth/image")
    bag.info(START)
    read = BagReader(bag.write(tmp_path / "b"))[0].depth
    assert read[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert (read[1:] == 1.5).all()


def jpeg(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


def png16(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def test_compressed_color_and_depth(bag, tmp_path):
    flat = np.full((12, 16, 3), (200, 100, 50), dtype=np.uint8)
    counts = np.full((12, 16), 1234, dtype=np.uint16)
    header = struct.pack("<iff", 0, 0.0, 0.0)
    form = "16UC1; compressedDepth png"
    bag.compressed(START, jpeg(flat), "rgb8; jpeg compressed bgr8", "/camera/image_raw/compressed")
    bag.compressed(START, header + png16(counts), form, "/camera/depth/compressedDepth")
    bag.info(START)
    frame = BagReader(bag.write(tmp_path / "b"))[0]
    assert np.abs(frame.image.astype(int) - flat).max() < 6
    np.testing.assert_allclose(frame.depth, 1.234)


def test_quantised_float_depth(bag, tmp_path):
    metres = np.linspace(0.5, 6.0, 192, dtype=np.float32).reshape(12, 16)
    # What compressed_depth_image_transport does: count = a / depth + b, 0 = invalid.
    a, b = 100.0 * 101.0, 1.0 - 101.0 / 10.0
    counts = np.rint(a / metres + b).astype(np.uint16)
    counts[0, 0] = 0
    data = struct.pack("<iff", 0, a, b) + png16(counts)
    bag.image(START, noise())
    bag.compressed(START, data, "32FC1; compressedDepth", "/camera/depth/compressedDepth")
    bag.info(START)
    depth = BagReader(bag.write(tmp_path / "b"))[0].depth
    assert depth[0, 0] == 0.0
    np.testing.assert_allclose(depth.reshape(-1)[1:], metres.reshape(-1)[1:], rtol=2e-3)


def test_damaged_compressed_images(bag, tmp_path):
    bag.compressed(START, jpeg(noise())[:80], "jpeg", "/camera/image_raw/compressed")
    bag.compressed(START + STEP, jpeg(noise()), "jpeg", "/camera/image_raw/compressed")
    bag.compressed(START + STEP, b"xx", "16UC1; compressedDepth png", "/camera/depth/c")
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    (frame,) = list(reader)
    assert frame.index == 1 and frame.depth is None
    assert reader.report.skipped == {"unreadable frame": 1, "unreadable depth image": 1}


def test_camera_info_with_a_zero_matrix_is_refused(bag, tmp_path):
    bag.image(START, noise())
    bag.info(START, k=[0.0] * 9)
    with pytest.raises(DataError, match="K of zeros means camera_info was never filled in"):
        BagReader(bag.write(tmp_path / "b"))


def test_a_later_usable_camera_info_is_used(bag, tmp_path):
    bag.image(START, noise())
    bag.info(START, k=[0.0] * 9)
    bag.info(START + STEP)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].camera.fx == 15.0
    assert reader.report.skipped == {"unusable camera_info": 1}


def test_given_intrinsics_need_no_camera_info(bag, tmp_path):
    bag.image(START, noise())
    path = bag.write(tmp_path / "b")
    with pytest.raises(DataError, match="got no camera_info topic, expected a camera_info topic"):
        BagReader(path)
    own = PinholeCamera(16, 12, 20.0, 20.0, 8.0, 6.0)
    assert BagReader(path, camera=own)[0].camera == own


def test_distortion_is_carried_and_rectified_images_have_none(bag, tmp_path):
    coefficients = [0.1, -0.2, 0.001, 0.002, 0.05]
    p = [14.0, 0, 7.0, 0, 0, 14.0, 5.0, 0, 0, 0, 1.0, 0]
    bag.image(START, noise())
    bag.image(START, noise(), topic="/camera/image_rect")
    bag.info(START, d=coefficients, p=p)
    path = bag.write(tmp_path / "b")
    raw = BagReader(path, image_topic="/camera/image_raw").camera
    assert raw.distortion == pytest.approx(tuple(coefficients)) and raw.fx == 15.0
    rectified = BagReader(path, image_topic="camera/image_rect").camera
    assert not rectified.is_distorted and (rectified.fx, rectified.cx) == (14.0, 7.0)


def test_topics_are_found_among_several(bag, tmp_path):
    for topic in ("/camera/infra1/image_raw", "/camera/color/image_raw"):
        bag.image(START, noise(), topic=topic)
        bag.info(START, topic=topic.replace("image_raw", "camera_info"))
    counts = np.full((12, 16), 1000, np.uint16)
    bag.image(START, counts * 2, "16UC1", "/camera/depth/image_rect_raw")
    bag.image(START, counts, "16UC1", "/camera/aligned_depth_to_color/image_raw")
    reader = BagReader(bag.write(tmp_path / "b"))
    assert (reader[0].depth == 1.0).all()
    notes = " ".join(reader.report.notes)
    assert "colour = /camera/color/image_raw" in notes
    assert "not taken: /camera/infra1/image_raw" in notes
    assert "depth = /camera/aligned_depth_to_color/image_raw" in notes
    assert "--depth-topic /camera/depth/image_rect_raw" not in notes  # it is not close


def test_a_named_topic_that_is_not_there_is_refused(rgbd_bag, tmp_path):
    path = rgbd_bag.write(tmp_path / "b")
    with pytest.raises(DataError, match=r"/camera/image_raw \[sensor_msgs/msg/Image\]"):
        BagReader(path, image_topic="/front/image")
    with pytest.raises(DataError, match="pose topic"):
        BagReader(path, pose_topic="/camera/image_raw")


def test_depth_only_is_no_camera(bag, tmp_path):
    bag.image(START, np.ones((12, 16), np.uint16), "16UC1", "/depth")
    with pytest.raises(DataError, match="expected a colour image topic"):
        BagReader(bag.write(tmp_path / "b"))


def test_poses_that_are_no_poses_are_left_out(bag, tmp_path):
    for index in range(3):
        bag.image(START + index * SECOND, noise())
    bag.info(START)
    bag.pose(START, (float("nan"), 0.0, 0.0))
    bag.pose(START + SECOND, (1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    bag.pose(START + 2 * SECOND, (2.0, 0.0, 0.0))
    reader = BagReader(bag.write(tmp_path / "b"))
    assert [f.T_map_camera is not None for f in reader] == [False, False, True]
    assert reader.report.skipped == {"pose not finite or zero quaternion in /camera/pose": 2}
    assert len(BagReader(tmp_path / "b", require_pose=True)) == 1


def test_poses_are_interpolated_between_stamps(bag, tmp_path):
    bag.image(START + STEP // 2, noise())
    bag.info(START)
    bag.pose(START, (0.0, 0.0, 0.0))
    bag.pose(START + STEP, (1.0, 0.0, 0.0))
    frame = BagReader(bag.write(tmp_path / "b"))[0]
    np.testing.assert_allclose(frame.T_map_camera[:3, 3], [0.5, 0.0, 0.0])


# Camera looking along base_link's x: the usual optical frame.
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
T_base_optical = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.3], [0, 0, 0, 1.0]])


def test_tf_from_map_to_the_optical_frame(bag, tmp_path):
    bag.image(START + STEP // 2, noise())
    bag.info(START)
    bag.transform(START, "base_link", "camera_link", (0.2, 0, 0.3), topic="/tf_static")
    bag.transform(START, "camera_link", "camera_optical_frame", (0, 0, 0), OPTICAL, "/tf_static")
    bag.transform(START, "map", "odom", (10.0, 0, 0))
    bag.transform(START + STEP, "map", "odom", (10.0, 0, 0))
    bag.transform(START, "odom", "base_link", (0, 0, 0))
    bag.transform(START + STEP, "odom", "base_link", (1.0, 0, 0))
    reader = BagReader(bag.write(tmp_path / "b"))
    assert "poses are TF map <- camera_optical_frame" in reader.report.notes
    expected = T_base_optical.copy()
    expected[0, 3] += 10.5
    np.testing.assert_allclose(reader[0].T_map_camera, expected, atol=1e-12)
    odom = BagReader(tmp_path / "b", map_frame="odom")[0].T_map_camera
    assert odom[0, 3] == pytest.approx(0.7)


def test_odometry_is_moved_to_the_camera(bag, tmp_path):
    bag.image(START, noise())
    bag.info(START)
    bag.odometry(START, (1.0, 2.0, 0.0))
    path = bag.write(tmp_path / "without_tf")
    reader = BagReader(path)
    assert reader[0].T_map_camera is None
    assert any("/odom is the pose of 'base_link', and no TF" in n for n in reader.report.notes)
    with pytest.raises(DataError, match="expected TF between the pose's frame and the camera"):
        BagReader(path, pose_topic="/odom")
    xyz = (0.2, 0, 0.3)
    bag.transform(START, "base_link", "camera_optical_frame", xyz, OPTICAL, "/tf_static")
    expected = T_base_optical.copy()
    expected[:2, 3] += [1.0, 2.0]
    pose = BagReader(bag.write(tmp_path / "with_tf"))[0].T_map_camera
    np.testing.assert_allclose(pose, expected, atol=1e-12)


def test_standing_transforms_alone_are_no_pose(bag, tmp_path):
    bag.image(START, noise())
    bag.info(START)
    bag.transform(START, "base_link", "camera_optical_frame", (0, 0, 0), topic="/tf_static")
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].T_map_camera is None
    assert "no pose topic, odometry or moving TF: the frames have no pose" in reader.report.notes


def test_stamps_that_go_back_are_sorted_and_said(bag, tmp_path):
    for position, index in enumerate((2, 0, 1, 1)):
        recorded = START + position * STEP
        bag.image(START + index * STEP, noise(position), recorded_ns=recorded)
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert [f.stamp_ns for f in reader] == [START, START + STEP, START + 2 * STEP]
    assert reader.report.skipped == {"repeated stamp in /camera/image_raw": 1}
    assert any("go back in time" in n for n in reader.report.notes)
    np.testing.assert_array_equal(reader[1].image, noise(2))


def test_messages_recorded_in_the_same_instant_are_told_apart(bag, tmp_path):
    for index in range(3):
        bag.image(START + index * STEP, noise(index), recorded_ns=START)
    bag.info(START)
    for index, frame in enumerate(BagReader(bag.write(tmp_path / "b"))):
        np.testing.assert_array_equal(frame.image, noise(index))


def test_a_stamp_that_was_never_set_is_the_time_of_recording(bag, tmp_path):
    bag.image(0, noise(), recorded_ns=START)
    bag.info(START)
    assert BagReader(bag.write(tmp_path / "b"))[0].stamp_ns == START


def test_unsynchronised_depth_is_said_or_refused(bag, tmp_path):
    bag.image(START, noise())
    bag.image(START + SECOND, np.ones((12, 16), np.uint16), "16UC1", "/camera/depth/image")
    bag.info(START)
    reader = BagReader(bag.write(tmp_path / "b"))
    assert reader[0].depth is None
    assert any("1 entries of depth are there" in n for n in reader.report.notes)
    with pytest.raises(DataError, match="check that the clocks agree"):
        BagReader(tmp_path / "b", require_depth=True)


@pytest.mark.parametrize("name", ["walk.mcap", "walk.db3", "walk.bag"])
def test_what_is_no_recording_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no recording at all, just some text" * 20)
    with pytest.raises(DataError, match="expected a rosbag2 folder"):
        BagReader(path)
    with pytest.raises(DataError, match="expected a rosbag2 folder"):
        BagReader(tmp_path / "nothing.mcap")


def test_a_recording_that_was_cut_off_is_refused_or_read_in_part(rgbd_bag, tmp_path):
    folder = rgbd_bag.write(tmp_path / "walk")
    (path,) = folder.glob("*.mcap")
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        cut = tmp_path / f"cut{share}.mcap"
        cut.write_bytes(content[: int(len(content) * share)])
        try:
            assert len(list(BagReader(cut))) <= 4
        except DataError as refusal:
            assert "expected" in str(refusal)


def test_ros_1_bags(bag, tmp_path):
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)

    def header(stamp_ns):
        stamp = store.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
        return store.types["std_msgs/msg/Header"](seq=7, stamp=stamp, frame_id="camera")

    def write(writer, topic, kind, stamp_ns, **fields):
        message = store.types[kind](header=header(stamp_ns), **fields)
        connection = connections.get(topic) or writer.add_connection(topic, kind, typestore=store)
        connections[topic] = connection
        writer.write(connection, stamp_ns + 5, store.serialize_ros1(message, kind))

    connections = {}
    roi = store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([15.0, 0, 7.5, 0, 15.0, 5.5, 0, 0, 1])
    with Writer(tmp_path / "walk.bag") as writer:
        for index in range(3):
            stamp = START + index * STEP + 1
            fields = {"height": 12, "width": 16}
            pixels = {"encoding": "bgr8", "is_bigendian": 0, "step": 48}
            data = np.ascontiguousarray(noise(index)[..., ::-1]).reshape(-1)
            kind = "sensor_msgs/msg/Image"
            write(writer, "/camera/image", kind, stamp, **fields, **pixels, data=data)
            info = {"D": np.zeros(5), "K": k, "R": np.eye(3).reshape(-1), "P": np.zeros(12)}
            rest = {"distortion_model": "plumb_bob", "binning_x": 0, "binning_y": 0, "roi": roi}
            kind = "sensor_msgs/msg/CameraInfo"
            write(writer, "/camera/camera_info", kind, stamp, **fields, **info, **rest)
    reader = BagReader(tmp_path / "walk.bag")
    assert [f.stamp_ns for f in reader] == [START + i * STEP + 1 for i in range(3)]
    for index, frame in enumerate(reader):
        np.testing.assert_array_equal(frame.image, noise(index))
        assert frame.camera.fx == 15.0


def test_recordings_without_message_definitions(rgbd_bag, tmp_path):
    """ROS 2 Humble and older do not store them."""
    import sqlite3

    folder = rgbd_bag.write(tmp_path / "walk", "sqlite3")
    (path,) = folder.glob("*.db3")
    with sqlite3.connect(path) as database:
        assert database.execute("DELETE FROM message_definitions").rowcount > 0
    database.close()
    reader = BagReader(folder)
    assert len(reader) == 4 and reader[3].T_map_camera[0, 3] == pytest.approx(0.3)
