"""The rule that makes a frame a keyframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import KeyframeConfig
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.se3 import similarity_scale

# Median depth assumed until a keyframe's depth is known: the middle of a room.
_ASSUMED_DEPTH_M = 2.0


@dataclass(frozen=True, eq=False)
class Reference:
    """The facts about a keyframe that the rule needs.

    Attributes:
        stamp_ns: its image time.
        T_map_camera: (4, 4) float64.
        median_depth: metres.
        points: (P, 3) float64, a thin grid of its surface in its own camera frame; P may be 0.

    Example:
        >>> Reference(stamp_ns=0, T_map_camera=np.eye(4)).median_depth
        2.0
    """

    stamp_ns: int
    T_map_camera: npt.NDArray[np.float64]
    median_depth: float = _ASSUMED_DEPTH_M
    points: npt.NDArray[np.float64] | None = None


class KeyframeRule:
    """Decides from motion, overlap, time and sharpness; measures from the last keyframe.

    Keyframes are chosen faster than they are mapped. The rule therefore keeps the last mapped
    keyframe and all that were chosen since, so that each of these can be withdrawn. It is not
    thread-safe; `KeyframeSelector` guards it.

    Example:
        >>> from e2e_slam_ros.config import KeyframeConfig
        >>> rule = KeyframeRule(KeyframeConfig(), maps_pure_rotation=False)
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> rule.decide(0, np.eye(4), camera, relative_sharpness=1.0).reason
        'first'
    """

    def __init__(self, config: KeyframeConfig, maps_pure_rotation: bool) -> None:
        self.config = config
        self.maps_pure_rotation = maps_pure_rotation
        self._chosen: list[Reference] = []

    @property
    def reference(self) -> Reference | None:
        """The last keyframe that was chosen and not withdrawn."""
        return self._chosen[-1] if self._chosen else None

    @property
    def scene_depth_m(self) -> float:
        """Median depth of the last keyframe; a guess before it is known."""
        return self.reference.median_depth if self.reference else _ASSUMED_DEPTH_M

    def decide(
        self,
        stamp_ns: int,
        T_map_camera: npt.NDArray[np.float64],
        camera: PinholeCamera,
        relative_sharpness: float,
        wanted: bool = False,
    ) -> KeyframeDecision:
        """Return the decision; a frame that becomes a keyframe becomes the reference.

        Args:
            stamp_ns: image time.
            T_map_camera: (4, 4) pose of the frame.
            camera: its intrinsics.
            relative_sharpness: sharpness over that of recent frames, 1 = as sharp.
            wanted: another part of the system needs this keyframe.
        """
        decision = self._judge(stamp_ns, T_map_camera, camera, relative_sharpness)
        if wanted and not decision.is_keyframe:
            decision = replace(decision, is_keyframe=True, reason="wanted by tracking")
        if decision.is_keyframe:
            self._chosen.append(Reference(stamp_ns, T_map_camera.copy(), self.scene_depth_m))
        return decision

    def _judge(
        self,
        stamp_ns: int,
        T_map_camera: npt.NDArray[np.float64],
        camera: PinholeCamera,
        relative_sharpness: float,
    ) -> KeyframeDecision:
        config, last = self.config, self.reference
        if last is None:
            return KeyframeDecision(True, "first")
        # Relative pose: the distance between the two camera centres, which a turn leaves at 0.
        T_last_camera = np.linalg.inv(last.T_map_camera) @ T_map_camera
        parallax = float(np.linalg.norm(T_last_camera[:3, 3])) / last.median_depth
        rotation = rotation_angle_deg(T_last_camera[:3, :3])
        overlap = overlap_share(last.points, T_last_camera, camera)
        elapsed_s = (stamp_ns - last.stamp_ns) * 1e-9
        measured = KeyframeDecision(
            False, "", parallax, rotation, has_parallax=parallax >= config.min_parallax
        )
        overdue = elapsed_s > config.max_interval_s or overlap < 0.5 * config.min_overlap
        if relative_sharpness < config.min_sharpness and not overdue:
            return replace(measured, reason="blurred")
        if parallax >= config.parallax:
            return replace(measured, is_keyframe=True, reason="parallax")
        turned = rotation >= config.rotation_deg
        if turned or overlap < config.min_overlap:
            if measured.has_parallax:
                reason = "rotation" if turned else "overlap"
                return replace(measured, is_keyframe=True, reason=reason)
            return replace(measured, is_keyframe=self.maps_pure_rotation, reason="pure rotation")
        if elapsed_s > config.max_interval_s and measured.has_parallax:
            return replace(measured, is_keyframe=True, reason="time")
        return replace(measured, reason="too near")

    def mapped(
        self,
        stamp_ns: int,
        median_depth: float | None = None,
        points: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Record that a keyframe is in the map, and its depth.

        Args:
            stamp_ns: its image time.
            median_depth: metres; None: it got no depth.
            points: (P, 3) float64, a thin grid of its surface in its camera frame.
        """
        for place, reference in enumerate(self._chosen):
            if reference.stamp_ns == stamp_ns:
                if median_depth is not None:
                    self._chosen[place] = replace(
                        reference, median_depth=median_depth, points=points
                    )
                # Nothing before a mapped keyframe is ever the reference again.
                del self._chosen[:place]
                return

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a keyframe that could not be mapped, so that the next frame may replace it."""
        self._chosen = [item for item in self._chosen if item.stamp_ns != stamp_ns]

    def move(self, T_new_old: Mapping[int, torch.Tensor]) -> None:
        """Correct the poses that frames are compared with, after keyframes moved in the map.

        A scale goes to the depth of the keyframe: its camera stays rigid.

        Args:
            T_new_old: stamp in nanoseconds -> (4, 4) similarity from the map before to the map
                after. Stamps of no keyframe are ignored.
        """
        self._chosen = [
            _moved(item, T_new_old[item.stamp_ns]) if item.stamp_ns in T_new_old else item
            for item in self._chosen
        ]

    def reset(self) -> None:
        """Forget everything."""
        self._chosen.clear()


def _moved(reference: Reference, T_new_old: torch.Tensor) -> Reference:
    scale = similarity_scale(T_new_old)
    pose = T_new_old.double().cpu().numpy() @ reference.T_map_camera
    pose[:3, :3] /= scale
    points = None if reference.points is None else scale * reference.points
    return Reference(reference.stamp_ns, pose, scale * reference.median_depth, points)


def rotation_angle_deg(rotation: npt.NDArray[np.float64]) -> float:
    """Return the angle of a (3, 3) rotation matrix, degrees."""
    # atan2 of the skew part and the trace is exact near 0, where acos of the trace is not.
    skew = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine, cosine = 0.5 * float(np.linalg.norm(skew)), 0.5 * float(np.trace(rotation) - 1.0)
    return float(np.degrees(np.arctan2(sine, cosine)))


def overlap_share(
    points: npt.NDArray[np.float64] | None,
    T_last_camera: npt.NDArray[np.float64],
    camera: PinholeCamera,
) -> float:
    """Return the share of the last keyframe's points inside the new image; 1 without points."""
    if points is None or len(points) == 0:
        return 1.0
    local = (points - T_last_camera[:3, 3]) @ T_last_camera[:3, :3]
    z = local[:, 2]
    safe = np.where(z > 0, z, np.inf)
    u = local[:, 0] / safe * camera.fx + camera.cx
    v = local[:, 1] / safe * camera.fy + camera.cy
    inside = (z > 0) & (u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)
    return float(inside.mean())
