"""Cameras as they are calibrated, and images of them as a pinhole camera sees them.

OpenCV does the maths: its rational model with thin prism and tilt (Brown 1966; Louhichi et al.
2007), and its fisheye model (Kannala and Brandt 2006).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera

Floats = npt.NDArray[np.float64]

# A pinhole of a wider view than this would spend most pixels on its edges.
WIDEST_VIEW_DEG = 110.0
PLUMB_BOB, RATIONAL, FISHEYE = "plumb_bob", "rational_polynomial", "equidistant"
# Names of ROS, Kalibr, COLMAP and OpenCV for the same models.
MODELS = {
    "": PLUMB_BOB,
    "none": PLUMB_BOB,
    "plumb_bob": PLUMB_BOB,
    "radtan": PLUMB_BOB,
    "radial-tangential": PLUMB_BOB,
    "rational_polynomial": RATIONAL,
    "thin_prism": RATIONAL,
    "equidistant": FISHEYE,
    "equi": FISHEYE,
    "fisheye": FISHEYE,
    "kannala_brandt4": FISHEYE,
    "opencv_fisheye": FISHEYE,
}
_LENGTHS = {PLUMB_BOB: (0, 4, 5, 8, 12, 14), RATIONAL: (0, 4, 5, 8, 12, 14), FISHEYE: (0, 4)}


@dataclass(frozen=True)
class LensModel:
    """A calibrated camera with any lens that OpenCV knows.

    Args:
        width, height: image size in pixels.
        fx, fy, cx, cy: in pixels, the first pixel's centre at (0, 0).
        model: "plumb_bob", "rational_polynomial" or "equidistant" (see `MODELS` for other names).
        coefficients: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]], or four of a fisheye.

    Raises:
        CameraError: an unknown model, another number of coefficients, or no camera.

    >>> lens = LensModel(64, 48, 30.0, 30.0, 31.5, 23.5, "equidistant", (0.1, 0.0, 0.0, 0.0))
    >>> lens.pinhole.distortion, lens.rectifier is None
    ((), False)
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = PLUMB_BOB
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        known = MODELS.get(self.model.lower())
        count = len(self.coefficients)
        if known is None or count not in _LENGTHS[known]:
            raise CameraError.from_parts(
                "lens",
                f"model {self.model or 'unnamed'!r} with {count} coefficients",
                "plumb_bob (4 or 5), rational_polynomial (8, 12 or 14) or equidistant (4)",
                "calibrate with one of these, or rectify the images first (image_proc)",
            )
        object.__setattr__(self, "model", known)
        # Refuses sizes and focal lengths that are none.
        PinholeCamera(self.width, self.height, self.fx, self.fy, self.cx, self.cy)
        if not all(map(math.isfinite, self.coefficients)):
            raise CameraError.from_parts(
                "lens", self.coefficients, "finite coefficients", "calibrate the camera again"
            )

    @classmethod
    def of_pinhole(cls, camera: PinholeCamera) -> LensModel:
        """Return the lens of a pinhole camera with its distortion."""
        inner = (camera.fx, camera.fy, camera.cx, camera.cy)
        return cls(camera.width, camera.height, *inner, PLUMB_BOB, camera.distortion)

    @property
    def is_plain(self) -> bool:
        """True if a `PinholeCamera` holds the whole lens: images need no remapping."""
        fisheye = self.model == FISHEYE
        return not fisheye and not any(self.coefficients[5:])

    @cached_property
    def matrix(self) -> Floats:
        """K, (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @cached_property
    def pinhole(self) -> PinholeCamera:
        """The camera of the images after `rectifier`.

        Without a rectifier the lens stays in ``distortion``. A fisheye is given the view that its
        image has, but at most 110 degrees across.
        """
        inner = (self.fx, self.fy, self.cx, self.cy)
        plain = PinholeCamera(self.width, self.height, *inner)
        if self.is_plain:
            return replace(plain, distortion=self.coefficients[:5])
        if self.model != FISHEYE:
            return plain
        edges = np.array([[0.0, self.cy], [self.width - 1.0, self.cy]])
        slopes = np.abs(self.rays(edges)[:, 0] / self.rays(edges)[:, 2])
        limit = math.tan(math.radians(WIDEST_VIEW_DEG / 2))
        # A ray beyond 90 degrees has no slope.
        usable = [s if math.isfinite(s) and 0 < s < limit else limit for s in slopes]
        focal = (self.width - 1) / sum(usable)
        fy = focal * self.fy / self.fx
        return PinholeCamera(self.width, self.height, focal, fy, focal * usable[0], self.cy)

    @cached_property
    def rectifier(self) -> Rectifier | None:
        """The remapping to images of `pinhole`; None where the images are used as they are."""
        return None if self.is_plain else Rectifier(self)

    @property
    def words(self) -> str:
        """The model in words, with the view of the pinhole made of it."""
        if not self.coefficients:
            return "no distortion"
        if self.is_plain:
            return f"{self.model}, {len(self.coefficients)} coefficients"
        camera = self.pinhole
        left, right = camera.cx / camera.fx, (camera.width - 1 - camera.cx) / camera.fx
        view = math.degrees(math.atan(left) + math.atan(right))
        count = len(self.coefficients)
        return f"{self.model}, {count} coefficients; images become a pinhole of {view:.0f} degrees"

    def project(self, points: npt.ArrayLike) -> Floats:
        """Return the pixels (N, 2) of points (N, 3) in the camera's optical frame, z > 0."""
        spread = np.asarray(points, dtype=np.float64).reshape(-1, 1, 3)
        zero = np.zeros(3)
        coefficients = np.array(self.coefficients or (0.0,) * 4)
        if self.model == FISHEYE:
            pixels, _ = cv2.fisheye.projectPoints(spread, zero, zero, self.matrix, coefficients)
        else:
            pixels, _ = cv2.projectPoints(spread, zero, zero, self.matrix, coefficients)
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)

    def rays(self, pixels: npt.ArrayLike) -> Floats:
        """Return rays (N, 3) with z = 1 through pixels (N, 2)."""
        spread = np.asarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        coefficients = np.array(self.coefficients or (0.0,) * 4)
        if self.model == FISHEYE:
            flat = cv2.fisheye.undistortPoints(spread, self.matrix, coefficients)
        else:
            # The default of five steps leaves tenths of a pixel at the corners of strong lenses.
            done = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-10)
            if hasattr(cv2, "undistortPointsIter"):
                flat = cv2.undistortPointsIter(
                    spread, self.matrix, coefficients, np.eye(3), np.eye(3), done
                )
            else:  # OpenCV 5
                flat = cv2.undistortPoints(spread, self.matrix, coefficients, criteria=done)
        return np.column_stack([np.asarray(flat).reshape(-1, 2), np.ones(len(spread))])

    def windowed(self, binning: tuple[int, int], roi: tuple[int, int, int, int]) -> LensModel:
        """Return the camera of a part of the image, or of one with pixels combined.

        As sensor_msgs/CameraInfo defines it and image_geometry does it: the window comes first,
        and the principal point is divided as the focal length is.

        Args:
            binning: pixels combined along x and y; 0 means 1.
            roi: x offset, y offset, width, height in full-size pixels; all 0 is the whole image.
        """
        x, y, width, height = roi
        bx, by = max(1, binning[0]), max(1, binning[1])
        return replace(
            self,
            width=(width or self.width) // bx,
            height=(height or self.height) // by,
            fx=self.fx / bx,
            fy=self.fy / by,
            cx=(self.cx - x) / bx,
            cy=(self.cy - y) / by,
        )


class Rectifier:
    """Makes images of the pinhole camera of a lens. Pixels that it does not see are 0.

    >>> lens = LensModel(64, 48, 30.0, 30.0, 31.5, 23.5, "equidistant", (0.0, 0.0, 0.0, 0.0))
    >>> Rectifier(lens).image(np.full((48, 64, 3), 7, np.uint8))[24, 32].tolist()
    [7, 7, 7]
    """

    def __init__(self, lens: LensModel) -> None:
        self.lens = lens
        camera = lens.pinhole
        v, u = np.indices((camera.height, camera.width), dtype=np.float64)
        x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
        rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        recorded = lens.project(rays.reshape(-1, 3)).reshape(*u.shape, 2)
        seen = np.isfinite(recorded).all(axis=-1) & _one_to_one(recorded)
        self._map = np.where(seen[..., None], recorded, -10.0).astype(np.float32)

    def image(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return an image (H, W, 3) of the pinhole, interpolated."""
        found = cv2.remap(image, self._map, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
        return np.asarray(found, dtype=np.uint8)

    def depth(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return depth (H, W) of the pinhole: the nearest pixel. z does not change."""
        dense = np.ascontiguousarray(depth, dtype=np.float32)
        found = cv2.remap(dense, self._map, None, cv2.INTER_NEAREST)  # type: ignore[call-overload]
        return np.asarray(found, dtype=np.float32)


def _one_to_one(recorded: Floats) -> npt.NDArray[np.bool_]:
    """Return where a map (H, W, 2) keeps its orientation: the lens does not fold back.

    Beyond a fold the map may keep it again, turned about the centre. Only what is connected with
    the middle of the image counts.
    """
    with np.errstate(all="ignore"):
        du, dv = np.gradient(recorded, axis=1), np.gradient(recorded, axis=0)
        kept = du[..., 0] * dv[..., 1] - du[..., 1] * dv[..., 0] > 0
    _, labels = cv2.connectedComponents(kept.astype(np.uint8), connectivity=4)
    middle = labels[labels.shape[0] // 2, labels.shape[1] // 2]
    return np.asarray(kept & (labels == middle))
