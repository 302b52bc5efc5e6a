"""The pose of one image from landmarks: robust, with its covariance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

_STEPS = 12
# Steps that move a pixel by a fiftieth at most.
STILL = 3e-5
# 95 % of squared errors with two degrees of freedom.
_CHI2_PIXEL = 5.99
_CHI2_DEPTH = 3.84
_HUBER = 2.447  # square root of the first
_FEWEST = 6
# Standard deviation of a pose that edges help to hold, in its weakest direction, over which it is
# not believed: a translation over the depth of the scene, or an angle.
_MOST_SIGMA = 0.01


@dataclass(frozen=True, eq=False)
class Sightings:
    """Landmarks seen in one image.

    Attributes:
        points: (N, 3) in the map, metres.
        pixels: (N, 2) ideal pixels.
        inverse_depth: (N,) measured 1/z, 1/metres; NaN for none.
        inverse_depth_sigma: (N,) its standard deviation.
        whitener: (N, 2, 2) that turns pixel errors into those across and along edges; None: all
            are corners.

    Example:
        >>> points = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0]])
        >>> pixels = np.array([[32.0, 24.0], [57.0, 24.0]])
        >>> seen = Sightings(points, pixels, np.full(2, np.nan), np.full(2, np.inf))
        >>> seen.chosen(np.array([False, True])).points.tolist()
        [[1.0, 0.0, 2.0]]
    """

    points: Floats
    pixels: Floats
    inverse_depth: Floats
    inverse_depth_sigma: Floats
    whitener: Floats | None = None

    @property
    def edge(self) -> npt.NDArray[np.bool_] | None:
        """(N,) bool, landmarks on straight edges; None: none is."""
        return None if self.whitener is None else np.abs(np.linalg.det(self.whitener)) < 0.5

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Sightings:
        """Return the sightings where ``mask`` (N,) is true."""
        return Sightings(
            self.points[mask],
            self.pixels[mask],
            self.inverse_depth[mask],
            self.inverse_depth_sigma[mask],
            None if self.whitener is None else self.whitener[mask],
        )


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A pose that landmarks agree on.

    Attributes:
        T_camera_map: (4, 4).
        covariance: (6, 6) of the twist ``[rho, phi]`` that multiplies the pose from the left,
            metres and radians.
        inliers: (N,) bool, landmarks within the 95 % bound.
        edge: (N,) bool, landmarks on straight edges; None: none is.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> lens = Lens(PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5))
        >>> points = np.array([[x, y, 2.0 + x * y] for x in (-0.5, 0.0, 0.5) for y in (-0.4, 0.4)])
        >>> pixels = lens.project(points + [0.1, 0.0, 0.0])
        >>> seen = Sightings(points, pixels, np.full(6, np.nan), np.full(6, np.inf))
        >>> pose = refine_pose(seen, lens, np.eye(4), pixel_sigma=0.5)
        >>> round(float(pose.T_camera_map[0, 3]), 3), int(pose.inliers.sum())
        (0.1, 6)
    """

    T_camera_map: Floats
    covariance: Floats
    inliers: npt.NDArray[np.bool_]
    edge: npt.NDArray[np.bool_] | None = None

    @property
    def support(self) -> int:
        """Number of landmarks that agree; two on edges count as one, for they hold as much."""
        every = int(self.inliers.sum())
        return (
            every if self.edge is None else every - int((self.inliers & self.edge).sum() + 1) // 2
        )


def refine_pose(
    sightings: Sightings,
    lens: Lens,
    T_camera_map: Floats,
    pixel_sigma: float,
    widest: float = 8.0,
    still: float = STILL,
) -> PoseEstimate:
    """Return the pose that most landmarks agree on, starting from a first guess.

    Gauss-Newton minimises the reprojection error and, where depth was measured, the error of
    inverse depth. The weights are those of Geman and McClure. Their width shrinks from step to
    step (graduated non-convexity: Black and Rangarajan, IJCV 1996), so that a poor guess does not
    turn inliers into outliers.

    Args:
        sightings: landmarks and their pixels.
        lens: of the image.
        T_camera_map: (4, 4) first guess.
        pixel_sigma: standard deviation of a pixel.
        widest: first width over last width; 1 for a good guess.
        still: the step that is small enough to be the last one, metres and radians.
    """
    T = T_camera_map.copy()
    for step in range(_STEPS):
        width = max(1.0, widest * 0.3**step)
        residual, jacobian = _linearised(sightings, lens, T, pixel_sigma)
        weight = _weights(residual, width)
        weighted = jacobian * weight[..., None]
        hessian = np.einsum("nri,nrj->ij", weighted, jacobian)
        gradient = np.einsum("nri,nr->i", weighted, residual)
        # Where every landmark lies behind the camera, nothing pulls: the pose stays.
        least = 1e-9 * np.trace(hessian) + 1e-12
        delta = -np.linalg.solve(hessian + least * np.eye(6), gradient)
        T = rigid.exp(delta) @ T
        if width == 1.0 and np.abs(delta).max() < still:
            break
    residual, jacobian = _linearised(sightings, lens, T, pixel_sigma)
    square = (residual[:, :2] ** 2).sum(1)
    inliers = (square < _CHI2_PIXEL * 1.5) & (residual[:, 2] ** 2 < _CHI2_DEPTH * 4.0)
    edge = sightings.edge
    if edge is not None and not _is_held(sightings, T, jacobian, inliers, edge):
        inliers = np.zeros(len(inliers), np.bool_)
    return PoseEstimate(
        rigid.orthonormal(T), _covariance(residual[inliers], jacobian[inliers]), inliers, edge
    )


def find_pose(
    sightings: Sightings, lens: Lens, pixel_sigma: float, confidence: float = 0.999
) -> PoseEstimate | None:
    """Return the pose that most landmarks agree on, without a first guess; None if there is none.

    RANSAC over minimal sets (Lepetit et al., EPnP, IJCV 2009), seeded, then `refine_pose`.
    """
    if len(sightings.points) < _FEWEST:
        return None
    cv2.setRNGSeed(0)
    camera = lens.camera.undistorted()
    corners = sightings if sightings.edge is None else sightings.chosen(~sightings.edge)
    if len(corners.points) < _FEWEST:
        return None
    try:
        found, turn, shift, chosen = cv2.solvePnPRansac(
            np.ascontiguousarray(corners.points), np.ascontiguousarray(corners.pixels),
            camera.matrix().double().numpy(), np.zeros(4),
            iterationsCount=200, reprojectionError=4.0 * pixel_sigma,
            confidence=confidence, flags=cv2.SOLVEPNP_AP3P,
        )  # fmt: skip
    except cv2.error:  # degenerate points
        return None
    if not found or chosen is None or len(chosen) < _FEWEST:
        return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(turn)[0], np.asarray(shift)[:, 0]
    return refine_pose(sightings, lens, T, pixel_sigma)


def _linearised(
    sightings: Sightings, lens: Lens, T_camera_map: Floats, pixel_sigma: float
) -> tuple[Floats, Floats]:
    """Return residuals (N, 3) in standard deviations and their derivatives (N, 3, 6)."""
    local = rigid.transform_points(T_camera_map, sightings.points)
    z = local[:, 2]
    behind = z < 1e-2
    inverse = 1.0 / np.where(behind, 1.0, z)
    x, y = local[:, 0] * inverse, local[:, 1] * inverse
    fx, fy = lens.focal / pixel_sigma
    residual = np.zeros((len(z), 3))
    residual[:, :2] = (np.stack([x, y], 1) * lens.focal + lens.centre - sightings.pixels) / (
        pixel_sigma
    )
    measured = np.isfinite(sightings.inverse_depth)
    per_sigma = np.where(measured, 1.0 / sightings.inverse_depth_sigma, 0.0)
    residual[:, 2] = np.where(measured, (inverse - sightings.inverse_depth) * per_sigma, 0.0)
    jacobian = np.zeros((len(z), 3, 6))
    jacobian[:, 0, 0], jacobian[:, 0, 2] = fx * inverse, -fx * x * inverse
    jacobian[:, 0, 3], jacobian[:, 0, 4], jacobian[:, 0, 5] = (
        -fx * x * y,
        fx * (1 + x * x),
        -fx * y,
    )
    jacobian[:, 1, 1], jacobian[:, 1, 2] = fy * inverse, -fy * y * inverse
    jacobian[:, 1, 3], jacobian[:, 1, 4], jacobian[:, 1, 5] = -fy * (1 + y * y), fy * x * y, fy * x
    if sightings.whitener is not None:
        residual[:, :2] = (sightings.whitener @ residual[:, :2, None])[..., 0]
        jacobian[:, :2] = sightings.whitener @ jacobian[:, :2]
    slope = -inverse * inverse * per_sigma
    jacobian[:, 2, 2], jacobian[:, 2, 3], jacobian[:, 2, 4] = (
        slope,
        slope * local[:, 1],
        -slope * local[:, 0],
    )
    # Behind the camera, or where the lens model does not reach: far off, and without a pull.
    unusable = behind | ~np.isfinite(residual).all(1)
    residual[unusable], jacobian[unusable] = 1e3, 0.0
    return residual, jacobian


def _is_held(
    sightings: Sightings,
    T_camera_map: Floats,
    jacobian: Floats,
    inliers: npt.NDArray[np.bool_],
    edge: npt.NDArray[np.bool_],
) -> bool:
    """Return whether all six directions of a pose are held, not only those across edges."""
    if not inliers.any():
        return False
    depth = np.median(rigid.transform_points(T_camera_map, sightings.points[inliers])[:, 2])
    across = jacobian.copy()
    across[edge, 1] = 0.0
    across[..., :3] *= depth
    information = np.einsum("nri,nrj->ij", across[inliers], across[inliers])
    weakest = float(np.linalg.eigvalsh(information)[0])
    return weakest * _MOST_SIGMA**2 > 1.0


def _weights(residual: Floats, width: float) -> Floats:
    """Return the weights (N, 3) of Geman and McClure's estimator, squared errors over width."""
    scale = (_HUBER * width) ** 2
    pixel = (residual[:, :2] ** 2).sum(1)
    weight = (scale / (scale + pixel)) ** 2
    depth = (scale / (scale + residual[:, 2] ** 2)) ** 2
    return np.stack([weight, weight, depth], axis=1)


def _covariance(residual: Floats, jacobian: Floats) -> Floats:
    """Return the inverse information, scaled by the mean squared residual of the inliers."""
    if len(residual) < _FEWEST:
        return np.full((6, 6), np.inf)
    information = np.einsum("nri,nrj->ij", jacobian, jacobian)
    variance = max((residual[:, :2] ** 2).mean(), 1e-2)
    return np.asarray(np.linalg.pinv(information) * variance)
