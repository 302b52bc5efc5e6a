"""The one z-buffer: points and depth maps drawn into an image, where the nearest surface wins."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.masks import indices, known
from e2e_slam_ros.geometry.projection import pixel_grid

# Of points that fall on one pixel only those this near to the nearest count, relative.
_SAME_SURFACE = 0.07
_NEAREST_M = 0.05
_INDEX_BITS = 0xFFFFFFFF
_NOTHING = torch.iinfo(torch.int64).max


def nearest_depth(pixel: torch.Tensor, depth: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return (pixels,) the smallest depth of the points on each pixel, infinity where none is.

    >>> nearest_depth(torch.tensor([0, 2, 2]), torch.tensor([1.0, 5.0, 3.0]), 3)
    tensor([1., inf, 3.])

    Args:
        pixel: (N,) int64, the pixel of each point in row order.
        depth: (N,) floating point.
        pixels: number of pixels.
    """
    return depth.new_full((pixels,), torch.inf).scatter_reduce_(0, pixel, depth, "amin")


def winners(pixel: torch.Tensor, key: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return (pixels,) int64: the index in the smallest key on each pixel, -1 where none is.

    Distinct keys are in a total order, so the result does not depend on the order of the points
    or of execution.

    >>> winners(torch.tensor([0, 0]), torch.tensor([(7 << 32) | 0, (3 << 32) | 1]), 2)
    tensor([ 1, -1])

    Args:
        pixel: (N,) int64, the pixel of each point in row order.
        key: (N,) int64, the rank in the upper half and the point's index in the lower 32 bits.
        pixels: number of pixels.
    """
    return _index_in(_smallest(pixel, key, pixels))


def splat_points(
    points_camera: torch.Tensor, camera: PinholeCamera
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the depth image that points give, and which point each pixel shows.

    A point covers the one pixel it falls on. Points nearer than 5 cm are left out.

    >>> camera = PinholeCamera(width=3, height=1, fx=1.0, fy=1.0, cx=1.0, cy=0.0)
    >>> points = torch.tensor([[0.0, 0.0, 4.0], [0.0, 0.0, 2.0], [2.0, 0.0, 2.0]])
    >>> splat_points(points, camera)
    (tensor([[0., 2., 2.]]), tensor([[-1,  1,  2]]))

    Args:
        points_camera: (N, 3) metres, camera frame; points that are not finite are left out.
        camera: intrinsics without distortion, and the size of the result.

    Returns:
        depth (H, W), z in metres of the nearest point, 0 where none is; and index (H, W) int64
        of that point, -1 where none is. Of points equally near (as float32) the first one shows.
    """
    x, y, z = points_camera.unbind(1)
    u = (x / z * camera.fx + camera.cx).round()
    v = (y / z * camera.fy + camera.cy).round()
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    inside &= (z > _NEAREST_M) & torch.isfinite(z)
    seen = torch.nonzero(inside).squeeze(1)
    pixel = v[seen].long() * camera.width + u[seen].long()
    index = winners(pixel, _ranked(z[seen], seen), camera.width * camera.height)
    filled = torch.nonzero(index >= 0).squeeze(1)
    depth = z.new_zeros(index.shape).index_copy_(0, filled, z[index[filled]])
    return depth.view(camera.height, camera.width), index.view(camera.height, camera.width)


def splat_squares(
    column: torch.Tensor,
    row: torch.Tensor,
    depth: torch.Tensor,
    width: int,
    height: int,
    side: int,
) -> torch.Tensor:
    """Return which square each pixel shows where N squares of ``side`` pixels overlap.

    Of squares equally near (as float32) the first one shows.

    >>> corner = torch.tensor([0, 1])
    >>> splat_squares(corner, corner * 0, torch.tensor([2.0, 1.0]), 4, 1, 2)
    tensor([[ 0,  1,  1, -1]])

    Args:
        column, row: (N,) int64, the upper left pixel of each square; it may be outside.
        depth: (N,) finite, may be negative (heights, parallel rays).
        width, height: of the image, pixels.
        side: of the squares, pixels.

    Returns:
        (height, width) int64, -1 where no square is.
    """
    # The image with a border on the left and at the top, for squares that begin outside.
    border = side - 1
    tall, wide = height + border, width + border
    u, v = column + border, row + border
    seen = torch.nonzero((u >= 0) & (u < wide) & (v >= 0) & (v < tall)).squeeze(1)
    keys = _smallest(v[seen] * wide + u[seen], _ranked(depth[seen], seen), tall * wide)
    keys = keys.view(tall, wide)
    # What a pixel shows begins at most `border` pixels to its left and above it.
    across = keys[:, border:].clone()
    for step in range(1, side):
        torch.minimum(across, keys[:, border - step : wide - step], out=across)
    shown = across[border:].clone()
    for step in range(1, side):
        torch.minimum(shown, across[border - step : tall - step], out=shown)
    return _index_in(shown)


def splat_depth(
    depth: torch.Tensor,
    weight: torch.Tensor,
    camera: PinholeCamera,
    T_target_source: torch.Tensor,
    target: PinholeCamera,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move each pixel of a depth map to the four pixels around where another camera sees it.

    The nearest surface wins. Its pixels are averaged in log depth, by their bilinear shares.

    >>> camera = PinholeCamera(width=4, height=2, fx=4.0, fy=4.0, cx=1.5, cy=0.5)
    >>> wall = torch.full((1, 1, 2, 4), 2.0)
    >>> there, weight = splat_depth(wall, torch.ones_like(wall), camera, torch.eye(4), camera)
    >>> bool(torch.allclose(there, wall)), float(weight.min())
    (True, 1.0)

    Args:
        depth: (1, 1, h, w) metres, 0 = unknown.
        weight: (1, 1, h, w) in [0, 1].
        camera: of ``depth``.
        T_target_source: (4, 4).
        target: of the result, its size.

    Returns:
        Depth, 0 = unknown, and weight, (1, 1, target.height, target.width) each.
    """
    x, y, z = _projected(depth, camera, T_target_source, target)
    weight = weight.reshape(-1)
    used = known(depth).reshape(-1) & (weight > 0) & (z > _NEAREST_M)
    # Of the four pixels around, those to the left and right, and those above and below.
    left, top = x.floor(), y.floor()
    column, row = torch.stack([left, left + 1.0]), torch.stack([top, top + 1.0])
    inside = ((column >= 0) & (column < target.width))[:, None]
    inside = inside & ((row >= 0) & (row < target.height) & used)
    share = (weight * (1.0 - (x - column).abs_()))[:, None] * (1.0 - (y - row).abs_())
    # Found once: a mask is turned into indices at each use.
    kept = indices((inside & (share > 0)).flatten())
    place = (row * target.width + column[:, None]).flatten().index_select(0, kept).long()
    logarithms, distance = (x.repeat(4).index_select(0, kept) for x in (z.log(), z))
    share = share.flatten().index_select(0, kept)
    nearest = nearest_depth(place, distance, target.height * target.width)
    share *= distance <= nearest.index_select(0, place) * (1.0 + _SAME_SURFACE)
    total = torch.zeros_like(nearest).scatter_add_(0, place, share)
    logarithm = torch.zeros_like(nearest).scatter_add_(0, place, share * logarithms)
    some = total > 1e-4
    result = torch.where(some, (logarithm / torch.where(some, total, 1.0)).exp(), 0.0)
    shape = (1, 1, target.height, target.width)
    return result.view(shape), torch.where(some, total.clamp_max(1.0), 0.0).view(shape)


def _projected(
    depth: torch.Tensor,
    camera: PinholeCamera,
    T_target_source: torch.Tensor,
    target: PinholeCamera,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return column, row and depth (h * w,) in the target of every pixel of a depth map."""
    height, width = depth.shape[-2:]
    u, v = pixel_grid(height, width, depth.device)
    T = T_target_source.double()
    project = target.matrix(dtype=torch.float64).to(T.device)
    unproject = torch.linalg.inv(camera.matrix(dtype=torch.float64)).to(T.device)
    turn = (project @ T[:3, :3] @ unproject).to(depth)
    move = (project @ T[:3, 3]).to(depth)
    points = turn @ torch.stack([u, v, torch.ones_like(u)]).view(3, -1)
    points = points * depth.reshape(1, -1) + move[:, None]
    return points[0] / points[2], points[1] / points[2], points[2]


def _ranked(depth: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return (N,) int64 keys in the order of depth (as float32), then of index."""
    # The bits of floats sort like signed integers once those of negative ones are turned over;
    # adding 0 makes -0 equal to 0.
    bits = (depth.float() + 0.0).view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (bits.long() << 32) | index


def _smallest(pixel: torch.Tensor, key: torch.Tensor, pixels: int) -> torch.Tensor:
    cells = torch.full((pixels,), _NOTHING, dtype=torch.int64, device=key.device)
    return cells.scatter_reduce_(0, pixel, key, reduce="amin")


def _index_in(keys: torch.Tensor) -> torch.Tensor:
    return torch.where(keys == _NOTHING, -1, keys & _INDEX_BITS)
