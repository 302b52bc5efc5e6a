"""From a frame as recorded to tensors at the working size, without distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import DepthError, PoseError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.resize import resize_depth, working_size
from e2e_slam_ros.geometry.undistort import Undistorter


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """One frame at the working size.

    Attributes:
        image: (1, 3, H, W) float32 in [0, 1].
        depth: (1, 1, H, W) float32 metres, 0 = invalid; or None.
        camera: intrinsics of both, without distortion.

    Example:
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> WorkingImage(torch.zeros(1, 3, 48, 64), None, camera).camera.width
        64
    """

    image: torch.Tensor
    depth: torch.Tensor | None
    camera: PinholeCamera


class Preprocessor:
    """Undistorts and resizes; keeps the sampling grid of the last camera seen.

    Example:
        >>> camera = PinholeCamera(width=640, height=480, fx=600.0, fy=600.0, cx=319.5, cy=239.5)
        >>> frame = Frame(0, 0, np.zeros((480, 640, 3), np.uint8), camera)
        >>> working = Preprocessor(CameraConfig(working_width=320), torch.device("cpu"))(frame)
        >>> working.image.shape, working.camera.fx
        (torch.Size([1, 3, 240, 320]), 300.0)
    """

    def __init__(self, config: CameraConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._undistorter: Undistorter | None = None
        self._camera: PinholeCamera | None = None

    @torch.inference_mode()
    def __call__(self, frame: Frame) -> WorkingImage:
        """Return the frame's image and depth at the working size.

        Raises:
            DepthError: the depth image is not of the colour image's size.
        """
        image = to_tensor(frame.image, self._device)
        depth = None
        if frame.depth is not None:
            if frame.depth.shape != frame.image.shape[:2]:
                raise DepthError.from_parts(
                    "depth image",
                    f"{frame.depth.shape[1]}x{frame.depth.shape[0]}",
                    f"{frame.image.shape[1]}x{frame.image.shape[0]}, the colour image's size",
                    "register the depth to the colour camera",
                )
            depth = clean_depth(torch.from_numpy(frame.depth).to(self._device)[None, None])
        camera = frame.camera
        if self._config.undistort and camera.is_distorted:
            undistort = self._undistorter_of(camera)
            image = undistort(image)
            depth = None if depth is None else undistort(depth, mode="nearest")
        camera = camera.undistorted()
        width, height = working_size(camera, self._config.working_width)
        if (width, height) != (camera.width, camera.height):
            image = functional.interpolate(
                image, (height, width), mode="bilinear", align_corners=False, antialias=True
            )
            depth = None if depth is None else resize_depth(depth, width, height)
            camera = camera.resized(width, height)
        return WorkingImage(image=image.clamp(0.0, 1.0), depth=depth, camera=camera)

    def keyframe(self, frame: Frame, decision: KeyframeDecision, index: int) -> Keyframe:
        """Return a frame as keyframe number ``index``.

        Raises:
            PoseError: the frame has no pose.
            DepthError: the depth image is not of the colour image's size.
        """
        if frame.T_map_camera is None:
            raise PoseError.from_parts(
                "pose", "none", "a pose for a keyframe", "check pose.source"
            )
        working = self(frame)
        return Keyframe(
            index=index,
            frame_index=frame.index,
            stamp_ns=frame.stamp_ns,
            image=working.image,
            camera=working.camera,
            T_map_camera=torch.tensor(frame.T_map_camera, dtype=torch.float64),
            sensor_depth=working.depth,
            decision=decision,
            tracked_sigma_rad=frame.tracked_sigma_rad,
        )

    def _undistorter_of(self, camera: PinholeCamera) -> Undistorter:
        if self._undistorter is None or self._camera != camera:
            self._undistorter, self._camera = Undistorter(camera, self._device), camera
        return self._undistorter


def to_tensor(image: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Return an (H, W, 3) uint8 image as (1, 3, H, W) float32 in [0, 1]."""
    # A copy: message buffers may be read-only, which torch refuses to share.
    tensor = torch.tensor(image, device=device)
    return tensor.permute(2, 0, 1)[None].float() / 255.0


def clean_depth(depth: torch.Tensor) -> torch.Tensor:
    """Return depth as float32 with everything that is not a positive finite number set to 0."""
    depth = depth.float()
    return torch.where(torch.isfinite(depth) & (depth > 0), depth, 0.0)
