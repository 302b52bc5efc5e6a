"""Whether images agree with the motion that something else measured between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.corners import Image, detect_corners
from e2e_slam_ros.tracking.flow import follow
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

# Width of the images that errors are stated for, and of those that are compared: finding corners
# in images twice as wide takes six times as long, for each frame, before its TF.
_WIDTH_PX, _COMPARED_PX = 640, 320
_CORNERS, _APART_PX, _WINDOW_PX = 150, 8.0, 15
_FEWEST = 20
# Nearest surface: a corner may lie anywhere between its place at this depth and far away.
_NEAREST_M = 0.3
_LONGEST_NS = 1_000_000_000
# One pair counts at most this often, and so much evidence is enough.
_MOST, _ENOUGH = 3.0, 3.0


@dataclass(frozen=True)
class MotionCheck:
    """Two images compared with the given motion between them.

    Attributes:
        error_px: median distance of corners from where the motion allows them to be, in pixels
            of an image 640 wide.
        flow_px: median distance that corners moved, in the same pixels.

    Example:
        >>> MotionCheck(error_px=0.4, flow_px=12.0).error_px
        0.4
    """

    error_px: float
    flow_px: float


class ImageAgreement:
    """Compares the flow of corners from image to image with given poses; needs no depth.

    Under the given motion each corner lies on a segment of its epipolar line: from the place of a
    point far away to that of a point near by. The evidence of pairs off their segments is added
    up, that of pairs on them is subtracted (CUSUM: Page, Biometrika 1954).

    Args:
        limit_px: error from which on a pair speaks against the given motion, in pixels of an
            image 640 wide.

    Attributes:
        limit_px: see above; may be changed.
        evidence: against the given poses; 3 is enough.

    Example:
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> agreement = ImageAgreement(limit_px=2.0)
        >>> for frame in ProceduralReader(0, 3, 160, 120, texture_size=256):
        ...     check = agreement.observe(frame, frame.T_map_camera)
        >>> check.error_px < 1.0, agreement.disagree
        (True, False)
    """

    def __init__(self, limit_px: float) -> None:
        self.limit_px = limit_px
        self.reset()

    @property
    def disagree(self) -> bool:
        """Whether the images so far speak against the given poses."""
        return self.evidence >= _ENOUGH

    def reset(self) -> None:
        """Forget the images and the evidence."""
        self.evidence = 0.0
        self._last: tuple[Frame, Image | None, Floats] | None = None
        self._camera: PinholeCamera | None = None

    def observe(self, frame: Frame, T_map_camera: Floats) -> MotionCheck | None:
        """Compare a frame with the last; None where too few corners can be followed.

        Args:
            frame: the next one.
            T_map_camera: (4, 4) its given pose.
        """
        last, self._last = self._last, (frame, None, T_map_camera)
        if frame.camera != self._camera:
            self._camera = frame.camera
            height, width = reduced_grey(frame.image).shape
            self._lens = Lens(frame.camera.resized(width, height))
        if last is None or last[0].camera != frame.camera:
            return None
        if not 0 < frame.stamp_ns - last[0].stamp_ns < _LONGEST_NS:
            return None
        before = reduced_grey(last[0].image) if last[1] is None else last[1]
        now = reduced_grey(frame.image)
        self._last = frame, now, T_map_camera
        check = compare(self._lens, before, now, rigid.inverse(T_map_camera) @ last[2])
        if check is not None:
            more = min(check.error_px / self.limit_px, _MOST) - 1.0
            self.evidence = max(0.0, self.evidence + more)
        return check

    def skip(self, frame: Frame, T_map_camera: Floats) -> None:
        """Keep a frame as `observe` does, without a comparison."""
        self._last = frame, None, T_map_camera


def reduced_grey(image: npt.NDArray[np.uint8]) -> Image:
    """Return an RGB image as grey, reduced by a whole number to a width of 320 to 639 pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    times = width // _COMPARED_PX
    if times > 1:
        size = (width // times, height // times)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8)


def compare(lens: Lens, before: Image, now: Image, T_now_before: Floats) -> MotionCheck | None:
    """Compare two images with the motion between them; None with too few corners."""
    corners = followed_corners(lens, before, now, T_now_before)
    if corners is None:
        return None
    pixels, found = corners
    far = lens.rays(lens.ideal(pixels)) @ T_now_before[:3, :3].T
    near = lens.project(far + T_now_before[:3, 3] / _NEAREST_M)
    error = _distance(lens.ideal(found), lens.project(far), near)
    usable = np.isfinite(error)
    if usable.sum() < _FEWEST:
        return None
    scale = _WIDTH_PX / lens.camera.width
    flow = np.linalg.norm(found - pixels, axis=1)
    return MotionCheck(
        scale * float(np.median(error[usable])), scale * float(np.median(flow[usable]))
    )


def followed_corners(
    lens: Lens, before: Image, now: Image, T_now_before: Floats
) -> tuple[Floats, Floats] | None:
    """Return the corners (N, 2) of an image and where they are in the next, recorded pixels.

    None with too few of them. The search begins where the given motion puts a point far away.
    """
    pixels = detect_corners(before, np.zeros((0, 2)), _CORNERS, _APART_PX)
    if len(pixels) < _FEWEST:
        return None
    start = lens.recorded(lens.project(lens.rays(lens.ideal(pixels)) @ T_now_before[:3, :3].T))
    start = np.where(np.isfinite(start).all(1, keepdims=True), start, pixels)
    found, good = follow(before, now, pixels, start, window_px=_WINDOW_PX)
    # The given motion may be the wrong one: flow must not depend on it.
    lost = ~good
    found[lost], good[lost] = follow(before, now, pixels[lost], pixels[lost], window_px=_WINDOW_PX)
    return (pixels[good], found[good]) if good.sum() >= _FEWEST else None


def _distance(points: Floats, first: Floats, second: Floats) -> Floats:
    """Return the distances (N,) of points (N, 2) from segments; a missing end is the other."""
    second = np.where(np.isfinite(second), second, first)
    along = second - first
    length = np.maximum((along * along).sum(1), 1e-12)
    share = np.clip(((points - first) * along).sum(1) / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(first + share[:, None] * along - points, axis=1))
