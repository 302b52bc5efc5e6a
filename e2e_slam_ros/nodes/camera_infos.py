"""The camera_info of each image, while both arrive."""

from __future__ import annotations

from collections.abc import Callable

from sensor_msgs.msg import CameraInfo

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.data.bag_camera import lens_of_info
from e2e_slam_ros.geometry.lens_model import LensModel
from e2e_slam_ros.nodes.stamps import stamp_to_ns

_KEPT = 100
_LENSES = 8
# Real lens models have up to 14 coefficients.
_MOST_COEFFICIENTS, _MOST_LETTERS = 64, 256


class CameraInfos:
    """The last camera_info messages, and the lens of an image.

    A camera whose calibration was always the same is taken to keep it: an image then needs no
    camera_info of its own. One message, latched or not, is enough.

    Args:
        rectified: the images are rectified: P holds, and there is no distortion.
        notice: called once with a sentence about camera_info of another frame.
    """

    def __init__(
        self, rectified: bool = False, notice: Callable[[str], None] = lambda text: None
    ) -> None:
        self._rectified = rectified
        self._notice = notice
        self._infos: dict[int, CameraInfo] = {}
        self._newest: CameraInfo | None = None
        self._content: tuple[object, ...] | None = None
        self._changes = False
        self._lenses: dict[tuple[object, ...], LensModel] = {}
        self._noticed = False

    def add(self, msg: CameraInfo) -> None:
        """Keep a message; one that is far too large is not kept, and noticed."""
        wrong = _oversized(msg)
        if wrong is not None:
            self._notice(str(wrong))
            return
        content = _content(msg)
        self._changes = self._changes or self._content not in (None, content)
        self._content = content
        self._infos[stamp_to_ns(msg.header.stamp)] = self._newest = msg
        while len(self._infos) > _KEPT:
            del self._infos[next(iter(self._infos))]

    def clear(self) -> None:
        """Forget the messages of single images. A calibration that never changes stays."""
        self._infos.clear()

    def lens(
        self, stamp_ns: int, size: tuple[int, int] | None, frame_id: str, last_chance: bool
    ) -> LensModel | None:
        """Return the lens of an image, or None if its camera_info may still arrive.

        Args:
            size: (width, height) of the image.
            frame_id: of the image.

        Raises:
            CameraError: the camera_info cannot be used, or is of another size.
        """
        own = self._infos.get(stamp_ns)
        newest = self._newest
        if own is not None:
            return self._made(own, size, frame_id)
        if newest is None:
            return None
        later = stamp_to_ns(newest.header.stamp) > stamp_ns
        if last_chance or later:
            return self._made(newest, size, frame_id)
        if self._changes:
            return None
        try:
            return self._made(newest, size, frame_id)
        except CameraError:  # one that fits may follow, after a change of resolution
            return None

    def _made(self, msg: CameraInfo, size: tuple[int, int] | None, frame_id: str) -> LensModel:
        key = (*_content(msg), size)
        lens = self._lenses.get(key)
        if lens is None:
            lens = lens_of_info(msg, self._rectified, size)
            while len(self._lenses) >= _LENSES:
                del self._lenses[next(iter(self._lenses))]
            self._lenses[key] = lens
            if not lens.is_plain:
                self._notice(f"camera_info: {lens.words}")
        other = msg.header.frame_id.lstrip("/")
        if not self._noticed and other and frame_id and other != frame_id.lstrip("/"):
            self._noticed = True
            self._notice(
                f"camera_info is of frame {other!r}, the images are of {frame_id!r}: check that "
                "camera/camera_info is that of camera/image_raw"
            )
        return lens


def _content(msg: CameraInfo) -> tuple[object, ...]:
    roi = msg.roi
    return (
        *(msg.width, msg.height, msg.distortion_model, msg.binning_x, msg.binning_y),
        *(tuple(msg.k), tuple(msg.d), tuple(msg.p)),
        *(roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def _oversized(msg: CameraInfo) -> CameraError | None:
    """Return an error if a field of a message is too large, else None.

    The last hundred messages are kept in memory.
    """
    for name, length, most in (
        ("distortion coefficients", len(msg.d), _MOST_COEFFICIENTS),
        ("letters in distortion_model", len(msg.distortion_model), _MOST_LETTERS),
        ("letters in frame_id", len(msg.header.frame_id), _MOST_LETTERS),
    ):
        if length > most:
            return CameraError.from_parts(
                "camera_info", f"{length} {name}", f"at most {most}", "check its publisher"
            )
    return None
