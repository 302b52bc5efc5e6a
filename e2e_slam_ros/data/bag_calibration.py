"""The camera_info that belongs to an image topic of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e2e_slam_ros.config.errors import CameraError, DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.bag_camera import lens_of_info
from e2e_slam_ros.data.bag_file import BagFile, Topic
from e2e_slam_ros.data.bag_topics import CAMERA_INFO, named
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.stream import Stream
from e2e_slam_ros.geometry.lens_model import LensModel

_SIZE, _FRAME, _BESIDE = 100, 40, 20
_LOOKED_AT = 100


@dataclass(frozen=True)
class _Candidate:
    """A camera_info topic, judged for an image stream; ``problem`` if it cannot be used."""

    topic: Topic
    frame_id: str
    lens: LensModel | None
    score: int
    problem: str = ""

    def sentence(self) -> str:
        words = self.problem or (self.lens.words if self.lens else "")
        return f"{self.topic.name} ({self.frame_id or 'no frame_id'}, {words})"


class BagCalibration:
    """Finds the calibration of the image topics of one recording.

    Evidence: the image's size, then its frame_id, then the namespace.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from rosbags.rosbag2 import Writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):  # a recording without camera_info
    ...         pass
    ...     bag = BagFile(Path(folder) / "run")
    ...     try:
    ...         BagCalibration(bag, [], ReaderReport()).lens(Stream("/image", "Image", "rgb8"))
    ...     except DataError as refusal:
    ...         print("camera_info" in str(refusal))
    ...     bag.close()
    True
    """

    def __init__(self, bag: BagFile, topics: Sequence[Topic], report: ReaderReport) -> None:
        self._bag = bag
        self._topics = [topic for topic in topics if topic.type == CAMERA_INFO]
        self._report = report

    def lens(
        self,
        stream: Stream,
        name: str = "",
        rectified: bool = False,
        which: str = "camera_info_topic",
    ) -> LensModel:
        """Return the lens of an image stream.

        Args:
            name: the topic that the user named with the option ``which``; "" chooses one.

        Raises:
            DataError: no camera_info is usable, or none belongs to the stream by frame_id or
                namespace.
        """
        wanted = [named(self._topics, name, (CAMERA_INFO,), which)] if name else self._topics
        found = [self._judged(topic, stream, rectified) for topic in wanted]
        found.sort(key=lambda c: (c.lens is None, -c.score, c.topic.name))
        usable = [candidate for candidate in found if candidate.lens is not None]
        if not usable:
            raise self._nothing(stream, found, which)
        best = usable[0]
        if not name:
            self._check_owner(best, stream, found, which)
        assert best.lens is not None
        self._report.note(f"camera_info of {stream.name} = {best.sentence()}")
        if len(found) > 1:
            others = "; ".join(c.sentence() for c in found if c is not best)
            how = option(which, found[-1].topic.name)
            self._report.note(f"other camera_info: {others}; choose with {how}")
        return best.lens

    def _judged(self, topic: Topic, stream: Stream, rectified: bool) -> _Candidate:
        """Return a topic's first usable message as a candidate. Unusable ones are counted."""
        frame_id, problem, skipped = "", "no message", 0
        for number, (_, message) in enumerate(self._bag.messages(topic.name)):
            if number >= _LOOKED_AT:
                break
            frame_id = str(message.header.frame_id).lstrip("/")
            score = self._points(topic, frame_id, stream)
            try:
                lens = lens_of_info(message, rectified, stream.size)
            except CameraError as refusal:
                skipped, problem = skipped + 1, str(refusal)
                continue
            if skipped:
                self._report.skip("unusable camera_info", skipped)
            return _Candidate(topic, frame_id, lens, score + (_SIZE if stream.size else 0))
        return _Candidate(topic, frame_id, None, self._points(topic, frame_id, stream), problem)

    @staticmethod
    def _points(topic: Topic, frame_id: str, stream: Stream) -> int:
        score = 0
        if frame_id and stream.frame_id:
            score = _FRAME if frame_id == stream.frame_id else -_FRAME
        shared = _shared(topic.name, stream.base)
        beside = topic.name.rpartition("/")[0] == stream.namespace
        return score + (_BESIDE if beside else min(shared, _BESIDE - 1))

    def _check_owner(
        self, best: _Candidate, stream: Stream, found: Sequence[_Candidate], which: str
    ) -> None:
        """Refuse the camera_info of another camera: other frame_id and other namespace."""
        beside = best.topic.name.rpartition("/")[0]
        of_other_frame = bool(
            best.frame_id and stream.frame_id and best.frame_id != stream.frame_id
        )
        if of_other_frame and beside != stream.namespace:
            raise DataError.from_parts(
                f"calibration of {stream.name} ({stream.frame_id})",
                f"only that of another camera: {'; '.join(c.sentence() for c in found)}",
                "camera_info in the same frame_id or namespace",
                f"if it belongs to these images: {option(which, best.topic.name)}; else give "
                f"{option('intrinsics', 'fx,fy,cx,cy')}",
            )

    def _nothing(self, stream: Stream, found: Sequence[_Candidate], which: str) -> DataError:
        there = "; ".join(c.sentence() for c in found) or "no camera_info topic"
        return DataError.from_parts(
            f"calibration of {stream.name}",
            there,
            "a camera_info topic with the calibration",
            f"name it with {option(which)}, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )


def _shared(first: str, second: str) -> int:
    """Return the number of equal leading parts of two topics."""
    count = 0
    for a, b in zip(first.split("/")[1:], second.split("/")[1:], strict=False):
        if a != b:
            break
        count += 1
    return count
