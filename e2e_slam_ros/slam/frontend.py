"""From camera frames to keyframes: the rule at camera rate, the tensors for keyframes only."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.geometry.se3 import check_rigid
from e2e_slam_ros.slam.between_frames import BetweenFrames, as_views
from e2e_slam_ros.slam.keyframe_rule import KeyframeRule
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.slam.sharpness import RelativeSharpness

# Pixels between the points with which overlap is measured, at the working size.
_OVERLAP_STRIDE = 16


class Frontend:
    """Chooses keyframes and prepares them.

    `decide` runs at camera rate on the receiving thread, `prepare`, `between` and `note_depth` on
    the mapping thread; the rule and the frames in between are guarded by a lock.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        sensor = config.depth.source == "sensor"
        pure_rotation = config.keyframe.pure_rotation
        self._rule = KeyframeRule(
            config.keyframe,
            pure_rotation == "always" or (pure_rotation == "sensor_only" and sensor),
        )
        self._sharpness = RelativeSharpness()
        self._preprocess = Preprocessor(config.camera, device)
        # Sensors and motion stereo ask for none.
        self._keeps_views = config.depth.source == "network"
        self._between = BetweenFrames(config.refine.motion.min_baseline_m)
        self._lock = threading.Lock()
        self._device = device
        self._keyframes = 0

    def decide(
        self,
        stamp_ns: int,
        image: npt.NDArray[np.uint8],
        camera: PinholeCamera,
        T_map_camera: npt.NDArray[np.float64] | None,
    ) -> KeyframeDecision:
        """Return whether the frame becomes a keyframe, and why.

        Args:
            stamp_ns: image time.
            image: (H, W, 3) uint8 RGB.
            camera: its intrinsics.
            T_map_camera: (4, 4) pose.

        Raises:
            PoseError: there is no pose, or it is not finite or not rigid.
        """
        if T_map_camera is None:
            raise PoseError.from_parts(
                "pose", "none", "the camera's pose at the image stamp", "check pose.source"
            )
        check_rigid(torch.from_numpy(np.asarray(T_map_camera, dtype=np.float64)))
        with self._lock:
            relative_sharpness = self._sharpness.update(image)
            decision = self._rule.decide(stamp_ns, T_map_camera, camera, relative_sharpness)
            if self._keeps_views and not decision.is_keyframe:
                self._between.offer(Frame(-1, stamp_ns, image, camera, None, T_map_camera))
        return decision

    def prepare(self, frame: Frame, decision: KeyframeDecision) -> Keyframe:
        """Return the frame as tensors at the working size.

        Raises:
            DepthError: the depth image is not of the colour image's size.
            PoseError: the frame has no pose.
        """
        if frame.T_map_camera is None:
            raise PoseError.from_parts(
                "pose", "none", "a pose for a keyframe", "check pose.source"
            )
        working = self._preprocess(frame)
        keyframe = Keyframe(
            index=self._keyframes,
            frame_index=frame.index,
            stamp_ns=frame.stamp_ns,
            image=working.image,
            camera=working.camera,
            T_map_camera=torch.tensor(frame.T_map_camera, dtype=torch.float64),
            sensor_depth=working.depth,
            decision=decision,
        )
        self._keyframes += 1
        return keyframe

    def between(self, keyframe: Keyframe, count: int) -> tuple[Keyframe, ...]:
        """Return up to ``count`` camera frames before a keyframe as further views of the place.

        The newest first; frames that became keyframes themselves are not among them.
        """
        with self._lock:
            frames = self._between.before(keyframe.stamp_ns, count)
        return as_views(frames, self._preprocess)

    @torch.inference_mode()
    def note_depth(self, keyframe: Keyframe, depth: torch.Tensor) -> None:
        """Tell the rule what the keyframe saw: median depth and a thin grid of points."""
        stride = _OVERLAP_STRIDE
        points = backproject(depth, keyframe.camera.matrix(self._device, depth.dtype))
        grid = points[0, :, stride // 2 :: stride, stride // 2 :: stride].reshape(3, -1).T
        host = grid.double().cpu().numpy()
        host = host[np.isfinite(host).all(axis=1) & (host[:, 2] > 0)]
        if len(host) == 0:
            return
        median = float(np.median(host[:, 2]))
        with self._lock:
            self._rule.note_depth(keyframe.stamp_ns, median, host)

    def withdraw(self, stamp_ns: int) -> None:
        """Forget a keyframe that was dropped or failed, so that a later frame replaces it."""
        with self._lock:
            self._rule.withdraw(stamp_ns)

    def restart(self) -> None:
        """Forget the last keyframe and the recent frames; the next keyframe's number stays.

        For time that jumps: the map stays, and with it the numbers of its keyframes.
        """
        with self._lock:
            self._rule.reset()
            self._sharpness.reset()
            self._between.clear()

    def reset(self) -> None:
        """Forget everything: the next frame becomes keyframe 0."""
        self.restart()
        self._keyframes = 0
