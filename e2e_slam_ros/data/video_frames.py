"""Images of a video file by number, through PyAV."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")
# A step ahead of fewer frames is decoded through; a farther one begins at a key frame.
_NEAR = 32
# A frame of an 8K camera has 33 million pixels.
_MOST_PIXELS = 64_000_000
_BILLION = 10**9


class VideoFrames:
    """A video's frames: their times without decoding, their pixels on demand.

    Reading in order decodes each frame once. Several threads may read.

    Args:
        path: the file.
        turned: turn images as the file says, as players do. False: as they are stored.

    Raises:
        DataError: PyAV is not installed, or the file holds no video that it reads.

    >>> VideoFrames(Path("/nowhere.mp4"))
    Traceback (most recent call last):
    ...
    e2e_slam_ros.config.errors.DataError: video /nowhere.mp4: got ..., expected ...; ...
    """

    def __init__(self, path: Path, turned: bool = True) -> None:
        self._path, self._turned = path, turned
        self._what = f"video {path}"
        self._lock = threading.Lock()
        av = _library(self._what)
        self._errors: tuple[type[BaseException], ...] = (
            *(av.FFmpegError, OSError, ValueError, MemoryError),
        )
        try:
            self._container: Any = av.open(str(path))
        except self._errors as problem:
            raise self._refusal(problem) from problem
        try:
            self._open()
        except BaseException:
            self._container.close()
            raise
        self._decoder: Iterator[Any] = iter(())
        self._next = -1

    def _open(self) -> None:
        if not self._container.streams.video:
            raise self._refusal("no video in it")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise self._refusal("a codec that is not known")
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width < 1 or height < 1 or width * height > _MOST_PIXELS:
            raise self._refusal(f"images of {width}x{height} pixels")
        self._pts = self._times()
        if not self._pts:
            raise self._refusal("no frame with a time")
        self._number = {pts: number for number, pts in enumerate(self._pts)}

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def stamps_ns(self) -> list[int]:
        """Times of the frames, nanoseconds from the first one's."""
        base = self._stream.time_base
        first = self._pts[0]
        return [(pts - first) * base.numerator * _BILLION // base.denominator for pts in self._pts]

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return str(self._stream.codec_context.name)

    def image(self, number: int) -> npt.NDArray[np.uint8]:
        """Return frame ``number`` as (H, W, 3) RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        with self._lock:
            try:
                return self._found(number)
            except self._errors as problem:
                self._next = -1
                raise DataError.from_parts(
                    f"frame {number} of {self._what}",
                    f"{type(problem).__name__}: {problem}",
                    "a frame that can be decoded",
                    "convert the video again: ffmpeg -i IN out.mp4",
                ) from problem

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._container.close()

    def _times(self) -> list[int]:
        """Return the presentation times of all frames, from the packets."""
        times = set()
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None and not packet.is_discard:
                    times.add(int(packet.pts))
        except self._errors:
            pass  # a file that was cut off ends here
        return sorted(times)

    def _found(self, number: int) -> npt.NDArray[np.uint8]:
        wanted = self._pts[number]
        if self._next < 0 or not self._next <= number < self._next + _NEAR:
            self._container.seek(wanted, stream=self._stream, backward=True)
            self._decoder = self._container.decode(self._stream)
        for frame in self._decoder:
            if frame.pts is None or frame.pts < wanted:
                continue
            self._next = self._number.get(frame.pts, number) + 1
            if frame.pts != wanted:
                break
            return self._pixels(frame)
        self._next = -1
        raise ValueError("the decoder gives no frame of that time")

    def _pixels(self, frame: Any) -> npt.NDArray[np.uint8]:
        if frame.width * frame.height > _MOST_PIXELS:
            raise ValueError(f"{frame.width}x{frame.height} pixels")
        image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        quarters = round(float(getattr(frame, "rotation", 0)) / 90.0) % 4 if self._turned else 0
        return np.ascontiguousarray(np.rot90(image, quarters))

    def _refusal(self, got: object) -> DataError:
        words = f"{type(got).__name__}: {got}" if isinstance(got, BaseException) else str(got)
        return DataError.from_parts(
            self._what,
            words,
            "a video that FFmpeg reads (mp4, mov, mkv, avi, webm)",
            "check that it plays, or convert it: ffmpeg -i IN out.mp4",
        )


def is_video_file(path: Path) -> bool:
    """Return whether a path is a video, by its suffix.

    >>> is_video_file(Path("notes.txt"))
    False
    """
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _library(what: str) -> Any:
    try:
        import av
    except ImportError as problem:
        raise DataError.from_parts(
            what,
            f"no PyAV ({problem})",
            "PyAV, which decodes videos",
            "pip install av, or pip install 'e2e_slam_ros[video]'",
        ) from problem
    return av
