"""Images of a camera or a video file through OpenCV, with intrinsics and stamps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import read_calibration
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera

# Gives the intrinsics of images of a width and height.
CameraOfSize: TypeAlias = Callable[[int, int], PinholeCamera]

_USUAL_FPS = 30.0
# Frame counts of containers are estimates: fewer frames than this share means a damaged file.
_WHOLE = 0.9


class VideoStream:
    """The frames of a camera or a video file, once and in order.

    Stamps of a file are its own times, from 0; a camera's are the times of arrival.

    Args:
        source: a file's path; a camera's number, or the address of a network camera.
        camera_of_size: gives the intrinsics once the size of the images is known.

    Attributes:
        name: for titles.
        live: whether it is a camera.
        notes: sentences about the video, complete at its end.

    Raises:
        DataError: there is no such file or camera, or it cannot be read.

    Example:
        >>> VideoStream(Path("/nowhere.mp4"), camera_of_view(65.0))
        Traceback (most recent call last):
        ...
        e2e_slam_ros.config.errors.DataError: video /nowhere.mp4: got no such file, ...
    """

    def __init__(self, source: Path | int | str, camera_of_size: CameraOfSize) -> None:
        self.live = not isinstance(source, Path)
        self.name = source.name if isinstance(source, Path) else f"camera {source}"
        self.notes: list[str] = []
        self._what = f"video {source}" if isinstance(source, Path) else self.name
        self._camera_of_size = camera_of_size
        self._camera: PinholeCamera | None = None
        if isinstance(source, Path) and not source.is_file():
            raise DataError.from_parts(
                self._what, "no such file", "a video file", "check the path"
            )
        self._capture = _opened(str(source) if isinstance(source, Path) else source)
        if not self._capture.isOpened():
            raise self._refusal()
        if self.live:
            # An old image is worse than none.
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        known = math.isfinite(rate) and 0.1 <= rate <= 1000.0
        self._fps = rate if known else _USUAL_FPS
        if not known and not self.live:
            self.notes.append(f"The file names no frame rate: {_USUAL_FPS:.0f} a second is taken.")

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames up to the end of the file.

        Raises:
            DataError: there is no frame, the size changes, or a camera stops.
        """
        index, last_ns = 0, -1
        while True:
            good, bgr = self._capture.read()
            if not good or bgr is None:
                self._at_end(index)
                return
            stamp_ns = max(self._stamp_ns(index), last_ns + 1)
            image = np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
            yield Frame(index, stamp_ns, image, self._camera_for(image, index))
            index, last_ns = index + 1, stamp_ns

    def close(self) -> None:
        """Let go of the camera or file."""
        self._capture.release()

    def _stamp_ns(self, index: int) -> int:
        if self.live:
            return time.time_ns()
        ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        known = math.isfinite(ms) and (ms > 0.0 or index == 0)
        return round(ms * 1e6) if known else round(index / self._fps * 1e9)

    def _camera_for(self, image: np.ndarray, index: int) -> PinholeCamera:
        height, width = image.shape[:2]
        if self._camera is None:
            self._camera = self._camera_of_size(width, height)
        if (width, height) != (self._camera.width, self._camera.height):
            raise DataError.from_parts(
                f"frame {index} of {self._what}",
                f"{width}x{height} pixels",
                f"{self._camera.width}x{self._camera.height}, the size of the first",
                "convert the video to one size, or cut it where the size changes",
            )
        return self._camera

    def _at_end(self, count: int) -> None:
        if self.live:
            raise DataError.from_parts(
                self._what, f"no image after {count}", "images", "check the cable and the network"
            )
        if count == 0:
            raise self._refusal()
        told = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if math.isfinite(told) and count < _WHOLE * told:
            self.notes.append(f"Only {count} of {told:.0f} frames could be read: a damaged file?")

    def _refusal(self) -> DataError:
        if self.live:
            do = "plug it in, close other programs that use it, or choose another number"
            return DataError.from_parts(self._what, "no camera", "a camera that opens", do)
        return DataError.from_parts(
            self._what,
            "no frame that can be decoded",
            "a video that OpenCV reads (mp4, mkv, avi, webm)",
            "check that it plays, or convert it: ffmpeg -i IN out.mp4",
        )


def camera_of_view(horizontal_deg: float) -> CameraOfSize:
    """Return intrinsics of a lens without distortion that sees so many degrees from side to side.

    Raises:
        DataError: the angle is not from 5 to 175 degrees.

    >>> camera_of_view(90.0)(640, 480).fx
    320.0
    """
    if not 5.0 <= horizontal_deg <= 175.0:
        raise DataError.from_parts(
            "field of view", horizontal_deg, "5 to 175 degrees", "webcams have 55 to 80"
        )

    def camera(width: int, height: int) -> PinholeCamera:
        focal = round(width / 2.0 / math.tan(math.radians(horizontal_deg) / 2.0), 6)
        return PinholeCamera(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    return camera


def camera_of_file(path: Path) -> CameraOfSize:
    """Return the intrinsics of a calibration file, which may be of another resolution.

    Raises:
        DataError: the file cannot be read; later, the images have another shape.
    """
    calibrated = read_calibration(path).camera

    def camera(width: int, height: int) -> PinholeCamera:
        if abs(width * calibrated.height - height * calibrated.width) > max(width, height):
            raise DataError.from_parts(
                f"calibration {path}",
                f"one of {calibrated.width}x{calibrated.height} pixels",
                f"one of the images' shape, {width}x{height}",
                "give the calibration of this camera and mode",
            )
        return calibrated.resized(width, height)

    return camera


def _opened(source: str | int) -> cv2.VideoCapture:
    # OpenCV would print its own words before ours.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(source)
