"""Where other views show the pixels of a view as their depth changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.multiview.sweep_view import SweepView

# Added to a view's image before it is sampled: one number then holds the grey value, and says that
# the pixel lies in the image. Outside, samples are 0.
SHOWN = 1024.0
# Largest size of a grey value: normalised in windows of 49 pixels, none exceeds sqrt(48).
_MOST = 7.0


@dataclass(frozen=True, eq=False)
class ViewCourse:
    """Where a source shows the target's N = h w pixels at any inverse depth.

    Attributes:
        layer: (1, 1, h, w), the source's image plus ``SHOWN``.
        far: (2 N,) the pairs x, y of each pixel's homogeneous position at infinity, see
            `grid_sample`.
        far_z: (2 N,) the third number, twice for each pixel.
        near: (2 N,) change of ``far`` with inverse depth, the same for all pixels.
        near_z: change of ``far_z``.

    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> camera = PinholeCamera(4, 2, fx=4.0, fy=4.0, cx=1.5, cy=0.5)
    >>> pose = torch.eye(4).double()
    >>> moved = pose.clone()
    >>> moved[0, 3] = 1.0  # at a depth of 4 m one pixel
    >>> image = torch.arange(8.0).view(1, 1, 2, 4)
    >>> views = SweepView(image, camera, pose), SweepView(image, camera, moved)
    >>> course = view_courses(views[0], views[1:])[0]
    >>> course.sampled(torch.tensor([[0.25]]), top=1, rows=1) - SHOWN
    tensor([[[-1024.,     4.,     5.,     6.]]])
    """

    layer: torch.Tensor
    far: torch.Tensor
    far_z: torch.Tensor
    near: torch.Tensor
    near_z: float

    def sampled(self, rho: torch.Tensor, top: int, rows: int) -> torch.Tensor:
        """Return the source's image at the pixels of some rows of the target, (D, rows, w).

        Each value is the image's plus ``SHOWN``, or 0 where the pixel lies outside the image.

        Args:
            rho: inverse depths, (D, 1) 1/m, or (D, 2 N), twice for each pixel.
            top: the first of the rows.
            rows: number of rows.
        """
        width, planes = self.layer.shape[-1], rho.shape[0]
        at = self._at(rho, top * width, rows * width).view(planes, rows, width, 2)
        # A batch of planes: `grid_sample` uses one thread for each of a batch, and not more.
        layers = self.layer.expand(planes, -1, -1, -1)
        seen = functional.grid_sample(layers, at, align_corners=False)[:, 0]
        return functional.threshold(seen, SHOWN - _MOST, 0.0, inplace=True)

    def _at(self, rho: torch.Tensor, first: int, count: int) -> torch.Tensor:
        """Return the positions of ``count`` pixels at inverse depths, (D, 2 count).

        All numbers lie in pairs, as `grid_sample` wants them. To put x and y together at the end
        would take 1.7 times as long.
        """
        part = slice(2 * first, 2 * (first + count))
        if rho.shape[1] > 1:
            rho = rho[:, part]
        # Clamping z moves a point behind the source camera far out of the image.
        z = torch.add(self.far_z[part], rho, alpha=self.near_z).clamp_min_(1e-4)
        return torch.addcmul(self.far[part], rho, self.near[part]).div_(z)


def view_courses(target: SweepView, sources: Sequence[SweepView]) -> list[ViewCourse]:
    """Return the course of each source; all views have the same size.

    The position K_s (R K_t^-1 p + t / d) is linear in inverse depth 1 / d. Two vectors for each
    pixel therefore serve all planes.
    """
    like = target.image
    height, width = like.shape[-2:]
    poses = torch.stack([source.T_map_camera for source in sources])
    T_source_target = torch.linalg.inv(poses) @ target.T_map_camera
    # From pixels to the positions of grid_sample: -1 and 1 are the image's outer edges.
    to_grid = [[2.0 / width, 0, 1.0 / width - 1], [0, 2.0 / height, 1.0 / height - 1], [0, 0, 1]]
    intrinsics = torch.stack([source.camera.matrix(dtype=torch.float64) for source in sources])
    project = torch.tensor(to_grid, dtype=torch.float64) @ intrinsics
    unproject = torch.linalg.inv(target.camera.matrix(dtype=torch.float64))
    turn = (project @ T_source_target[:, :3, :3] @ unproject).to(like)
    u, v = pixel_grid(height, width, like.device, like.dtype)
    far = turn @ torch.stack([u, v, torch.ones_like(u)]).view(3, -1)
    near = (project @ T_source_target[:, :3, 3:])[..., 0]
    parts = zip(
        [source.image + SHOWN for source in sources],
        far[:, :2].transpose(1, 2).flatten(1),
        far[:, 2].repeat_interleave(2, dim=1),
        near[:, :2].to(like).repeat(1, height * width),
        near[:, 2].tolist(),
        strict=True,
    )
    return [ViewCourse(*each) for each in parts]
