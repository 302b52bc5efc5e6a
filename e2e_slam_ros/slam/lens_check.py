"""Pictures that show nothing: a covered lens, a picture of noise, a picture that stands still."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.slam.keyframe_rule import rotation_angle_deg
from e2e_slam_ros.slam.refusals import CoveredLensError, FrozenPictureError

Matrix: TypeAlias = npt.NDArray[np.float64]

# The copy that is looked at. A pixel of it is the mean of many: sensor noise nearly vanishes.
_WIDTH, _TILES = 80, (6, 8)
# Standard deviation of the copy, grey levels. Lens cap with noise: 0.25. Recordings: 13 and more,
# and 1.1 and more at a tenth of the light.
_MIN_CONTRAST = 0.5
# Correlation of neighbouring pixels of the copy. Noise: 0.04 and less. Recordings: 0.81 and more,
# and 0.77 and more at a tenth of the light.
_MIN_CORRELATION = 0.35
# A dead tile is darker, and has a smaller standard deviation. Where something covers part of the
# lens, the rest is lit.
_DARK, _FLAT, _LIT = 24.0, 1.0, 40.0
# Share of the tiles that died since the recent pictures: a mask was always there.
_MIN_DEAD = 0.3
_RECENT = 30
# Motion from which on a picture must change: half a keyframe's.
_FROZEN_PARALLAX, _FROZEN_DEG = 0.03, 6.0
_DO = "uncover or clean the lens, and check the light, the exposure and the camera's driver"


@dataclass(frozen=True, eq=False)
class LensView:
    """What was found in one picture.

    Attributes:
        copy: (h, w) uint8, a small grey copy.
        problem: why nothing can be seen; None: the picture is good.

    Example:
        >>> LensView(np.zeros((60, 80), np.uint8), None).problem is None
        True
    """

    copy: npt.NDArray[np.uint8]
    problem: E2ESlamError | None


class StillPicture:
    """Remembers since which pose the picture has been the same.

    Sensor noise alone makes two pictures of a still camera differ. A driver that hangs sends the
    last picture again and again.

    Example:
        >>> still, copy = StillPicture(), np.ones((60, 80), np.uint8)
        >>> moved = np.eye(4)
        >>> moved[0, 3] = 0.5
        >>> still.problem(copy, np.eye(4), 2.0) is None
        True
        >>> print(still.problem(copy, moved, 2.0))  # doctest: +ELLIPSIS
        the picture seems frozen: got exactly the same picture over 0.50 m and 0 degrees, ...
    """

    def __init__(self) -> None:
        self._first: tuple[npt.NDArray[np.uint8], Matrix] | None = None

    def problem(
        self, copy: npt.NDArray[np.uint8], T_map_camera: Matrix, depth_m: float
    ) -> E2ESlamError | None:
        """Return the problem of a picture that stays the same while the pose moves.

        Args:
            copy: (h, w) uint8, the small copy of the picture.
            T_map_camera: (4, 4) its pose.
            depth_m: median depth of the scene.
        """
        if self._first is None or not np.array_equal(copy, self._first[0]):
            self._first = (copy, T_map_camera.copy())
            return None
        T_first_camera = np.linalg.inv(self._first[1]) @ T_map_camera
        moved_m = float(np.linalg.norm(T_first_camera[:3, 3]))
        turned_deg = rotation_angle_deg(T_first_camera[:3, :3])
        if moved_m < _FROZEN_PARALLAX * depth_m and turned_deg < _FROZEN_DEG:
            return None
        return FrozenPictureError.from_parts(
            "the picture seems frozen",
            f"exactly the same picture over {moved_m:.2f} m and {turned_deg:.0f} degrees",
            "another picture at another pose",
            "check the camera's driver and cable, and that the poses are those of this camera",
        )

    def reset(self) -> None:
        """Forget the picture."""
        self._first = None


class LensCheck:
    """Tells pictures of a scene from those of a covered lens, of noise or of a broken camera.

    A network predicts depth for a black picture too. The check looks at contrast, at the
    correlation of neighbours, and for parts that went dark. It does not need the scene's
    brightness: a dark room still has contrast.

    Example:
        >>> ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 48, axis=0)
        >>> check = LensCheck()
        >>> check.look(np.repeat(ramp, 3, axis=2)).problem is None
        True
        >>> print(check.look(np.zeros((48, 64, 3), np.uint8)).problem)  # doctest: +ELLIPSIS
        the lens seems covered: got an even picture (brightness 0, contrast 0.0), expected ...
    """

    def __init__(self) -> None:
        # Shares of dead tiles in the last good pictures.
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def look(self, image: npt.NDArray[np.uint8]) -> LensView:
        """Return the verdict on an (H, W, 3) image. A good picture is remembered."""
        copy = small_copy(image)
        dead, lit = _dead_share(copy)
        got = _emptiness(copy) or self._cover(dead, lit)
        if got is None:
            self._recent.append(dead)
            return LensView(copy, None)
        problem = CoveredLensError.from_parts(
            "the lens seems covered", got, "a picture with contrast and texture", _DO
        )
        return LensView(copy, problem)

    def reset(self) -> None:
        """Forget the recent pictures."""
        self._recent.clear()

    def _cover(self, dead: float, lit: float) -> str | None:
        usual = min(self._recent, default=dead)
        if dead - usual < _MIN_DEAD or lit < _LIT:
            return None
        return f"a picture that is black in {dead:.0%} of its area, {usual:.0%} of it before"


def small_copy(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the green channel of an (H, W, 3) image, at most 80 pixels wide."""
    # Every second pixel or so is enough to average, and saves most of the time.
    step = max(1, image.shape[1] // (4 * _WIDTH))
    green = np.ascontiguousarray(image[::step, ::step, 1])
    height, width = green.shape
    if width <= _WIDTH:
        return green
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _emptiness(copy: npt.NDArray[np.uint8]) -> str | None:
    """Return the defect of a picture without any content, in words, or None."""
    values = copy.astype(np.float32)
    brightness, contrast = float(values.mean()), float(values.std())
    if contrast < _MIN_CONTRAST:
        return f"an even picture (brightness {brightness:.0f}, contrast {contrast:.1f})"
    if min(copy.shape) < 2:
        return None
    values -= brightness
    right = float((values[:, 1:] * values[:, :-1]).mean())
    down = float((values[1:] * values[:-1]).mean())
    correlation = 0.5 * (right + down) / contrast**2
    if correlation < _MIN_CORRELATION:
        return f"noise (correlation of neighbouring pixels {correlation:.2f})"
    return None


def _dead_share(copy: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Return the share of dark tiles without contrast, and the brightness of the others."""
    rows, columns = _TILES
    height, width = copy.shape[0] // rows, copy.shape[1] // columns
    if height < 2 or width < 2:
        return 0.0, 0.0
    tiles = copy[: rows * height, : columns * width].astype(np.float32)
    tiles = tiles.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    tiles = tiles.reshape(rows * columns, height * width)
    mean = tiles.mean(axis=1)
    dead = (mean < _DARK) & (tiles.std(axis=1) < _FLAT)
    lit = float(mean[~dead].mean()) if not dead.all() else 0.0
    return float(dead.mean()), lit
