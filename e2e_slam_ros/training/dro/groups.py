"""Groups of views cut from walks, with random changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.walk import NEIGHBOURS, Walk

# Neighbours nearer than this are left out, as motion stereo leaves them out.
_LEAST_BASELINE_M = 0.03


@dataclass(frozen=True)
class GroupConfig:
    """Random changes of a group of views.

    >>> GroupConfig(mirror=0.0).mirror
    0.0
    """

    mirror: float = leaf(0.5, "share of groups mirrored left to right", low=0.0, high=1.0)
    single_scale: float = leaf(
        0.15, "standard deviation of the factor put on single-image depth, logarithm", low=0.0
    )
    single_field: float = leaf(
        0.4, "largest deviation of a smooth field put on single-image depth, logarithm", low=0.0
    )
    no_stereo: float = leaf(
        0.25, "share of groups without the depth of motion stereo", low=0.0, high=1.0
    )
    exact_poses: float = leaf(
        0.6, "share of groups whose given poses are the exact ones", low=0.0, high=1.0
    )


def group(walk: Walk, frame: int, count: int, generator: torch.Generator | None) -> DroBatch:
    """Return one group: a frame and ``count`` of the frames before it.

    Args:
        frame: of the walk, at least 1.
        count: neighbours, at most `NEIGHBOURS`; too few with a baseline: the farthest is repeated.
        generator: chooses among the frames before; None: the newest.
    """
    chosen = _neighbours(walk, frame, count, generator)
    order = [frame, *chosen]
    pose, given = (torch.from_numpy(T[order]) for T in (walk.T_map_camera, walk.T_given))
    size = walk.depth.shape[-2:]
    k = torch.from_numpy(walk.intrinsics).float().expand(1, len(order), 3, 3)
    known = walk.weight[frame] > 0
    return DroBatch(
        image=torch.from_numpy(walk.image[order]).float().div(255.0)[None],
        intrinsics=k,
        depth=torch.from_numpy(walk.depth[frame].astype("int32"))
        .float()
        .div(1e3)
        .view(1, 1, *size),
        T_i_0=(se3.inverse(pose[1:]) @ pose[:1]).float()[None],
        T_given=(se3.inverse(given[1:]) @ given[:1]).float()[None],
        single=torch.from_numpy(walk.single[frame]).float().exp().view(1, 1, *size),
        stereo=torch.from_numpy(walk.stereo[frame]).float().exp().view(1, 1, *size),
        weight=torch.from_numpy(walk.weight[frame] * known).float().div(255.0).view(1, 1, *size),
        draw=torch.zeros(1, 2),
    )


def _neighbours(
    walk: Walk, frame: int, count: int, generator: torch.Generator | None
) -> list[int]:
    first = max(0, frame - 2 * NEIGHBOURS)
    centre = torch.from_numpy(walk.T_map_camera[first : frame + 1, :3, 3])
    far = (centre[:-1] - centre[-1]).norm(dim=1)
    # The newest of those far enough away, at most four.
    fits = [first + int(i) for i in (far >= _LEAST_BASELINE_M).nonzero()[:, 0]][-NEIGHBOURS:]
    if not fits:
        fits = [first + int(far.argmax())]
    if generator is not None:
        mixed = torch.randperm(len(fits), generator=generator)[:count]
        chosen = [fits[int(i)] for i in mixed]
    else:
        chosen = fits[::-1][:count]
    return chosen + [chosen[-1]] * (count - len(chosen))


def changed(sample: DroBatch, config: GroupConfig, generator: torch.Generator) -> DroBatch:
    """Return the group with random changes; those of geometry are exact."""
    draw = torch.rand(5, generator=generator).tolist()
    if draw[0] < config.mirror:
        sample = mirrored(sample)
    height, width = sample.depth.shape[-2:]
    # Errors of a whole wall, or of a piece of furniture.
    cells = (4, 5) if draw[4] < 0.5 else (8, 10)
    field = torch.randn(1, 1, *cells, generator=generator) * config.single_field * draw[1]
    smooth = functional.interpolate(field, (height, width), mode="bicubic", align_corners=False)
    scale = config.single_scale * float(torch.randn((), generator=generator))
    single = sample.single * (smooth + scale).exp()
    weight = sample.weight * float(draw[2] >= config.no_stereo)
    given = sample.T_i_0 if draw[3] < config.exact_poses else sample.T_given
    choices = torch.rand(1, 2, generator=generator)
    return replace(sample, single=single, weight=weight, T_given=given, draw=choices)


def mirrored(sample: DroBatch) -> DroBatch:
    """Return the group seen in a mirror: left and right exchanged in everything."""
    width = sample.image.shape[-1]
    k = sample.intrinsics.clone()
    k[..., 0, 2] = width - 1 - k[..., 0, 2]
    turn = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    names = ("image", "depth", "single", "stereo", "weight")
    return replace(
        sample,
        **{name: getattr(sample, name).flip(-1) for name in names},
        intrinsics=k,
        T_i_0=turn @ sample.T_i_0 @ turn,
        T_given=turn @ sample.T_given @ turn,
    )
