"""The settings of CoopNet's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.depth.architecture import SIZE_MIN, SIZE_STEP
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.config import ClipValidationConfig


def _clips() -> ClipConfig:
    """Small pictures of rooms in which boxes move."""
    return ClipConfig(
        rooms=100, frames=3, width=128, height=96, interval_max_s=0.25, moving=3, first_seed=70000
    )


def _validation() -> ClipValidationConfig:
    return ClipValidationConfig(first_seed=80000, clips=40)


def _labelled() -> StageConfig:
    return StageConfig(steps=300, batch_size=4, learning_rate=1e-3, warmup_steps=30)


def _together() -> StageConfig:
    return StageConfig(steps=600, batch_size=4, learning_rate=5e-4, warmup_steps=50)


@dataclass(frozen=True)
class CoopNetConfig(TrainConfig):
    """Every setting of ``e2e-slam train coopnet``.

    >>> CoopNetConfig().selection
    'mode'
    """

    free_on_resume: ClassVar[tuple[str, ...]] = (
        *TrainConfig.free_on_resume,
        "render_processes",
        "in_memory",
        "validation.",
        "clips.cache",
    )
    paths: ClassVar[tuple[str, ...]] = ("clips.cache", "initial_weights")

    initial_weights: str = leaf("", "weights of the three networks to start from; empty: none")

    depth_network: str = leaf(
        "package",
        "package: the package's network of one image with its weights; small: a new one of 0.7 M",
        choices=("package", "small"),
    )
    flow_network: str = leaf(
        "small",
        "small: a new one of 0.7 M; search: OpenCV's dense inverse search, which does not learn",
        choices=("small", "search"),
    )
    motion_from: str = leaf(
        "flow",
        "what the motion network sees; flow: flow and depth; images: both pictures (SfMLearner); "
        "given: nothing, the exact motion is given",
        choices=("flow", "images", "given"),
    )
    render_processes: int = leaf(1, "processes that render rooms", low=1, high=256)
    in_memory: bool = leaf(False, "keep clips that were read in memory")
    selection: str = leaf(
        "mode",
        "pixels that teach depth and motion; mode: those near the mode of Delta (CoopNet); min: "
        "those that depth explains better than flow",
        choices=("mode", "min"),
    )
    eta: float = leaf(
        0.15, "half the width of the neighbourhood of the mode, in deviations of Delta", low=0.01
    )
    mean_over: str = leaf(
        "valid",
        "pixels whose number divides the sums of both errors; valid: those that both views see: a "
        "network's gradient then falls with its share of the pixels (eq. 2); chosen: those that "
        "teach the network",
        choices=("valid", "chosen"),
    )
    smoothness: float = leaf(0.05, "weight of the smoothness of inverse depth and flow", low=0.0)
    epipolar: float = leaf(
        0.02, "weight of the epipolar loss, for each pixel of distance", low=0.0
    )
    labelled: StageConfig = field(default_factory=_labelled)
    together: StageConfig = field(default_factory=_together)
    clips: ClipConfig = field(default_factory=_clips)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    validation: ClipValidationConfig = field(default_factory=_validation)

    def check(self) -> None:
        """Refuse image sizes that the package's network does not take."""
        width, height = self.clips.width, self.clips.height
        if self.depth_network == "package" and (
            width % SIZE_STEP or height % SIZE_STEP or min(width, height) < SIZE_MIN
        ):
            raise ConfigError.from_parts(
                "clips.width, clips.height",
                f"{width}, {height}",
                f"multiples of {SIZE_STEP}, at least {SIZE_MIN}, for depth_network: package",
                "choose others, or set depth_network to small",
            )
