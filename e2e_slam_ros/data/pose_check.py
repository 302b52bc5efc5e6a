"""Comparison of camera poses with the motion in the images, to find the frame they belong to.

Corners are followed between pairs of images (Lucas and Kanade 1981, in OpenCV). A corner fits a
pair of poses if some positive depth puts it where it was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.pose_policy import BODY, OPTICAL, T_BODY_OPTICAL
from e2e_slam_ros.geometry.lens_model import LensModel

Matrix = npt.NDArray[np.float64]

_PLACES, _STEPS = 5, (1, 3, 8)
_CORNERS, _FEWEST = 300, 12
# Fewer corners in each pair may all be followed wrongly, in images without texture.
_ENOUGH = 60
# Pixels of an image 320 pixels wide.
_WIDTH = 320.0
_MOVED_PX, _FIT_PX, _RETURN_PX = 2.0, 1.5, 0.7
# Inverse depths, 1 / m: from far away to 20 cm.
_INVERSE_DEPTHS = np.concatenate([[0.0], np.geomspace(0.02, 5.0, 48)])
_POOR, _GOOD = 0.4, 0.75
_GL = np.diag([1.0, -1.0, -1.0, 1.0])
# What other poses can be: the motion of the optical frame that follows from them.
_READINGS: dict[str, Callable[[Matrix, Matrix], Matrix]] = {
    "a body with x forward": lambda a, b: np.linalg.inv(a @ T_BODY_OPTICAL) @ b @ T_BODY_OPTICAL,
    "a camera of OpenGL (y up, z backward)": lambda a, b: np.linalg.inv(a @ _GL) @ b @ _GL,
    "the inverse (map to camera)": lambda a, b: a @ np.linalg.inv(b),
}
# A note that begins so makes the whole map doubtful; it stands first in the table of a run.
CONTRADICTION = "the poses contradict the images"
_OPTICAL_READING = "the optical frame (z forward)"


@dataclass(frozen=True)
class PoseFit:
    """Agreement of poses with the images.

    Attributes:
        pairs, corners: number of image pairs and of corners that were compared.
        shares: reading of the poses -> share of the corners that fit it (median over pairs).

    >>> PoseFit(3, 600, {"the optical frame (z forward)": 0.9}).other is None
    True
    """

    pairs: int
    corners: int
    shares: dict[str, float]

    @property
    def optical(self) -> float:
        """Share of the corners that fit poses of the optical frame."""
        return self.shares[_OPTICAL_READING]

    @property
    def other(self) -> str | None:
        """The reading that the images show instead of the optical frame, or None."""
        if self.optical >= _POOR:
            return None
        best = max(self.shares, key=lambda reading: self.shares[reading])
        return best if self.shares[best] >= _GOOD else None


def check_poses(reader: FrameReader, insist: bool = False) -> PoseFit | None:
    """Compare the poses of a sequence with its images, in about ten frames.

    Poses that fit nothing become a note. None: there is too little motion, texture or pose.

    Args:
        insist: the user says whose poses they are; a contradiction becomes a note.

    Raises:
        DataError: the poses are those of a body with x forward, or of another such frame.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> check_poses(ProceduralReader(0, 1, 32, 24, texture_size=64)) is None
    True
    """
    fit = measure_fit(reader)
    if fit is None or fit.optical >= _POOR:
        return fit
    got = f"{fit.optical:.0%} of {fit.corners} corners fit the poses of {_OPTICAL_READING}"
    if fit.other is None:
        if fit.corners >= _ENOUGH * fit.pairs:
            reader.report.note(f"{CONTRADICTION}: {got}")
        return fit
    what = f"poses that are those of {fit.other} ({fit.shares[fit.other]:.0%} fit; {got})"
    if insist:
        reader.report.note(f"{CONTRADICTION}: {what}")
        return fit
    how = "write them as the optical frame in the map"
    if fit.other == next(iter(_READINGS)):
        how = f"give {option('pose_frame', BODY)}"
    source = next((n for n in reader.report.notes if n.startswith("poses are ")), "camera poses")
    raise DataError.from_parts(
        source,
        what,
        _OPTICAL_READING,
        f"{how}, or {option('pose_frame', OPTICAL)} to use them as they are",
    )


def measure_fit(reader: FrameReader) -> PoseFit | None:
    """Return the agreement of poses and images; None: too little motion, texture or pose."""
    shares: dict[str, list[float]] = {}
    corners = 0
    for place in sorted({round(i * (len(reader) - 2) / _PLACES) for i in range(_PLACES)}):
        first = _frame(reader, place)
        if first is None:
            continue
        for step in _STEPS:
            second = _frame(reader, place + step)
            found = None if second is None else _pair_shares(first, second)
            if found is not None:
                count, fits = found
                corners += count
                for reading, share in fits.items():
                    shares.setdefault(reading, []).append(share)
                break
    pairs = len(shares.get(_OPTICAL_READING, ()))
    if pairs < min(2, max(1, len(reader) - 2)):
        return None
    medians = {reading: float(np.median(values)) for reading, values in shares.items()}
    return PoseFit(pairs, corners, medians)


def _frame(reader: FrameReader, index: int) -> Frame | None:
    if not 0 <= index < len(reader):
        return None
    try:
        frame = reader[index]
    except E2ESlamError:
        return None
    return frame if frame.T_map_camera is not None else None


def _pair_shares(first: Frame, second: Frame) -> tuple[int, dict[str, float]] | None:
    """Return the number of corners and the share that fits each reading; None: no motion."""
    scale = first.camera.width / _WIDTH
    seen, found = _followed(first.image, second.image, _RETURN_PX * scale)
    moved = np.linalg.norm(found - seen, axis=1) / scale
    if len(seen) < _FEWEST or np.median(moved) < _MOVED_PX:
        return None
    a, b = first.T_map_camera, second.T_map_camera
    assert a is not None and b is not None
    motions: dict[str, Matrix] = {_OPTICAL_READING: np.linalg.inv(b) @ a}
    motions |= {n: np.asarray(np.linalg.inv(read(a, b))) for n, read in _READINGS.items()}
    lens = LensModel.of_pinhole(first.camera)
    rays = lens.rays(seen)
    errors: dict[str, Matrix] = {
        name: _distance(lens, rays, found, motion) / scale for name, motion in motions.items()
    }
    return len(seen), {name: float((e < _FIT_PX).mean()) for name, e in errors.items()}


def _followed(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], return_px: float
) -> tuple[Matrix, Matrix]:
    """Return corners (N, 2) of one image and where they are in another."""
    one, other = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second))
    distance = max(3.0, first.shape[1] / 80)
    corners = cv2.goodFeaturesToTrack(one, _CORNERS, 0.01, distance)
    nothing = np.zeros((0, 2))
    if corners is None or one.shape != other.shape:
        return nothing, nothing
    corners = np.asarray(corners, dtype=np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, other, corners, None)  # type: ignore[call-overload]
    back, returned, _ = cv2.calcOpticalFlowPyrLK(other, one, there, None)  # type: ignore[call-overload]
    error = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    good = (found.reshape(-1) == 1) & (returned.reshape(-1) == 1) & (error < return_px)
    return corners.reshape(-1, 2)[good].astype(float), there.reshape(-1, 2)[good].astype(float)


def _distance(lens: LensModel, rays: Matrix, found: Matrix, T_second_first: Matrix) -> Matrix:
    """Return the distance (N,) in pixels to the nearest place that some depth gives."""
    rotation, shift = T_second_first[:3, :3], T_second_first[:3, 3]
    points = (rays @ rotation.T)[:, None] + _INVERSE_DEPTHS[None, :, None] * shift
    ahead = points[..., 2] > 1e-6
    places = lens.project(np.where(ahead[..., None], points, (0.0, 0.0, 1.0)).reshape(-1, 3))
    places = places.reshape(*points.shape[:2], 2)
    offset = np.linalg.norm(places - found[:, None], axis=2)
    offset[~ahead | ~np.isfinite(offset)] = np.inf
    # Between two sampled depths the place moves along a short line.
    return np.asarray(_to_segments(places, found, offset))


def _to_segments(places: Matrix, found: Matrix, offset: Matrix) -> Matrix:
    """Return the distance (N,) of points to polylines (N, D, 2) whose ends are at ``offset``."""
    start, end = places[:, :-1], places[:, 1:]
    along = end - start
    length = np.maximum((along**2).sum(-1), 1e-12)
    share = np.clip((((found[:, None] - start) * along).sum(-1)) / length, 0.0, 1.0)
    nearest = start + share[..., None] * along
    distance = np.linalg.norm(nearest - found[:, None], axis=2)
    known = np.isfinite(offset[:, :-1]) & np.isfinite(offset[:, 1:])
    distance[~known | ~np.isfinite(distance)] = np.inf
    return np.minimum(distance.min(axis=1), offset.min(axis=1))
