"""CoopNet's training as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from e2e_slam_ros.depth.weights_file import write_weights
from e2e_slam_ros.training.coopnet.config import CoopNetConfig
from e2e_slam_ros.training.coopnet.model import CoopNetModel
from e2e_slam_ros.training.coopnet.validation import CoopValidation
from e2e_slam_ros.training.deepv2d.clip_sampler import ClipSampler
from e2e_slam_ros.training.deepv2d.clip_task import ClipTask
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, TaskModules


class CoopNetTask(ClipTask):
    """Depth, motion and flow from pairs of views of rendered rooms with moving boxes.

    >>> import torch
    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> device = torch.device("cpu")
    >>> context = RunContext(Group(), device, Precision("cpu", None), print, progress=False)
    >>> CoopNetTask(CoopNetConfig(), context).name
    'coopnet'
    """

    config_type = CoopNetConfig
    terms = (
        "photometric_depth",
        "photometric_flow",
        "smoothness",
        "epipolar",
        "share_depth",
        "delta",
        "depth_error",
        "motion_error",
        "flow_error",
    )
    best_by = "still.abs_rel"
    config: CoopNetConfig
    name = "coopnet"

    def __init__(self, config: CoopNetConfig, context: RunContext) -> None:
        self.config, self._context = config, context

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the three networks with their losses."""
        model = CoopNetModel(self.config, self._context.precision).train()
        return TaskModules(model, model)

    def build_data(self) -> Mapping[str, ClipSampler]:
        """Return a sampler of pairs of neighbouring frames; missing rooms are rendered."""
        config, context = self.config, self._context
        clips = self._rendered(
            config.clips,
            config.validation.clips,
            lambda: CoopValidation(config),
            config.render_processes,
            config.in_memory,
        )
        return {
            stage.name: ClipSampler(
                [(clips, 1.0)],
                config.seed,
                stage.config.batch_size,
                (2, 2),
                config.augment,
                neighbours=1,
                world=context.group.world,
            )
            for stage in stages_of(config)
        }

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the three networks in float32.

        Raises:
            DepthError: the folder cannot be written.
        """
        write_weights(path, result.state_dict(), {**facts, "architecture": self.name})
