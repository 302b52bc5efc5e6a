"""DRO's training (Gu et al. 2021, section 3.4) as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import shape_of
from e2e_slam_ros.multiview.dro.weights_file import load_dro, save_dro
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.config import DroStageConfig, DroTrainConfig
from e2e_slam_ros.training.dro.group_sampler import GroupSampler, KeptWalks, WalkSet
from e2e_slam_ros.training.dro.losses import depth_loss, pose_loss, self_supervised_loss
from e2e_slam_ros.training.dro.pictures import sheet
from e2e_slam_ros.training.dro.validation import DroValidation, validation_groups
from e2e_slam_ros.training.dro.walk import Walk, read_walk
from e2e_slam_ros.training.dro.walk_recording import record_walk
from e2e_slam_ros.training.dro.walks import Walks
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.rendering import render_missing
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, Task, TaskModules

# What poses are estimated with; the rest is the depth's.
_POSE_PARTS = ("pair_context", "pose_head", "pose_optimiser")


class DroTask(Task[DroBatch]):
    """Depth and motion of groups of views: supervised, or by the images alone.

    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> context = RunContext(Group(), torch.device("cpu"), Precision("cpu", None), print, False)
    >>> DroTask(DroTrainConfig(), context).name
    'dro_light'
    """

    config_type = DroTrainConfig
    terms = ("depth", "last_depth", "pose", "self_supervised", "photometric")
    best_by = "held_12.abs_rel"
    config: DroTrainConfig

    def __init__(self, config: DroTrainConfig, context: RunContext) -> None:
        self.config, self._context = config, context
        self._validation = DroValidation([])

    @property
    def name(self) -> str:
        """The shape of the network."""
        return f"dro_{self.config.shape}"

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the network.

        Raises:
            DepthError: initial weights cannot be used.
        """
        if self.config.initial_weights and fresh:
            network = load_dro(self.config.initial_weights)
        else:
            network = DroNetwork(shape_of(self.config.shape))
        # A third less time on a CPU.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return TaskModules(network.train(), network)

    def build_data(self) -> Mapping[str, GroupSampler]:
        """Return a sampler for each stage. Missing walks are rendered."""
        config, context = self.config, self._context
        walks = Walks(config.walks, in_memory=config.in_memory)
        render_missing(walks, "walks", context, config.render_processes)
        sets: list[tuple[WalkSet, float]] = [(walks, 1.0)]
        if config.recorded.weight > 0:
            sets.append((KeptWalks([self._recorded()]), config.recorded.weight))
        if context.group.is_first:
            held_out = Walks(config.validation)
            processes = config.render_processes
            render_missing(held_out, "walks of validation", context, processes)
            self._validation = DroValidation(validation_groups(held_out))
        return {
            stage.name: GroupSampler(
                sets, config.seed, stage.config.batch_size, config.groups, context.group.world
            )
            for stage in stages_of(config)
        }

    def _recorded(self) -> Walk:
        settings = self.config.recorded
        path = Path(settings.path).expanduser()
        if path.suffix == ".npz":
            return read_walk(path)
        start, stop = parse_frames(settings.frames)
        frames = FrameSlice(open_reader(path), start, stop)
        read = (frames[index] for index in range(len(frames)))
        return record_walk(read, settings.width, settings.height, self._context.progress)

    def forward(self, trained: nn.Module, batch: DroBatch, stage: str) -> LossTerms:
        """Return the loss of a batch: eq. 6, or eq. 9 in a self-supervised stage."""
        network, settings = cast(DroNetwork, trained), getattr(self.config, stage)
        held, guided = self._choices(batch, settings)
        guide = None
        if guided:
            with torch.no_grad():
                # Without a known pose, motion stereo has nothing to say.
                weight = batch.weight if held else torch.zeros_like(batch.weight)
                guide, _ = depth_guide(batch.single, batch.stereo, weight)
        _learning(network, settings.poses_only)
        with self._context.precision.autocast():
            stages = network(
                batch.views, settings.iterations, batch.T_given if held else None, guide
            )
        if settings.self_supervised:
            loss, photometric = self_supervised_loss(stages, batch.views)
            parts = {"self_supervised": loss.detach(), "photometric": photometric}
            return LossTerms(loss, parts, dict.fromkeys(parts, len(batch)))
        depth = depth_loss(stages, batch.depth, self.config.in_log)
        total, parts = depth, {"depth": depth.detach()}
        parts["last_depth"] = depth_loss(stages[-1:], batch.depth).detach()
        if not held:
            pose = pose_loss(stages, batch.depth, batch.T_i_0, batch.intrinsics)
            parts["pose"] = pose.detach()
            weight_of_depth = 0.0 if settings.poses_only else 1.0
            total = weight_of_depth * depth + self.config.pose_weight * pose
        return LossTerms(total, parts, dict.fromkeys(parts, len(batch)))

    def _choices(self, batch: DroBatch, settings: DroStageConfig) -> tuple[bool, bool]:
        """Return whether poses are held and whether depth is guided."""
        held, guided = batch.draw[0].tolist()
        guided_here = guided < settings.guided_share and shape_of(self.config.shape).guided
        return held < settings.held_share, guided_here

    def validate(self, result: nn.Module) -> Mapping[str, float]:
        """Return errors on walks that are not trained on, at 0, 4, 8 and 12 iterations."""
        if not len(self._validation):
            return {}
        poses = any(getattr(self.config, s.name).held_share < 1 for s in stages_of(self.config))
        return self._validation.measure(cast(DroNetwork, result), poses)

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network, in float16; `load_dro` reads it."""
        save_dro(cast(DroNetwork, result), path, facts)

    @torch.inference_mode()
    def pictures(self, result: nn.Module, batch: DroBatch) -> Mapping[str, torch.Tensor]:
        """Return one sheet: image, depth at the start and at the end, label."""
        batch = batch.to(self._context.device)
        guide, _ = depth_guide(batch.single, batch.stereo, batch.weight)
        stages = cast(DroNetwork, result)(batch.views, 12, batch.T_given, guide)
        return {"image, start, end, label": sheet(batch, stages)}


def _learning(network: DroNetwork, poses_only: bool) -> None:
    """Let gradients flow to the parts that learn. Parts without a gradient are not changed."""
    for name, part in network.named_children():
        part.requires_grad_(not poses_only or name in _POSE_PARTS)
