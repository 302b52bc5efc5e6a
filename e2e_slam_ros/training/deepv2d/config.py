"""The settings of DeepV2D's training: networks, stages, losses, data, validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig


def _motion() -> StageConfig:
    return StageConfig(steps=400, batch_size=2, learning_rate=5e-4, warmup_steps=50)


def _depth() -> StageConfig:
    return StageConfig(steps=2000, batch_size=2, learning_rate=1e-3, warmup_steps=50)


def _joint() -> StageConfig:
    return StageConfig(steps=0, batch_size=2, learning_rate=2e-4, warmup_steps=50)


@dataclass(frozen=True)
class DeepV2DLossConfig:
    """Weights of the loss, and how poses are disturbed for it.

    >>> DeepV2DLossConfig().motion
    1.0
    """

    smoothness: float = leaf(0.02, "w_s of eq. 6", low=0.0)
    motion: float = leaf(1.0, "lambda: weight of the motion loss beside the depth loss", low=0.0)
    first_pose: float = leaf(
        1.0,
        "weight of the loss of the first poses, from images alone; 0: they are not trained",
        low=0.0,
    )
    flow: float = leaf(
        0.0,
        "weight of the residual flow's own error in pixels; 0 as published: flow learns through "
        "the poses alone, which takes much longer",
        low=0.0,
    )
    logarithmic: bool = leaf(
        False, "the depth loss is of the logarithm of depth; false as published: of depth"
    )
    steps: int = leaf(2, "motion steps of a training step", low=1, high=8)
    shift_m: float = leaf(0.05, "true positions are disturbed by about this, metres", low=0.0)
    turn_deg: float = leaf(1.5, "true rotations are disturbed by about this, degrees", low=0.0)


@dataclass(frozen=True)
class ClipValidationConfig:
    """Rooms that measure progress; they must not be trained on.

    >>> ClipValidationConfig().clips
    24
    """

    first_seed: int = leaf(60000, "seed of the first room", low=0)
    clips: int = leaf(24, "clips, of rooms of four; 0: no validation", low=0)


@dataclass(frozen=True)
class RecordedClipConfig:
    """Clips of a recording with depth and poses, beside the rendered ones.

    >>> RecordedClipConfig().share
    0.0
    """

    path: str = leaf("", "folder or bag with depth and poses; empty: none")
    frames: str = leaf(":", "which of its frames, A:B")
    share: float = leaf(0.0, "of the samples; 0: rendered clips alone", low=0.0, high=1.0)


@dataclass(frozen=True)
class DeepV2DTrainConfig(TrainConfig):
    """Every setting of ``e2e-slam train deepv2d``.

    >>> DeepV2DTrainConfig().architecture
    'light'
    """

    free_on_resume: ClassVar[tuple[str, ...]] = (
        *TrainConfig.free_on_resume,
        "render_processes",
        "in_memory",
        "validation.",
        "clips.cache",
    )
    paths: ClassVar[tuple[str, ...]] = ("clips.cache", "initial_weights", "recorded.path")

    architecture: str = leaf(
        "light", "paper: as published; light: for two cores", choices=("paper", "light")
    )
    initial_weights: str = leaf("", "weights to start from, of the same architecture; empty: none")
    render_processes: int = leaf(1, "processes that render rooms", low=1, high=256)
    in_memory: bool = leaf(False, "keep clips that were read in memory, about a megabyte each")
    least_views: int = leaf(2, "least frames of a clip, the keyframe included", low=2, high=16)
    most_views: int = leaf(5, "most frames of a clip, the keyframe included", low=2, high=16)
    motion: StageConfig = field(default_factory=_motion)
    depth: StageConfig = field(default_factory=_depth)
    joint: StageConfig = field(default_factory=_joint)
    losses: DeepV2DLossConfig = field(default_factory=DeepV2DLossConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    recorded: RecordedClipConfig = field(default_factory=RecordedClipConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    validation: ClipValidationConfig = field(default_factory=ClipValidationConfig)

    def check(self) -> None:
        """Refuse numbers of views that no clip has, and image sizes that do not fit."""
        if not self.least_views <= self.most_views <= self.clips.frames:
            raise ConfigError.from_parts(
                "least_views, most_views",
                f"{self.least_views}, {self.most_views}",
                f"least_views <= most_views <= clips.frames ({self.clips.frames})",
                "change one of them",
            )
        if self.clips.width % 4 or self.clips.height % 4:
            raise ConfigError.from_parts(
                "clips.width, clips.height",
                f"{self.clips.width}x{self.clips.height}",
                "multiples of 4",
                "choose e.g. 256x192",
            )
