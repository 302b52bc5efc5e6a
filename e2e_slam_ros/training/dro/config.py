"""The settings of DRO's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.dro.groups import GroupConfig
from e2e_slam_ros.training.dro.walk_config import WalkConfig


@dataclass(frozen=True)
class DroStageConfig(StageConfig):
    """One part of DRO's training.

    >>> DroStageConfig(iterations=8).iterations
    8
    """

    iterations: int = leaf(12, "updates of the depth in a step", low=0, high=48)
    held_share: float = leaf(
        0.5, "share of batches whose poses are given and held", low=0.0, high=1.0
    )
    guided_share: float = leaf(
        0.0,
        "share of batches that start from single-image depth and motion stereo; the others start "
        "from the depth head",
        low=0.0,
        high=1.0,
    )
    poses_only: bool = leaf(False, "the networks of the depth do not learn")
    self_supervised: bool = leaf(False, "learn from the images alone (eq. 7-9)")


def _held() -> DroStageConfig:
    return DroStageConfig(steps=2000, batch_size=4, held_share=1.0, guided_share=0.8)


def _poses() -> DroStageConfig:
    return DroStageConfig(steps=0, batch_size=4, held_share=0.0, poses_only=True)


def _images() -> DroStageConfig:
    return DroStageConfig(
        steps=0, batch_size=4, held_share=1.0, self_supervised=True, learning_rate=5e-5
    )


@dataclass(frozen=True)
class RecordedWalkConfig:
    """A recording to learn from beside the rendered walks.

    >>> RecordedWalkConfig().weight
    0.0
    """

    weight: float = leaf(0.0, "share of the batches; rendered walks have 1", low=0.0)
    path: str = leaf("", "folder or bag with depth and poses, or a walk that was stored (.npz)")
    frames: str = leaf(":", "which of its frames, A:B")
    width: int = leaf(192, "image width in pixels, a multiple of 16", low=64)
    height: int = leaf(144, "image height in pixels, a multiple of 16", low=48)


def _validation_walks() -> WalkConfig:
    return WalkConfig(rooms=16, first_seed=90000)


@dataclass(frozen=True)
class DroTrainConfig(TrainConfig):
    """Every setting of ``e2e-slam train dro``.

    >>> DroTrainConfig().with_values({"shape": "paper"}).shape
    'paper'
    """

    free_on_resume: ClassVar[tuple[str, ...]] = (
        *TrainConfig.free_on_resume,
        "render_processes",
        "in_memory",
        "validation.",
        "walks.cache",
    )
    paths: ClassVar[tuple[str, ...]] = (
        "walks.cache",
        "validation.cache",
        "recorded.path",
        "initial_weights",
    )

    shape: str = leaf("light", "sizes of the network", choices=("light", "paper"))
    initial_weights: str = leaf("", "weights to start from; empty: none")
    render_processes: int = leaf(1, "processes that render walks", low=1, high=256)
    in_memory: bool = leaf(False, "keep walks that were read in memory, five megabytes each")
    in_log: bool = leaf(True, "compare logarithms of depth in eq. 4; false: metres, as the paper")
    pose_weight: float = leaf(1.0, "weight of the pose loss (eq. 5) beside that of depth", low=0.0)
    held: DroStageConfig = field(default_factory=_held)
    poses: DroStageConfig = field(default_factory=_poses)
    joint: DroStageConfig = field(default_factory=lambda: DroStageConfig(steps=0, batch_size=4))
    images: DroStageConfig = field(default_factory=_images)
    groups: GroupConfig = field(default_factory=GroupConfig)
    walks: WalkConfig = field(default_factory=WalkConfig)
    recorded: RecordedWalkConfig = field(default_factory=RecordedWalkConfig)
    validation: WalkConfig = field(default_factory=_validation_walks)
