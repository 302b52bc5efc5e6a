"""The pose of an image in a loaded map: anywhere, or near a pose that somebody gave."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import Sightings, find_pose, refine_pose
from e2e_slam_ros.tracking.corners import Descriptors, describe, detect_corners, match
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_reuse import find_again
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.relocalisation import Relocation, recognise, relocalise
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.tracks import Followed, TrackedView, Tracks

# Keyframes near a given pose that are compared one by one, and whose landmarks are then pooled.
_NEAR, _POOLED = 12, 8
# A place counts with so many landmarks found again by their patches, for each match that a loop
# needs; or with this share of those looked for, where a young map has few. In a rendered room
# wrong places gave up to 41 landmarks and 16 %, right ones 42 or more and 30 %.
_MANY, _SHARE, _AGREEING = 2.0, 0.25, 0.7
# Images looked for near a given pose before they are looked for everywhere.
_GUESSED_IMAGES = 10


@dataclass(frozen=True, eq=False)
class PoseGuess:
    """Where the camera might be.

    Attributes:
        T_map_camera: (4, 4).
        radius_m: distance, level with the ground, within which keyframes are compared.
        angle_deg: angle between the viewing directions likewise.
        up: (3,) unit vector of the map. Distances along it do not count: a pose that is drawn on
            a floor plan has no height.

    Example:
        >>> guess = PoseGuess(np.eye(4), radius_m=1.0, angle_deg=45.0, up=np.array([0., -1., 0.]))
        >>> poses = np.stack([np.eye(4)] * 3)
        >>> poses[1, 1, 3], poses[2, 0, 3] = 9.0, 2.0
        >>> guess.near(poses).tolist()
        [0, 1]
    """

    T_map_camera: Floats
    radius_m: float
    angle_deg: float
    up: Floats

    def near(self, T_map_keyframe: Floats) -> Ids:
        """Return the indices of the poses (K, 4, 4) within the limits, nearest first."""
        offset = T_map_keyframe[:, :3, 3] - self.T_map_camera[:3, 3]
        offset = offset - (offset @ self.up)[:, None] * self.up
        distance = np.linalg.norm(offset, axis=1)
        cosine = np.clip(T_map_keyframe[:, :3, 2] @ self.T_map_camera[:3, 2], -1.0, 1.0)
        angle = np.degrees(np.arccos(cosine))
        inside = np.flatnonzero((distance <= self.radius_m) & (angle <= self.angle_deg))
        cost = distance[inside] / max(self.radius_m, 1e-9) + angle[inside] / self.angle_deg
        return inside[np.lexsort((inside, cost))]


class PlaceSearch:
    """The search for the camera in a map, image by image.

    Args:
        config: thresholds.

    Attributes:
        guess_failures: how often the camera was not found near a given pose.

    Example:
        >>> search = PlaceSearch(TrackingConfig())
        >>> search.begin(PoseGuess(np.eye(4), 1.0, 45.0, np.array([0.0, -1.0, 0.0])))
        >>> search.guess_failures
        0
    """

    def __init__(self, config: TrackingConfig) -> None:
        self._config = config
        self.guess_failures = 0
        self.begin()

    def begin(self, guess: PoseGuess | None = None) -> None:
        """Look for the camera, first near a guess; None: everywhere."""
        self._guess, self._images = guess, 0

    def look(
        self, local_map: LocalMap, places: PlaceIndex, view: TrackedView
    ) -> tuple[Relocation | None, str]:
        """Return the pose of an image and the keyframe in words; or None and the reason.

        After 10 images that are not found near the guess, the next is looked for everywhere.
        """
        found = find_place(local_map, places, view, self._config, self._guess)
        if found is not None:
            self._guess = None
            return found, f"recognised keyframe {found.keyframe}"
        if self._guess is None:
            return None, f"none of the map's {len(local_map.keyframes)} keyframes is recognised"
        self._images += 1
        if self._images < _GUESSED_IMAGES:
            return None, "no keyframe near the given pose is recognised yet"
        self._guess = None
        self.guess_failures += 1
        return None, "no keyframe near the given pose is recognised: now looking everywhere"


def find_place(
    local_map: LocalMap,
    places: PlaceIndex,
    view: TrackedView,
    config: TrackingConfig,
    guess: PoseGuess | None = None,
) -> Relocation | None:
    """Return the pose of an image in the map; None at an unknown place.

    A pose counts when the patches of enough landmarks are found again where it puts them. The
    tracks of the result are these landmarks.

    Args:
        local_map: with at least one keyframe.
        places: index of its keyframes.
        view: the image.
        config: thresholds.
        guess: look near this pose only; None: everywhere.
    """
    if guess is None:
        found = recognise(local_map, places, view, config, lost=True)
    else:
        found = _near(local_map, len(places), view, config, guess)
    return None if found is None else _confirmed(local_map, view, config, found)


def rejoin(local_map: LocalMap, keyframe: TrackingKeyframe, found: Relocation, lens: Lens) -> None:
    """Move all new keyframes and landmarks so that a keyframe is where it was recognised.

    Args:
        local_map: with loaded keyframes, which stay.
        keyframe: a new one.
        found: its pose and the loaded landmarks in it, as `find_place` gives them.
        lens: of the camera.
    """
    T_new_old = rigid.inverse(found.pose.T_camera_map) @ rigid.inverse(keyframe.T_map_camera)
    for new in local_map.keyframes[local_map.fixed :]:
        new.T_map_camera = rigid.orthonormal(T_new_old @ new.T_map_camera)
    positions = local_map.landmarks.position[local_map.fixed_landmarks :]
    positions[:] = rigid.transform_points(T_new_old, positions)
    tracks = found.followed.agreeing()
    tracks = tracks.chosen(~np.isin(tracks.ids, keyframe.seen.ids))
    ideal = lens.ideal(tracks.pixels, keyframe.turning)
    local_map.see(keyframe, Observations.without_depth(tracks.ids, tracks.pixels, ideal))


def _near(
    local_map: LocalMap, count: int, view: TrackedView, config: TrackingConfig, guess: PoseGuess
) -> Relocation | None:
    """Compare with the keyframes near a guess: first each alone, then all their landmarks."""
    if not count:
        return None
    poses = np.stack([keyframe.T_map_camera for keyframe in local_map.keyframes[:count]])
    near = guess.near(poses)[:_NEAR].tolist()
    if not near:
        return None
    none = np.zeros((0, 2))
    pixels = detect_corners(view.image, none, 2 * config.corners, config.corner_distance_px / 2.0)
    descriptors = describe(view.image, pixels)
    least, sigma = config.min_inliers, view.pixel_sigma
    found = relocalise(local_map, near, pixels, descriptors, view.lens, sigma, least)
    if found is not None:
        return found
    ids, described = _pool(local_map, near[:_POOLED])
    rows, columns = match(descriptors, described)
    ideal = view.lens.ideal(pixels[rows])
    use = np.isfinite(ideal).all(1)
    rows, columns, ideal = rows[use], columns[use], ideal[use]
    if len(rows) < least:
        return None
    nothing = np.full(len(rows), np.nan)
    points = local_map.landmarks.position[ids[columns]]
    pose = find_pose(Sightings(points, ideal, nothing, nothing), view.lens, 2.0 * sigma)
    if pose is None or int(pose.inliers.sum()) < least:
        return None
    tracks = Tracks(ids[columns], pixels[rows])
    return Relocation(near[0], pose, Followed(tracks, np.ones(len(rows), np.bool_), pose))


def _pool(local_map: LocalMap, keyframes: list[int]) -> tuple[Ids, Descriptors]:
    """Return the known landmarks of several keyframes, each with one descriptor."""
    chosen = [local_map.keyframes[k] for k in keyframes]
    ids = np.concatenate([keyframe.described for keyframe in chosen])
    descriptors = np.concatenate([keyframe.descriptors for keyframe in chosen])
    ids, first = np.unique(ids, return_index=True)
    known = local_map.landmarks.known(ids)
    return ids[known], descriptors[first[known]]


def _confirmed(
    local_map: LocalMap, view: TrackedView, config: TrackingConfig, found: Relocation
) -> Relocation | None:
    """Look for all landmarks in view by their patches; None with too few of them.

    A few dozen corners may match by chance where a pattern repeats; aligned patches do not.
    """
    nothing = np.zeros((0, 2))
    seen = Observations.without_depth(np.zeros(0, np.int64), nothing, nothing)
    T_map_camera = rigid.inverse(found.pose.T_camera_map)
    here = TrackingKeyframe(-1, -1, 0, view.image, T_map_camera, np.zeros(3), seen)
    # New landmarks of a camera that only localises may have drifted: they confirm nothing.
    before = local_map.fixed if config.localize_only else None
    again = find_again(local_map, here, view.lens, config.reuse, view.pixel_sigma, before)
    found_again, least = len(again.ids), config.loop.min_matches
    if found_again < _MANY * least and found_again < max(least, _SHARE * again.searched):
        return None
    pose = refine_pose(
        _sightings(local_map, again.ids, again.ideal),
        view.lens,
        found.pose.T_camera_map,
        view.pixel_sigma,
    )
    if int(pose.inliers.sum()) < _AGREEING * min(found_again, _MANY * least):
        return None
    tracks, known = Tracks(again.ids, again.pixels), np.ones(len(again.ids), np.bool_)
    return replace(found, pose=pose, followed=Followed(tracks, known, pose))


def _sightings(local_map: LocalMap, ids: Ids, ideal: Floats) -> Sightings:
    nothing = np.full(len(ids), np.nan)
    return Sightings(local_map.landmarks.position[ids], ideal, nothing, nothing)
