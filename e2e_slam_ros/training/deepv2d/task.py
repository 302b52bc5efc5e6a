"""DeepV2D's training as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import nn

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.multiview.deepv2d.architecture import ARCHITECTURES
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d, save_deepv2d
from e2e_slam_ros.training.deepv2d.clip_sampler import ClipSampler, ClipSource
from e2e_slam_ros.training.deepv2d.clip_task import ClipTask
from e2e_slam_ros.training.deepv2d.config import DeepV2DTrainConfig
from e2e_slam_ros.training.deepv2d.model import DeepV2DModel
from e2e_slam_ros.training.deepv2d.recorded_clips import RecordedClips
from e2e_slam_ros.training.deepv2d.validation import ClipValidation
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, TaskModules


class DeepV2DTask(ClipTask):
    """Motion module, depth module, or both, on rendered clips.

    >>> import torch
    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> device = torch.device("cpu")
    >>> context = RunContext(Group(), device, Precision("cpu", None), print, progress=False)
    >>> DeepV2DTask(DeepV2DTrainConfig(), context).name
    'deepv2d_light'
    """

    config_type = DeepV2DTrainConfig
    terms = ("depth", "depth_error", "motion", "flow", "first_pose")
    best_by = "views_5.abs_rel"
    config: DeepV2DTrainConfig

    def __init__(self, config: DeepV2DTrainConfig, context: RunContext) -> None:
        self.config, self._context = config, context

    @property
    def name(self) -> str:
        """The architecture."""
        return f"deepv2d_{self.config.architecture}"

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the network with its losses.

        Raises:
            TrainingError: initial weights of another architecture.
            DepthError: initial weights that cannot be read.
        """
        config = self.config
        network = DeepV2D(ARCHITECTURES[config.architecture])
        if config.initial_weights and fresh:
            given = load_deepv2d(config.initial_weights)
            if given.architecture != network.architecture:
                raise TrainingError.from_parts(
                    "initial_weights",
                    f"the {given.architecture.name} architecture",
                    config.architecture,
                    "set architecture accordingly",
                )
            network.load_state_dict(given.state_dict())
        model = DeepV2DModel(network, config.losses, self._context.precision)
        return TaskModules(model.train(), network)

    def build_data(self) -> Mapping[str, ClipSampler]:
        """Return a sampler for each stage; missing rooms are rendered."""
        config, context = self.config, self._context
        clips = self._rendered(
            config.clips,
            config.validation.clips,
            lambda: ClipValidation(config),
            config.render_processes,
            config.in_memory,
        )
        sources: list[tuple[ClipSource, float]] = [(clips, 1.0 - config.recorded.share)]
        if config.recorded.share > 0:
            recorded = RecordedClips(
                config.recorded, config.clips.frames, config.clips.width, config.clips.height
            )
            context.say(f"{len(recorded)} clips of {config.recorded.path}")
            sources.append((recorded, config.recorded.share))
        return {
            stage.name: ClipSampler(
                sources,
                config.seed,
                stage.config.batch_size,
                (config.least_views, config.most_views),
                config.augment,
                world=context.group.world,
            )
            for stage in stages_of(config)
        }

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network, matrices in float16; `load_deepv2d` reads it.

        Raises:
            DepthError: the folder cannot be written.
        """
        size = f"{self.config.clips.width}x{self.config.clips.height}"
        save_deepv2d(cast(DeepV2D, result), path, {**facts, "size": size})
