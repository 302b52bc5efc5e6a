"""DRO's pose of an image relative to a keyframe whose depth is known."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.source import SHIPPED_POSES
from e2e_slam_ros.multiview.dro.views import FARTHEST_M, NEAREST_M, SIZE_STEP, DepthGuide, DroViews
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.multiview.shipped_weights import chosen_weights
from e2e_slam_ros.tracking.dense.view import DenseView

# As many as it learnt with: errors of poses fall until there.
_UPDATES = 8


class DroMotion:
    """Finds poses with DRO from a keyframe's depth; it begins with its own search of rotations.

    Args:
        config: ``depth.dro``: weights and input width.
        device: where the network runs.

    Raises:
        DepthError: no weights, or weights that cannot be used.

    >>> K = torch.tensor([[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]])
    >>> wall = torch.full((1, 1, 48, 64), 2.0)
    >>> view = DenseView.from_images(torch.rand_like(wall), wall, K)
    >>> DroMotion(DepthConfig(), torch.device("cpu"))(view, view, torch.eye(4)[None]).shape
    torch.Size([1, 4, 4])
    """

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        self._width = config.dro.width
        path = chosen_weights("dro", config.dro.checkpoint, SHIPPED_POSES)
        self._network = load_dro(path, device)

    @torch.inference_mode()
    def __call__(
        self, view: DenseView, reference: DenseView, T_start: torch.Tensor
    ) -> torch.Tensor:
        """Return T_reference_camera (1, 4, 4).

        Args:
            view: of the camera.
            reference: of the keyframe, with depth.
            T_start: (1, 4, 4), not used: the network finds its own start.
        """
        height, width = reference.grey.shape[-2:]
        steps = max(2, round(self._width * height / width / SIZE_STEP))
        size = (steps * SIZE_STEP, self._width)
        images = torch.cat([reference.grey, view.grey]).expand(-1, 3, -1, -1)
        images = functional.interpolate(
            images, size, mode="bilinear", align_corners=False, antialias=True
        )
        scale = reference.intrinsics.new_tensor([size[1] / width, size[0] / height])
        k = reference.intrinsics.clone()
        k[:, :2] *= scale[:, None]
        k[:, :2, 2] += 0.5 * scale - 0.5
        depth = _filled(
            functional.interpolate(reference.points[:, 2:], size, mode="nearest-exact")
        )
        guide = DepthGuide(depth, depth, depth, torch.ones_like(depth))
        views = DroViews(images.clamp(0.0, 1.0)[None], k[:, None].expand(1, 2, 3, 3))
        stages = self._network(
            views, _UPDATES, None, guide if self._network.shape.guided else None
        )
        return se3.inverse(stages[-1].T_i_0[:, 0]).to(T_start).clone()


def _filled(depth: torch.Tensor) -> torch.Tensor:
    """Return depth with unknown pixels at the median of the others."""
    known = depth > 0
    middle = depth[known].median() if bool(known.any()) else depth.new_tensor(1.0)
    return torch.where(known, depth, middle).clamp(NEAREST_M, FARTHEST_M)
