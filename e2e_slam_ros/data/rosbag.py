"""Recordings of ROS topics: rosbag2 (sqlite3, mcap) and ROS 1 bags, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import CameraError, DataError
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.bag_camera import camera_of_info
from e2e_slam_ros.data.bag_file import BagFile, MessageKey, Topic
from e2e_slam_ros.data.bag_images import carries_depth, color_of_message, depth_of_message
from e2e_slam_ros.data.bag_poses import BagPoses
from e2e_slam_ros.data.bag_topics import (
    CAMERA_INFO,
    IMAGE_TYPES,
    choose_camera_info,
    choose_color,
    choose_depth,
    is_rectified,
    named,
)
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import (
    FrameParts,
    PartsSequence,
    keep_complete,
    note_unsynchronised,
)
from e2e_slam_ros.data.sequence import check_tolerance
from e2e_slam_ros.geometry.camera import PinholeCamera


class BagReader(PartsSequence[MessageKey]):
    """The camera frames of a recording.

    The constructor reads calibration, poses and the stamps of all images. Pixels are decoded when
    a frame is read. A topic that is not named is found by its type, encoding and name, and
    ``report.notes`` names the choice.

    Colour encodings: rgb8 bgr8 rgba8 bgra8 mono8 mono16 yuyv uyvy and their aliases, JPEG and PNG.
    Depth encodings: 16UC1 (mm), 32FC1 (m), compressedDepth. Depth must be registered to the colour
    image.

    Args:
        path: a rosbag2 folder, or an .mcap, .db3 or ROS 1 .bag file.
        image_topic, depth_topic, camera_info_topic, pose_topic: topics to use. A pose topic is
            PoseStamped, PoseWithCovarianceStamped, Odometry or TF.
        camera: intrinsics to use instead of camera_info.
        tolerance_s: largest time difference between an image and its depth, seconds.
        pose_tolerance_s: largest time difference between an image and a recorded pose, seconds.
            Between two such poses the pose is interpolated.
        map_frame, camera_frame: TF frames, if they do not have the usual names (`BagPoses`).

    Raises:
        DataError: not a recording, no image, no usable camera_info, or a named topic is missing.

    >>> import tempfile
    >>> from rosbags.rosbag2 import Writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):  # a recording without images
    ...         pass
    ...     try:
    ...         for frame in BagReader(Path(folder) / "run"):
    ...             print(frame.stamp_ns, frame.image.shape)
    ...     except DataError as refusal:
    ...         print("refused:", "image" in str(refusal))
    refused: True
    """

    def __init__(
        self,
        path: Path | str,
        image_topic: str | None = None,
        depth_topic: str | None = None,
        camera_info_topic: str | None = None,
        pose_topic: str | None = None,
        camera: PinholeCamera | None = None,
        tolerance_s: float = 0.02,
        pose_tolerance_s: float = 0.1,
        require_depth: bool = False,
        require_pose: bool = False,
        map_frame: str | None = None,
        camera_frame: str | None = None,
    ) -> None:
        check_tolerance("tolerance_s", tolerance_s)
        check_tolerance("pose_tolerance_s", pose_tolerance_s)
        super().__init__(Path(path).resolve().stem, ReaderReport(), require_depth)
        self._bag = BagFile(path)
        try:
            topics = self._bag.topics()
            self._image_topic, self._depth_topic = self._choose(topics, image_topic, depth_topic)
            images = self._keys(self._image_topic)
            if camera_frame is None:
                first = self._bag.message(self._image_topic.name, images[0])
                camera_frame = str(first.header.frame_id).lstrip("/")
            self._camera = camera or self._find_camera(topics, camera_info_topic)
            poses = BagPoses(
                self._bag,
                topics,
                self._image_topic,
                camera_frame,
                map_frame,
                round(pose_tolerance_s * 1e9),
                self._report,
            ).find(pose_topic)
            depths = self._partners(images, round(tolerance_s * 1e9))
            entries = [
                FrameParts(
                    key.stamp_ns, key, depth, None if poses is None else poses(key.stamp_ns)
                )
                for key, depth in zip(images, depths, strict=True)
            ]
            self._parts = keep_complete(
                self.name, entries, require_depth, require_pose, self._report
            )
        except BaseException:
            self._bag.close()
            raise

    def close(self) -> None:
        """Release the recording. Frames can no longer be read."""
        self._bag.close()

    def _decode_image(self, index: int, source: MessageKey) -> tuple[npt.NDArray[np.uint8], str]:
        what = f"image {index} of {self._image_topic.name}"
        message = self._bag.message(self._image_topic.name, source)
        return color_of_message(message, self._image_topic.type, what), what

    def _decode_depth(self, index: int, source: MessageKey) -> tuple[npt.NDArray[np.float32], str]:
        assert self._depth_topic is not None  # it is where the source is from
        what = f"depth image {index} of {self._depth_topic.name}"
        message = self._bag.message(self._depth_topic.name, source)
        return depth_of_message(message, self._depth_topic.type, what), what

    def _choose(
        self, topics: Sequence[Topic], image: str | None, depth: str | None
    ) -> tuple[Topic, Topic | None]:
        chosen_depth = None if depth is None else named(topics, depth, IMAGE_TYPES, "depth")
        chosen = None if image is None else named(topics, image, IMAGE_TYPES, "image")
        carriers = {t.name for t in topics if t.type in IMAGE_TYPES and self._is_depth(t)}
        if chosen_depth is not None:
            carriers.add(chosen_depth.name)
        if chosen is None:
            chosen = choose_color(topics, carriers, self._report)
        carriers.discard(chosen.name)
        if chosen_depth is None:
            chosen_depth = choose_depth(topics, carriers, chosen, self._report)
        return chosen, chosen_depth

    def _is_depth(self, topic: Topic) -> bool:
        """Return whether the topic's first message is a depth image."""
        _, message = next(self._bag.messages(topic.name))
        return carries_depth(message, topic.type, topic.name)

    def _keys(self, topic: Topic) -> list[MessageKey]:
        """Return the keys of a topic's messages, sorted by stamp. Repeated stamps are dropped."""
        recorded = self._bag.keys(topic.name)
        self._report.listed = self._report.listed or len(recorded)
        unique: dict[int, MessageKey] = {}
        for key in recorded:
            if key.stamp_ns in unique:
                self._report.skip(f"repeated stamp in {topic.name}")
            else:
                unique[key.stamp_ns] = key
        stamps = [key.stamp_ns for key in recorded]
        if stamps != sorted(stamps):
            self._report.note(f"stamps of {topic.name} go back in time; they were sorted")
        return [unique[stamp] for stamp in sorted(unique)]

    def _partners(
        self, images: Sequence[MessageKey], tolerance_ns: int
    ) -> list[MessageKey | None]:
        if self._depth_topic is None:
            return [None] * len(images)
        depths = self._keys(self._depth_topic)
        pairs = associate(_stamps(images), _stamps(depths), tolerance_ns)
        found = [depths[j] if j >= 0 else None for j in pairs]
        note_unsynchronised("depth", len(depths), found, self._report)
        return found

    def _find_camera(self, topics: Sequence[Topic], name: str | None) -> PinholeCamera:
        """Return the camera of the first usable camera_info.

        Unusable messages before it are counted.
        """
        image = self._image_topic
        if name is not None:
            topic: Topic | None = named(topics, name, (CAMERA_INFO,), "camera_info")
        else:
            topic = choose_camera_info(topics, image)
        problem: object = "no camera_info topic"
        if topic is not None:
            for _, message in self._bag.messages(topic.name):
                try:
                    return camera_of_info(message, is_rectified(image.name))
                except CameraError as refusal:
                    self._report.skip("unusable camera_info")
                    problem = refusal
        raise DataError.from_parts(
            f"calibration of {image.name}",
            problem,
            "a camera_info topic with the calibration",
            "name it with camera_info_topic, or give the camera's intrinsics",
        )


def _stamps(keys: Sequence[MessageKey]) -> npt.NDArray[np.int64]:
    return np.array([key.stamp_ns for key in keys], dtype=np.int64)
