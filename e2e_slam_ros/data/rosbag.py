"""Recordings of ROS topics: rosbag2 (sqlite3, mcap) and ROS 1 bags, without ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions, option
from e2e_slam_ros.data.association import associate
from e2e_slam_ros.data.bag_calibration import BagCalibration
from e2e_slam_ros.data.bag_depth import BagDepth
from e2e_slam_ros.data.bag_file import BagFile, MessageKey, Topic
from e2e_slam_ros.data.bag_images import color_of_message
from e2e_slam_ros.data.bag_poses import BagPoses
from e2e_slam_ros.data.bag_topics import is_rectified, named
from e2e_slam_ros.data.bag_video import BagVideo
from e2e_slam_ros.data.calibration import lens_of_text
from e2e_slam_ros.data.clock_check import clocks_sentence, implausible
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import (
    FrameParts,
    PartsSequence,
    keep_complete,
    note_unsynchronised,
)
from e2e_slam_ros.data.images import rectified
from e2e_slam_ros.data.input_policy import Selection, select
from e2e_slam_ros.data.packet_video import can_decode
from e2e_slam_ros.data.stream import IMAGE_TYPES, Stream, stream_of_message
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import LensModel


class BagReader(PartsSequence[MessageKey]):
    """The camera frames of a recording.

    The constructor reads calibration, poses and the stamps of all images. Pixels are decoded when
    a frame is read. A topic that is not named is found by the input policy (`input_policy`).
    ``report.notes`` has one sentence for each image topic: whether it is used, and why.

    Colour and depth encodings are those of `encodings`, JPEG, PNG and compressedDepth. Depth of
    another frame than the image is reprojected by TF and its own camera_info, or left out.

    Args:
        path: a rosbag2 folder, or an .mcap, .db3 or ROS 1 .bag file.
        options: what the user names: topics, frames, tolerances.
        camera: intrinsics to use instead of camera_info.
        more: fields of `InputOptions`, instead of ``options``.

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
        options: InputOptions | None = None,
        camera: PinholeCamera | None = None,
        require_depth: bool = False,
        require_pose: bool = False,
        **more: Any,
    ) -> None:
        options = options or InputOptions(**more)
        super().__init__(Path(path).resolve().stem, ReaderReport(), require_depth)
        self._options = options
        self._bag = BagFile(path, options.clock, self._report)
        try:
            self._open(camera, require_depth, require_pose)
        except BaseException:
            self._bag.close()
            raise

    @property
    def image_words(self) -> str:
        """The images as they are recorded, in words."""
        return self._image.words

    @property
    def depth_words(self) -> str:
        """The depth as it is recorded, with its unit, in words; "" if there is none."""
        if self._depth is None:
            return ""
        stream = self._depth.stream
        is_float = stream.encoding in ("32FC1", "64FC1")
        unit = "metres" if is_float else f"{self._options.depth_factor or 1000:g} counts a metre"
        return f"{stream.words}, {unit}"

    @property
    def topics(self) -> list[Topic]:
        """Topics of the recording with at least one message."""
        return self._bag.topics()

    def close(self) -> None:
        """Release the recording. Frames can no longer be read."""
        self._bag.close()

    def _open(self, camera: PinholeCamera | None, require_depth: bool, require_pose: bool) -> None:
        options, topics = self._options, self._bag.topics()
        selection = self._choose(topics)
        self._image = selection.colour.stream
        images = self._keys(self._image.name)
        self._video = None
        if self._image.encoding == "video":
            self._video = BagVideo(self._bag, self._image, self._bag.keys(self._image.name))
        self._lens = self._find_lens(topics, camera)
        self._camera = self._lens.pinhole
        camera_frame = options.camera_frame.lstrip("/") or self._image.frame_id
        image_topic = next(t for t in topics if t.name == self._image.name)
        source = BagPoses(self._bag, topics, image_topic, camera_frame, options, self._report)
        poses = source.find()
        self._depth = None
        if selection.depth is not None:
            self._depth = BagDepth.of(
                selection.depth.stream,
                self._lens,
                camera_frame,
                options,
                source.tree,
                BagCalibration(self._bag, topics, self._report),
                self._report,
            )
        elif not any("depth" in note for note in self._report.notes):
            self._report.note("no depth topic: the frames have no depth")
        depths = self._partners(images)
        found = [None if poses is None else poses(key.stamp_ns) for key in images]
        if poses is not None and all(pose is None for pose in found):
            self._note_clocks("poses", images, source.stamps_ns)
        entries = [
            FrameParts(key.stamp_ns, key, depth, pose)
            for key, depth, pose in zip(images, depths, found, strict=True)
        ]
        self._parts = keep_complete(self.name, entries, require_depth, require_pose, self._report)

    def _decode_image(self, index: int, source: MessageKey) -> tuple[npt.NDArray[np.uint8], str]:
        what = f"image {index} of {self._image.name}"
        if self._video is not None:
            return rectified(self._video.image(source), self._lens, what), what
        message = self._bag.message(self._image.name, source)
        image = color_of_message(message, self._image.kind, what)
        return rectified(image, self._lens, what), what

    def _decode_depth(self, index: int, source: MessageKey) -> tuple[npt.NDArray[np.float32], str]:
        assert self._depth is not None  # it is where the source is from
        what = f"depth image {index} of {self._depth.stream.name}"
        message = self._bag.message(self._depth.stream.name, source)
        return self._depth.decode(message, what), what

    def _choose(self, topics: Sequence[Topic]) -> Selection:
        """Return the image streams to use, and note the choice."""
        options = self._options
        named_image = options.image_topic and named(
            topics, options.image_topic, IMAGE_TYPES, "image_topic"
        )
        named_depth = options.depth_topic and named(
            topics, options.depth_topic, IMAGE_TYPES, "depth_topic"
        )
        streams = {t.name: s for t in topics if (s := self._stream(t)) is not None}
        image, depth = (
            self._named_stream(streams, topic.name) if topic else None
            for topic in (named_image, named_depth)
        )
        selection = select(list(streams.values()), image, depth, can_decode())
        for sentence in selection.sentences():
            self._report.note(sentence)
        return selection

    def _named_stream(self, streams: Mapping[str, Stream], name: str) -> Stream:
        if name in streams:
            return streams[name]
        raise DataError.from_parts(
            f"topic {name}", "no readable message", "images", "name another, or record it again"
        )

    def _stream(self, topic: Topic) -> Stream | None:
        """Return the stream of an image topic, described by its first message.

        None: the topic has another type, or its first message cannot be read.
        """
        if topic.type not in IMAGE_TYPES:
            return None
        try:
            for _, message in self._bag.messages(topic.name):
                return stream_of_message(topic.name, topic.type, message)
            self._report.note(f"not taken: {topic.name}: no message, though its count says so")
            return None
        except DataError as problem:
            self._report.note(f"not taken: {topic.name}: {problem}")
            return None

    def _keys(self, name: str) -> list[MessageKey]:
        """Return the keys of a topic's messages, sorted by stamp.

        Repeated and impossible stamps are left out and counted.
        """
        recorded = self._bag.keys(name)
        self._report.listed = self._report.listed or len(recorded)
        unique: dict[int, MessageKey] = {}
        wrong = implausible([key.stamp_ns for key in recorded])
        for key, is_wrong in zip(recorded, wrong, strict=True):
            if is_wrong:
                self._report.skip(f"negative stamp, or far from all others, in {name}")
            elif key.stamp_ns in unique:
                self._report.skip(f"repeated stamp in {name}")
            else:
                unique[key.stamp_ns] = key
        unset = sum(key.is_unset for key in recorded)
        if unset:
            self._report.note(
                f"{unset} stamps of {name} are zero; the times of recording are used"
            )
        stamps = [key.stamp_ns for key in unique.values()]
        if stamps != sorted(stamps):
            self._report.note(f"stamps of {name} go back in time; they were sorted")
        return [unique[stamp] for stamp in sorted(unique)]

    def _partners(self, images: Sequence[MessageKey]) -> list[MessageKey | None]:
        if self._depth is None:
            return [None] * len(images)
        depths = self._keys(self._depth.stream.name)
        tolerance_ns = round(self._options.tolerance_s * 1e9)
        pairs = associate(_stamps(images), _stamps(depths), tolerance_ns)
        found = [depths[j] if j >= 0 else None for j in pairs]
        note_unsynchronised("depth", len(depths), found, self._report)
        if all(depth is None for depth in found):
            self._note_clocks("depth images", images, [key.stamp_ns for key in depths])
        return found

    def _note_clocks(
        self, what: str, images: Sequence[MessageKey], stamps_ns: Sequence[int]
    ) -> None:
        said = clocks_sentence("images", [key.stamp_ns for key in images], what, stamps_ns)
        if said:
            self._report.note(
                f"{said}; {option('clock', 'recording')} uses the times of recording instead"
            )

    def _find_lens(self, topics: Sequence[Topic], camera: PinholeCamera | None) -> LensModel:
        if camera is not None:
            return LensModel.of_pinhole(camera)
        options = self._options
        if options.intrinsics:
            return lens_of_text(options.intrinsics, self._image.size)
        straight = options.rectified == "yes" or (
            options.rectified == "auto" and is_rectified(self._image.name)
        )
        calibration = BagCalibration(self._bag, topics, self._report)
        return calibration.lens(self._image, options.camera_info_topic, straight)


def _stamps(keys: Sequence[MessageKey]) -> npt.NDArray[np.int64]:
    return np.array([key.stamp_ns for key in keys], dtype=np.int64)
