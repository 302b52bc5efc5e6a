"""The sizes of DRO's networks: those of the paper, and light ones for a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.errors import ConfigError


@dataclass(frozen=True)
class DroShape:
    """The sizes of one network.

    Attributes:
        encoder: "resnet18" (paper section 3.2) or "light".
        stride: pixels of the image for each pixel of the GRU's state, 8 or 4.
        cost_stride: the same for the base features and the cost map. Costs of a finer map are
            averaged for the GRU; a cost of few pixels sees small changes of depth.
        features: channels of the base features F, which the cost compares.
        hidden: channels of the GRU's state and of the contextual features, each.
        projected: channels of P_v and P_c, each (section 3.3.2).
        probes: relative changes of depth at which the cost is evaluated beside the present depth;
            empty in the paper.
        pose_probes: evaluate the pose cost also at small steps along the six directions of motion.
        pose_search: the first poses are the best rotations of a grid; else the pose head's.
        poses_first: a stage updates the poses, then the depth; in the paper the depth is first.
            Depth that is known roughly would follow a wrong pose.
        guided: the depth optimiser is also told a single image's depth and motion stereo's.
        updates: updates of the depth in a stage (n of section 3.3.3).
        pose_updates: updates of the poses for each of the depth; 1 in the paper.

    >>> LIGHT.stride, PAPER.stride
    (4, 8)
    """

    encoder: str
    stride: int
    cost_stride: int
    features: int
    hidden: int
    projected: int
    probes: tuple[float, ...] = ()
    pose_probes: bool = False
    pose_search: bool = False
    poses_first: bool = False
    guided: bool = False
    updates: int = 4
    pose_updates: int = 1


PAPER = DroShape("resnet18", 8, 8, features=128, hidden=128, projected=64)
LIGHT = DroShape(
    "light",
    4,
    2,
    features=12,
    hidden=32,
    projected=24,
    probes=(-0.18, -0.05, 0.05, 0.18),
    pose_probes=True,
    pose_search=True,
    poses_first=True,
    pose_updates=3,
    guided=True,
)
SHAPES = {"paper": PAPER, "light": LIGHT}


def shape_of(name: str) -> DroShape:
    """Return the shape with this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in SHAPES:
        raise ConfigError.from_parts(
            "DRO network", repr(name), "one of " + ", ".join(SHAPES), "choose one of these"
        )
    return SHAPES[name]
