"""The settings of the learned correction's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.training.config import StageConfig, TrainConfig
from e2e_slam_ros.training.correction.evidence_config import (
    RecordedEvidenceConfig,
    RenderedEvidenceConfig,
)


@dataclass(frozen=True)
class CorrectionStageConfig(StageConfig):
    """The one part of the training: with known depth.

    >>> CorrectionStageConfig(steps=10).crop_width
    144
    """

    crop_width: int = leaf(
        144, "width of the part of a sweep, pixels; rounded down to a multiple of 8", low=16
    )
    crop_height: int = leaf(96, "height of the part, likewise", low=16)


@dataclass(frozen=True)
class HeldOutRoomsConfig:
    """Walks that are measured and not learned from.

    >>> HeldOutRoomsConfig().rooms
    8
    """

    rooms: int = leaf(8, "number of rendered rooms, like those of the training; 0: none", low=0)
    first_seed: int = leaf(69000, "seed of the first one; the next ones count on", low=0)


def _supervised() -> CorrectionStageConfig:
    return CorrectionStageConfig(steps=1000, learning_rate=2e-3, final_rate=0.01)


def _held_back() -> RecordedEvidenceConfig:
    return RecordedEvidenceConfig(passes=1)


@dataclass(frozen=True)
class CorrectionTrainConfig(TrainConfig):
    """Every setting of ``e2e-slam train correction``.

    >>> CorrectionTrainConfig().with_values({"walks.rooms": 3}).walks.rooms
    3
    """

    free_on_resume: ClassVar[tuple[str, ...]] = (
        *TrainConfig.free_on_resume,
        "render_processes",
        "cache",
        "validation.",
        "held_back.",
    )
    paths: ClassVar[tuple[str, ...]] = (
        "initial_weights",
        "correct_with",
        "cache",
        "walks.furniture",
        "recorded.paths",
        "held_back.paths",
    )

    initial_weights: str = leaf("", "weights to start from; empty: none")
    correct_with: str = leaf(
        "",
        "weights of an earlier run, which correct depth while evidence is recorded, as they will "
        "when the system runs; empty: none",
    )
    correct_share: float = leaf(
        0.67, "share of the walks that are recorded with them", low=0.0, high=1.0
    )
    render_processes: int = leaf(1, "processes that record evidence", low=1, high=256)
    cache: str = leaf(
        "", "folder that keeps evidence; empty: e2e_slam_ros/evidence in the user's cache"
    )
    gradient_weight: float = leaf(
        0.5, "weight of the gradients of the error beside the error", low=0.0
    )
    likelihood_weight: float = leaf(
        0.1, "weight of the likelihood of the stated error; depth does not learn from it", low=0.0
    )
    supervised: CorrectionStageConfig = field(default_factory=_supervised)
    walks: RenderedEvidenceConfig = field(default_factory=RenderedEvidenceConfig)
    recorded: RecordedEvidenceConfig = field(default_factory=RecordedEvidenceConfig)
    validation: HeldOutRoomsConfig = field(default_factory=HeldOutRoomsConfig)
    held_back: RecordedEvidenceConfig = field(default_factory=_held_back)

    def check(self) -> None:
        """Refuse rooms that are both learned from and measured, and an empty range."""
        walks, held = self.walks, self.validation
        apart = (
            held.first_seed + held.rooms <= walks.first_seed
            or walks.first_seed + walks.rooms <= held.first_seed
        )
        if held.rooms > 0 and not apart:
            raise ConfigError.from_parts(
                "training setting validation.first_seed",
                f"{held.first_seed}, {held.rooms} rooms",
                f"seeds other than {walks.first_seed} to {walks.first_seed + walks.rooms - 1}",
                "choose seeds that are not learned from",
            )
        if walks.rate_min_hz > walks.rate_max_hz:
            raise ConfigError.from_parts(
                "training setting walks.rate_min_hz",
                walks.rate_min_hz,
                f"at most walks.rate_max_hz, {walks.rate_max_hz:g}",
                "swap the two",
            )
