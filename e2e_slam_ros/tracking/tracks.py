"""Tracking of landmarks from the last image to the next, and the pose from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import (
    STILL,
    PoseEstimate,
    Sightings,
    find_pose,
    refine_pose,
)
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.edges import edge_normals, slide, whiteners
from e2e_slam_ros.tracking.flow import follow
from e2e_slam_ros.tracking.landmarks import Ids, Landmarks
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

# Share of sightings that agree with the predicted pose's neighbourhood, under which all are tried.
_TRUSTED = 0.6
# A point on an edge farther along it from where the pose puts it has come off its edge.
_MOST_SLID_PX = 8.0
# Steps that move a pixel by half at most.
_ROUGH = 1e-3


@dataclass(frozen=True, eq=False)
class Tracks:
    """Landmarks in one image: ids (N,) and recorded pixels (N, 2).

    Example:
        >>> tracks = Tracks(np.array([4, 7]), np.array([[20.0, 20.0], [40.0, 20.0]]))
        >>> tracks.chosen(np.array([False, True])).ids.tolist()
        [7]
    """

    ids: Ids
    pixels: Floats

    @staticmethod
    def none() -> Tracks:
        """Return no tracks."""
        return Tracks(np.zeros(0, np.int64), np.zeros((0, 2)))

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Tracks:
        """Return the tracks where ``mask`` (N,) is true."""
        return Tracks(self.ids[mask], self.pixels[mask])


@dataclass(frozen=True, eq=False)
class TrackedView:
    """A new image to follow tracks into.

    Attributes:
        image: (H, W) uint8 grey.
        lens: of its camera.
        depth: depth image measured with it; or None.
        pixel_sigma: standard deviation of a corner, pixels.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> view = TrackedView(np.zeros((48, 64), np.uint8), Lens(camera), None, pixel_sigma=0.7)
        >>> view.lens.camera.width == view.image.shape[1]
        True
    """

    image: Image
    lens: Lens
    depth: DepthImage | None
    pixel_sigma: float


@dataclass(frozen=True, eq=False)
class Followed:
    """Tracks in the new image and the pose they agree on.

    Attributes:
        tracks: the (N,) tracks that optical flow could follow.
        known: (N,) bool, true for landmarks with a position.
        pose: of the image; None with too few landmarks. Its ``inliers`` have one entry for each
            true entry of ``known``.

    Example:
        >>> tracks = Tracks(np.array([4, 7, 9]), np.zeros((3, 2)))
        >>> known = np.array([True, False, True])
        >>> pose = PoseEstimate(np.eye(4), np.eye(6), inliers=np.array([True, False]))
        >>> followed = Followed(tracks, known, pose)
        >>> followed.inliers, followed.agreeing().ids.tolist()
        (1, [4, 7])
    """

    tracks: Tracks
    known: npt.NDArray[np.bool_]
    pose: PoseEstimate | None

    @property
    def inliers(self) -> int:
        """Number of landmarks that agree with the pose, see `PoseEstimate.support`."""
        return 0 if self.pose is None else self.pose.support

    def agreeing(self) -> Tracks:
        """Return the tracks without those that contradict the pose."""
        keep = np.ones(len(self.tracks.ids), np.bool_)
        if self.pose is not None:
            keep[np.flatnonzero(self.known)[~self.pose.inliers]] = False
        return self.tracks.chosen(keep)


def follow_tracks(
    landmarks: Landmarks,
    tracks: Tracks,
    last_image: Image,
    view: TrackedView,
    T_map_before: Floats,
    T_map_expected: Floats,
    turning: Floats,
    fewest: int,
) -> Followed:
    """Follow tracks into a new image with an expected pose.

    Args:
        landmarks: of the map.
        tracks: in the last image.
        last_image: (H, W) uint8 grey.
        view: the new image.
        T_map_before, T_map_expected: (4, 4) pose of the last image, expected pose of the new one.
        turning: (3,) expected angular velocity in the camera's own frame, rad/s.
        fewest: smallest number of sightings for a pose.
    """
    start = expected_pixels(landmarks, tracks, view.lens, T_map_before, T_map_expected, turning)
    edge = landmarks.edge[tracks.ids]
    pixels, good = follow(last_image, view.image, tracks.pixels, start, edge)
    arrived = Tracks(tracks.ids, pixels).chosen(good)
    ideal = view.lens.ideal(arrived.pixels, turning)
    finite = np.asarray(np.isfinite(ideal).all(1))
    arrived, ideal = arrived.chosen(finite), ideal[finite]
    known = landmarks.known(arrived.ids)
    # Under a rolling shutter a second, exact pose follows with the turning that this one finds.
    still = _ROUGH if view.lens.readout_s > 0.0 else STILL
    pose = pose_of_sightings(
        landmarks,
        arrived.chosen(known),
        ideal[known],
        view,
        T_map_expected,
        fewest,
        still=still,
    )
    return Followed(arrived, known, pose)


def pose_of_sightings(
    landmarks: Landmarks,
    tracks: Tracks,
    ideal: Floats,
    view: TrackedView,
    T_map_expected: Floats,
    fewest: int,
    widest: float = 8.0,
    still: float = STILL,
) -> PoseEstimate | None:
    """Return the pose that tracks with ``ideal`` pixels agree on; None with too few."""
    ids = tracks.ids
    if len(ids) < fewest:
        return None
    inverse_depth, sigma = np.full(len(ids), np.nan), np.full(len(ids), np.inf)
    if view.depth is not None:
        inverse_depth, sigma = view.depth.sample(view.lens, ideal)
    whitener = whiteners([(view.image, tracks.pixels, landmarks.edge[ids])])
    sightings = Sightings(landmarks.position[ids], ideal, inverse_depth, sigma, whitener)
    guess = rigid.inverse(T_map_expected)
    pose = refine_pose(sightings, view.lens, guess, view.pixel_sigma, widest, still)
    if pose.inliers.mean() > _TRUSTED:
        return pose
    other = find_pose(sightings, view.lens, view.pixel_sigma)
    if other is not None and other.inliers.sum() > pose.inliers.sum():
        return other
    return pose


def slid_back(
    landmarks: Landmarks, tracks: Tracks, view: TrackedView, T_camera_map: Floats, turning: Floats
) -> Tracks:
    """Return the tracks with points on edges moved along these to where the pose puts them."""
    rows = np.flatnonzero(landmarks.edge[tracks.ids] & landmarks.known(tracks.ids))
    if not len(rows):
        return tracks
    local = rigid.transform_points(T_camera_map, landmarks.position[tracks.ids[rows]])
    there = view.lens.recorded(view.lens.project(local), turning)
    pixels = tracks.pixels.copy()
    slid = slide(pixels[rows], there, edge_normals(view.image, pixels[rows]))
    near = np.linalg.norm(slid - pixels[rows], axis=1) < _MOST_SLID_PX
    pixels[rows[near]] = slid[near]
    return Tracks(tracks.ids, pixels)


def expected_pixels(
    landmarks: Landmarks,
    tracks: Tracks,
    lens: Lens,
    T_map_before: Floats,
    T_map_now: Floats,
    turning: Floats,
) -> Floats:
    """Return the expected pixels (N, 2) of tracks; those without depth count as far away."""
    known = landmarks.known(tracks.ids)
    points = landmarks.position[tracks.ids]
    T_now_map = rigid.inverse(T_map_now)
    turn = T_now_map[:3, :3] @ T_map_before[:3, :3]
    rays = lens.rays(lens.ideal(tracks.pixels, turning)) @ turn.T
    local = np.where(known[:, None], rigid.transform_points(T_now_map, points), rays)
    now = lens.recorded(lens.project(local), turning)
    # A landmark's own error shows in the last image too: only the motion is predicted.
    local_before = rigid.transform_points(rigid.inverse(T_map_before), points)
    before = lens.recorded(lens.project(local_before), turning)
    error = np.where(known[:, None], tracks.pixels - before, 0.0)
    now = now + np.where(np.isfinite(error), error, 0.0)
    return np.where(np.isfinite(now), now, tracks.pixels)
