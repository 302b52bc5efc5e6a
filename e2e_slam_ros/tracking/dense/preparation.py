"""From a camera frame to the view that dense alignment works on."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.geometry.projection import pixel_rays, project
from e2e_slam_ros.geometry.sampling import inside, sample_nearest
from e2e_slam_ros.geometry.undistort import Undistorter
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.depth_prior import DepthImage

# Relative spread of inverse depth above which pixels belong to two surfaces.
_ONE_SURFACE = 0.12


class DensePreparation:
    """Makes views of frames of one camera: halved to the working width, without distortion.

    Args:
        camera: of the frames.
        width: images are halved until they are at most this wide.
        device: where the views live.

    Attributes:
        camera: of the views.

    Example:
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> wall = np.full((48, 64), 2.0, np.float32)
        >>> prepare = DensePreparation(camera, 40, torch.device("cpu"))
        >>> view = prepare(Frame(0, 0, np.zeros((48, 64, 3), np.uint8), camera, wall))
        >>> view.grey.shape, prepare.camera.fx
        (torch.Size([1, 1, 24, 32]), 25.0)
    """

    def __init__(self, camera: PinholeCamera, width: int, device: torch.device) -> None:
        self._device = device
        self._halvings = 0
        while camera.width > width and min(camera.width, camera.height) >= 16:
            # An odd last row or column is left out, which moves no pixel.
            even = camera.width // 2 * 2, camera.height // 2 * 2
            camera = PinholeCamera(
                *even, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion
            ).resized(even[0] // 2, even[1] // 2)
            self._halvings += 1
        self._undistort = self._straighten = Undistorter(camera, device)
        self.camera = camera.undistorted()
        self.intrinsics = self.camera.matrix(device)

    def __call__(self, frame: Frame) -> DenseView:
        """Return the frame's view; its depth is 0 where the frame has none.

        Raises:
            DepthError: the depth image is not of the image's size.
        """
        image = self._grey(np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)))
        depth = torch.zeros_like(image)
        if frame.depth is not None:
            if frame.depth.shape != frame.image.shape[:2]:
                raise DepthError.from_parts(
                    "depth image",
                    f"{frame.depth.shape[1]}x{frame.depth.shape[0]}",
                    f"{frame.image.shape[1]}x{frame.image.shape[0]}, the image's size",
                    "register the depth to the colour camera",
                )
            depth = self._reduced(torch.from_numpy(frame.depth))
        return DenseView.from_images(image, depth, self.intrinsics)

    def grey_view(self, grey: npt.NDArray[np.uint8], depth: DepthImage | None) -> DenseView:
        """Return the view of a grey image (H, W), with depth of the same moment or none."""
        image = self._grey(grey)
        view = DenseView.from_images(image, torch.zeros_like(image), self.intrinsics)
        return view if depth is None else self.with_depth(view, depth)

    def with_depth(self, view: DenseView, depth: DepthImage) -> DenseView:
        """Return a view with the depth of another image of the same moment and centre."""
        values = torch.tensor(depth.values, device=self._device)[None, None].float()
        if self._straighten.camera != depth.camera:
            self._straighten = Undistorter(depth.camera, self._device)
        values = self._straighten(values, mode="nearest")
        rays = pixel_rays(self.camera.height, self.camera.width, self.intrinsics)
        uv, _ = project(rays, depth.camera.undistorted().matrix(self._device))
        within = inside(uv, *values.shape[-2:])
        sampled = torch.where(within, sample_nearest(values, uv), 0.0)
        return DenseView.from_images(view.grey, sampled, self.intrinsics)

    def _grey(self, grey: npt.NDArray[np.uint8]) -> torch.Tensor:
        for _ in range(self._halvings):
            height, width = (side // 2 for side in grey.shape)
            even = grey[: 2 * height, : 2 * width]
            grey = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
        image = torch.from_numpy(grey).to(self._device)[None, None].float() / 255.0
        return self._undistort(image)

    def _reduced(self, depth: torch.Tensor) -> torch.Tensor:
        depth = depth.to(self._device)[None, None].float()
        valid = known(depth)
        inverse = torch.where(valid, 1.0 / or_one(depth, valid), 0.0)
        for _ in range(self._halvings):
            height, width = (side // 2 * 2 for side in inverse.shape[-2:])
            inverse = _halved(inverse[..., :height, :width])
        inverse = self._undistort(inverse, mode="nearest")
        return torch.where(inverse > 0, 1.0 / or_one(inverse, inverse > 0), 0.0)


def _halved(inverse: torch.Tensor) -> torch.Tensor:
    """Return the mean of each 2x2 block of (1, 1, 2h, 2w), 0 unless three are of one surface."""
    some = inverse > 0
    largest = functional.max_pool2d(inverse, 2)
    smallest = -functional.max_pool2d(-torch.where(some, inverse, torch.inf), 2)
    share = functional.avg_pool2d(some.float(), 2)
    one = (share > 0.7) & (largest - smallest < _ONE_SURFACE * largest)
    mean = functional.avg_pool2d(inverse, 2) / share.clamp_min(0.25)
    return torch.where(one, mean, 0.0)
