"""The choice of keyframes at camera rate."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import KeyframeConfig
from e2e_slam_ros.config.errors import E2ESlamError, PoseError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.source import DepthTraits
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.geometry.se3 import check_rigid
from e2e_slam_ros.slam.keyframe_rule import KeyframeRule
from e2e_slam_ros.slam.lens_check import LensCheck, StillPicture
from e2e_slam_ros.slam.refusals import FrozenPictureError
from e2e_slam_ros.slam.sharpness import RelativeSharpness

# Pixels between the points with which overlap is measured, at the working size.
_OVERLAP_STRIDE = 16


class KeyframeSelector:
    """The keyframe rule and the sharpness of recent frames, behind a lock.

    `choose_keyframe` runs at camera rate on the receiving thread, `mapped` and `withdraw` on the
    mapping thread.

    A picture that shows nothing (`LensCheck`) is no keyframe, whoever wants it, and leaves no
    trace. Where depth is measured it is one: a depth camera measures in the dark, and under its
    own cover measures nothing. The problem is told in either case.

    Args:
        config: of the rule.
        traits: of the depth source; a sensor sees depth without any motion.

    Example:
        >>> from e2e_slam_ros.depth.source import DepthUnit
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> sensor = DepthTraits("sensor", DepthUnit.METRES, needs_sensor=True)
        >>> selector = KeyframeSelector(KeyframeConfig(), sensor)
        >>> selector.choose_keyframe(Frame(0, 0, image, camera, T_map_camera=np.eye(4))).reason
        'first'
        >>> selector.choose_keyframe(Frame(1, 10**8, image, camera, T_map_camera=np.eye(4))).reason
        'too near'
    """

    def __init__(self, config: KeyframeConfig, traits: DepthTraits) -> None:
        by_sensor = config.pure_rotation == "sensor_only" and traits.needs_sensor
        self._rule = KeyframeRule(config, config.pure_rotation == "always" or by_sensor)
        self._sharpness = RelativeSharpness()
        self._lens = LensCheck() if config.check_lens else None
        self._measured = traits.needs_sensor
        self._still = StillPicture()
        self._lock = threading.Lock()

    def choose_keyframe(self, frame: Frame, wanted: bool = False) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe, and why; its depth may still be missing.

        Args:
            frame: with its pose.
            wanted: it becomes a keyframe whatever the rule says, if its picture shows anything.

        Raises:
            PoseError: there is no pose, or it is not finite or not rigid.
        """
        pose = frame.T_map_camera
        if pose is None:
            raise PoseError.from_parts(
                "pose", "none", "the camera's pose at the image stamp", "check pose.source"
            )
        check_rigid(torch.from_numpy(np.asarray(pose, dtype=np.float64)))
        with self._lock:
            problem = None if self._lens is None else self._problem(frame.image, pose)
            if problem is not None and not self._measured:
                frozen = isinstance(problem, FrozenPictureError)
                reason = "frozen picture" if frozen else "covered lens"
                return KeyframeDecision(False, reason, problem=problem)
            relative = self._sharpness.update(frame.stamp_ns, frame.image)
            decision = self._rule.decide(frame.stamp_ns, pose, frame.camera, relative, wanted)
            return decision if problem is None else replace(decision, problem=problem)

    def _problem(
        self, image: npt.NDArray[np.uint8], pose: npt.NDArray[np.float64]
    ) -> E2ESlamError | None:
        """Return why a picture shows nothing new; None: it is good. The lock is held."""
        assert self._lens is not None
        view = self._lens.look(image)
        if view.problem is not None or self._measured:
            return view.problem
        return self._still.problem(view.copy, pose, self._rule.scene_depth_m)

    @torch.inference_mode()
    def mapped(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Record that a keyframe is in the map, and its depth.

        Args:
            keyframe: at the working size.
            depth: (1, 1, H, W) metres, 0 = unknown.
        """
        stride = _OVERLAP_STRIDE
        points = backproject(depth, keyframe.camera.matrix(depth.device, depth.dtype))
        grid = points[0, :, stride // 2 :: stride, stride // 2 :: stride].reshape(3, -1).T
        host = grid.double().cpu().numpy()
        host = host[np.isfinite(host).all(axis=1) & (host[:, 2] > 0)]
        with self._lock:
            if len(host) == 0:
                self._rule.mapped(keyframe.stamp_ns)
            else:
                self._rule.mapped(keyframe.stamp_ns, float(np.median(host[:, 2])), host)

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a frame that was dropped or refused; the next one takes its place."""
        with self._lock:
            self._rule.withdraw(stamp_ns)
            self._sharpness.forget(stamp_ns)

    def move(self, T_new_old: Mapping[int, torch.Tensor]) -> None:
        """Correct the poses that frames are compared with; see `KeyframeRule.move`."""
        with self._lock:
            self._rule.move(T_new_old)

    @contextmanager
    def withdrawn_on_error(self, stamp_ns: int) -> Iterator[None]:
        """Withdraw a keyframe when the block raises."""
        try:
            yield
        except BaseException:
            self.withdraw(stamp_ns)
            raise

    def restart(self) -> None:
        """Forget the last keyframe and the recent frames: time jumped."""
        with self._lock:
            self._rule.reset()
            self._sharpness.reset()
            self._still.reset()
            if self._lens is not None:
                self._lens.reset()
