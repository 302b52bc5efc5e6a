"""Creation of a keyframe from a frame, and depth for keyframes."""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig, TrackingKeyframeConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.corners import Image, detect_corners
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.edges import detect_edges
from e2e_slam_ros.tracking.floor_height import find_floor_view
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.tracks import Tracks

FEWEST_CORNERS = 40
# Share of the corners wanted, under which points on edges are added.
_FEW = 0.5
# Depth this certain is a sensor's: its scale is the map's.
_MEASURED_SIGMA = 0.05
_FEWEST_RATIOS = 15
# First keyframes in which given poses alone say how long a metre is.
_SETTLING = 5
# Against gravity in a map that begins at a level camera; the floor's own normal says the rest.
_UP = np.array([0.0, -1.0, 0.0])


def is_wanted(
    local_map: LocalMap, rule: TrackingKeyframeConfig, T_map_camera: Floats, inliers: int
) -> bool:
    """Return whether a frame differs enough from the last keyframe to become one."""
    keyframe = local_map.keyframes[-1]
    T = rigid.inverse(keyframe.T_map_camera) @ T_map_camera
    known = int(local_map.landmarks.known(keyframe.seen.ids).sum())
    return (
        inliers < (1.0 - rule.lost) * known
        or float(np.linalg.norm(T[:3, 3])) > rule.parallax * local_map.median_depth(keyframe)
        or rigid.angle_deg(T) > rule.rotation_deg
    )


def make_keyframe(
    local_map: LocalMap,
    lens: Lens,
    config: TrackingConfig,
    frame: Frame,
    image: Image,
    T_map_camera: Floats,
    turning: Floats,
    tracks: Tracks,
    with_edges: bool = False,
) -> TrackingKeyframe | None:
    """Add a keyframe to the map, with the tracks and new corners.

    Where corners are few, points on straight edges are added: only with measured depth, because
    motion along an edge shows no depth.

    Returns:
        The keyframe; None where it would be the first and the image has too few corners.
    """
    on_edge = local_map.landmarks.edge[tracks.ids]
    corners = len(on_edge) - int(on_edge.sum())
    more = detect_corners(
        image, tracks.pixels, config.corners - corners, config.corner_distance_px
    )
    every = np.concatenate([tracks.pixels, more])
    wanted = min(
        config.edges - int(on_edge.sum()),
        int(_FEW * config.corners) - corners - len(more),
    )
    edges = detect_edges(image, every, wanted if with_edges else 0)
    if not local_map.keyframes and len(more) < FEWEST_CORNERS:
        return None
    edge = np.arange(len(more) + len(edges)) >= len(more)
    more = np.concatenate([more, edges])
    ideal = lens.ideal(more, turning)
    inside = np.isfinite(ideal).all(1)
    more, ideal, edge = more[inside], ideal[inside], edge[inside]
    index = len(local_map.keyframes)
    ids = local_map.landmarks.add(more, index)
    local_map.landmarks.edge[ids] = edge
    seen = Observations.without_depth(
        np.concatenate([tracks.ids, ids]),
        np.concatenate([tracks.pixels, more]),
        np.concatenate([lens.ideal(tracks.pixels, turning), ideal]),
    )
    keyframe = TrackingKeyframe(
        index, frame.index, frame.stamp_ns, image, T_map_camera, turning, seen
    )
    local_map.add(keyframe)
    return keyframe


def is_measured(depth: DepthImage) -> bool:
    """Return whether depth comes from a sensor, so that its scale needs no estimate."""
    return depth.relative_sigma < _MEASURED_SIGMA


def give_depth(
    local_map: LocalMap,
    lens: Lens,
    keyframe: TrackingKeyframe,
    depth: DepthImage,
    scale: MapScale,
) -> None:
    """Store the depth of a keyframe's landmarks; give a position to those without one.

    Where given poses say how long a metre is, a network's depth gives shape and no scale.
    """
    seen, landmarks = keyframe.seen, local_map.landmarks
    inverse, sigma = depth.sample(lens, seen.ideal)
    seen.inverse_depth, seen.inverse_depth_sigma = inverse, sigma
    known, measured = landmarks.known(seen.ids), np.isfinite(inverse)
    ratio = 1.0
    if is_measured(depth):
        scale.measured()
    else:
        both, found = known & measured, None
        if both.sum() >= _FEWEST_RATIOS:
            # The map's own scale here: new landmarks must fit those they are seen with.
            T_camera_map = rigid.inverse(keyframe.T_map_camera)
            z = rigid.transform_points(T_camera_map, landmarks.position[seen.ids[both]])[:, 2]
            found = float(np.median(z * inverse[both]))
        ratio, factor = _network_metre(local_map, lens, keyframe, depth, scale, found)
        seen.inverse_depth, seen.inverse_depth_sigma = inverse / factor, sigma / factor
        if keyframe.given is not None and keyframe.index < _SETTLING:
            # The map still has the network's metre, not that of the given poses.
            seen.inverse_depth = np.full(len(inverse), np.nan)
    new = measured & ~known & landmarks.alive[seen.ids]
    local = lens.rays(seen.ideal[new]) * (ratio / inverse[new])[:, None]
    landmarks.position[seen.ids[new]] = rigid.transform_points(keyframe.T_map_camera, local)


def _network_metre(
    local_map: LocalMap,
    lens: Lens,
    keyframe: TrackingKeyframe,
    depth: DepthImage,
    scale: MapScale,
    ratio: float | None,
) -> tuple[float, float]:
    """Return metres of the map per metre of a network's depth image.

    Args:
        local_map: that the keyframe is in.
        lens: of the keyframe.
        keyframe: that the depth belongs to.
        depth: of the network.
        scale: takes note of what the image says.
        ratio: the map's depth over the network's; None: too few landmarks.

    Returns:
        That of new landmarks, which must fit the map; and that of the image as a measurement,
        which pulls at the map where it differs from the first.
    """
    scale.network_ratio(ratio)
    if scale.height is None or keyframe.given is not None or local_map.fixed:
        ratio = 1.0 if ratio is None else ratio
        pulls = keyframe.given is None and scale.follows_network
        return ratio, 1.0 if pulls else ratio
    floor = find_floor_view(depth, keyframe.T_map_camera[:3, :3].T @ _UP)
    if ratio is None:
        ratio = scale.network_factor if floor is None else scale.height.height_m / floor.height
    scale.network_factor = ratio
    height = None
    if floor is not None:
        scale.floor.vote(keyframe, lens, floor)
        height = scale.floor.height(local_map, keyframe, _UP)
    by_motion = height is not None
    if height is None and floor is not None:
        height = floor.height * ratio
    if scale.floor_seen(height, by_motion, keyframe.index) and height is not None:
        return ratio, ratio * scale.height.height_m / height
    # No floor: the network's metre, as floors have shown it so far, holds against drift.
    return ratio, scale.network_metre if scale.follows_network else ratio
