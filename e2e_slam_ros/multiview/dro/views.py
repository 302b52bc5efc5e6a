"""What DRO is given: a reference image with its neighbours, poses, and what is known of depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry.se3 import check_rigid

# Depths that the optimiser can reach, metres.
NEAREST_M, FARTHEST_M = 0.1, 50.0
# Encoders halve the image four times; two pixels are left for the last convolutions.
SIZE_STEP, SIZE_MIN = 16, 32
# Poses nearer to one another than this have no baseline.
_LEAST_BASELINE_M = 1e-4


@dataclass(frozen=True, eq=False)
class DroViews:
    """A batch of image groups of one size. View 0 is the reference.

    Attributes:
        image: (B, V, 3, H, W) float32 in [0, 1], RGB, V at least 2.
        intrinsics: (B, V, 3, 3), for images of this size.

    >>> k = torch.tensor([[64.0, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])
    >>> DroViews(torch.zeros(1, 2, 3, 48, 64), k.expand(1, 2, 3, 3)).context
    1
    """

    image: torch.Tensor
    intrinsics: torch.Tensor

    @property
    def context(self) -> int:
        """Number of neighbours of the reference."""
        return int(self.image.shape[1]) - 1

    def check(self) -> None:
        """Refuse images that the network cannot take.

        Raises:
            DepthError: one view only, a wrong size, intrinsics of another number of views or of
                another image size.
        """
        if self.image.dim() != 5 or self.image.shape[1] < 2 or self.image.shape[2] != 3:
            raise DepthError.from_parts(
                "DRO's views",
                f"images of shape {tuple(self.image.shape)}",
                "(B, V, 3, H, W) with at least two views",
                "wait until there is a second keyframe",
            )
        height, width = self.image.shape[-2:]
        if height % SIZE_STEP or width % SIZE_STEP or min(height, width) < SIZE_MIN:
            raise DepthError.from_parts(
                "size of DRO's images",
                f"{width}x{height}",
                f"multiples of {SIZE_STEP}, at least {SIZE_MIN}",
                "resize the images, e.g. to 192x144",
            )
        self._check_intrinsics(height, width)

    def _check_intrinsics(self, height: int, width: int) -> None:
        wanted = (*self.image.shape[:2], 3, 3)
        if tuple(self.intrinsics.shape) != wanted:
            raise DepthError.from_parts(
                "intrinsics of DRO's views",
                f"shape {tuple(self.intrinsics.shape)}",
                f"{wanted}, one for each view",
                "give each view its own",
            )
        size = self.intrinsics.new_tensor([width, height])
        # The principal point is inside the image; a focal length is of the order of its size.
        centre = (self.intrinsics[..., :2, 2] + 0.5) / size
        focal = self.intrinsics[..., (0, 1), (0, 1)] / size
        fits = (centre > -0.5) & (centre < 1.5) & (focal > 0.02) & (focal < 12.0)
        if not bool(fits.all()):
            raise DepthError.from_parts(
                "intrinsics of DRO's views",
                self.intrinsics[0, 0].tolist(),
                f"those of an image of {width}x{height} pixels",
                "resize them with the image (PinholeCamera.resized)",
            )


@dataclass(frozen=True, eq=False)
class DepthGuide:
    """What is known of the reference's depth before the optimiser starts; (B, 1, H, W) each.

    Attributes:
        start: metres, > 0: the depth that the optimiser starts from.
        single: metres, > 0: the depth of the image alone, in the scale of ``start``.
        stereo: metres, > 0: depth from motion; anything where ``weight`` is 0.
        weight: in [0, 1], how much motion stereo is worth.

    >>> one = torch.ones(1, 1, 4, 4)
    >>> DepthGuide(one, one, one, 0.0 * one).checked().start.shape
    torch.Size([1, 1, 4, 4])
    """

    start: torch.Tensor
    single: torch.Tensor
    stereo: torch.Tensor
    weight: torch.Tensor

    def checked(self) -> DepthGuide:
        """Return the guide within the optimiser's range of depth.

        Raises:
            DepthError: a depth that is not finite or not positive.
        """
        for name in ("start", "single", "stereo"):
            depth = getattr(self, name)
            if not bool((torch.isfinite(depth) & (depth > 0)).all()):
                raise DepthError.from_parts(
                    f"DRO's {name} depth",
                    "values that are 0, negative or not finite",
                    "metres, above 0, at every pixel",
                    "fill unknown pixels and give them weight 0",
                )
        return DepthGuide(
            self.start.clamp(NEAREST_M, FARTHEST_M),
            self.single.clamp(NEAREST_M, FARTHEST_M),
            self.stereo.clamp(NEAREST_M, FARTHEST_M),
            self.weight,
        )


def check_poses(T_i_0: torch.Tensor, views: DroViews) -> None:
    """Refuse known poses that say nothing about depth.

    Args:
        T_i_0: (B, N, 4, 4), points of the reference camera to neighbour i.

    Raises:
        DepthError: not one for each neighbour, or no neighbour of a group has a baseline.
        PoseError: no rigid motion.
    """
    wanted = (views.image.shape[0], views.context, 4, 4)
    if tuple(T_i_0.shape) != wanted:
        raise DepthError.from_parts(
            "DRO's poses",
            f"shape {tuple(T_i_0.shape)}",
            f"{wanted}, one for each neighbour",
            "give every neighbour a pose",
        )
    check_rigid(T_i_0, "DRO's pose")
    baseline = T_i_0[..., :3, 3].norm(dim=-1).amax(dim=1)
    if bool((baseline < _LEAST_BASELINE_M).any()):
        raise DepthError.from_parts(
            "DRO's poses",
            "no distance between the cameras",
            f"a neighbour at least {_LEAST_BASELINE_M * 1e3:g} mm away",
            "move the camera: turning it shows no depth",
        )
