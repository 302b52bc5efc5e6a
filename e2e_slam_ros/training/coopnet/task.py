"""CoopNet's training as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from e2e_slam_ros.depth.weight_checks import require_finite, require_same_tensors
from e2e_slam_ros.depth.weights_file import read_weights, write_weights
from e2e_slam_ros.training.coopnet.config import CoopNetConfig
from e2e_slam_ros.training.coopnet.model import CoopNetModel
from e2e_slam_ros.training.coopnet.networks import PackageDepth
from e2e_slam_ros.training.coopnet.validation import CoopValidation
from e2e_slam_ros.training.deepv2d.clip_sampler import ClipSampler
from e2e_slam_ros.training.deepv2d.clip_task import ClipTask
from e2e_slam_ros.training.sc_sfm.encoder_weights import encoder_of
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, TaskModules


class CoopNetTask(ClipTask):
    """Depth, motion and flow from pairs of views of rendered rooms with moving boxes.

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
        """Return the three networks with their losses.

        Raises:
            DepthError: initial weights cannot be used.
        """
        model = CoopNetModel(self.config, self._context.precision).train()
        if self.config.initial_weights and fresh:
            model.load_state_dict(_read(self.config.initial_weights, model.state_dict()))
        depth = model.depth_net
        return TaskModules(
            model, model, encoder_of(depth.network) if isinstance(depth, PackageDepth) else None
        )

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


def _read(path: str, own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a file that `CoopNetTask.export` wrote."""
    file = Path(path).expanduser()
    tensors = read_weights(file, "weights of CoopNet (.safetensors that training wrote)").tensors
    what = f"CoopNet weights {file}"
    require_same_tensors(tensors, own, what, "the three networks of e2e-slam train coopnet")
    require_finite(tensors, what, "finite values", "take an earlier file")
    return tensors
