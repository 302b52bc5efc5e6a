"""How good DRO is on walks that it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.evaluation.depth.metrics import depth_metrics
from e2e_slam_ros.evaluation.trajectory.motion_errors import motion_errors
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.network import DroNetwork, DroStage
from e2e_slam_ros.training.dro.batch import DroBatch
from e2e_slam_ros.training.dro.group_sampler import WalkSet
from e2e_slam_ros.training.dro.groups import group

_ITERATIONS = 12
_MIN_M, _MAX_M = 0.1, 8.0
# Frames of each walk that are looked at, and neighbours of each.
_FRAMES, _NEIGHBOURS = (6, 10, 14), 4


@dataclass(frozen=True)
class StageErrors:
    """Errors of one answer.

    Attributes:
        abs_rel: over all pixels with true depth.
        answered: over the pixels that motion stereo answers.
        scaled: over all pixels after the median was scaled.
        rotation_deg, translation_deg: of the nearest neighbour's pose; 0 where poses are held.

    >>> StageErrors(0.1, 0.1, 0.1, 0.0, 0.0).abs_rel
    0.1
    """

    abs_rel: float
    answered: float
    scaled: float
    rotation_deg: float
    translation_deg: float


class DroValidation:
    """Fixed groups of views of walks.

    >>> len(DroValidation([]))
    0
    """

    def __init__(self, groups: Sequence[DroBatch]) -> None:
        self._groups = list(groups)

    def __len__(self) -> int:
        return len(self._groups)

    @torch.inference_mode()
    def measure(self, network: DroNetwork, poses: bool) -> dict[str, float]:
        """Return mean figures by name.

        "held_0.abs_rel": four neighbours, poses given, after 0 iterations; "single_12.abs_rel":
        without motion stereo; "two_view_12.rotation_deg": one neighbour whose pose is unknown.
        A network without guides starts from its depth head everywhere.

        Args:
            poses: measure two views of unknown pose, too.
        """
        device = next(network.parameters()).device
        rows: dict[str, list[float]] = {}
        for batch in (item.to(device) for item in self._groups):
            guide, alone = (
                depth_guide(batch.single, batch.stereo, batch.weight * share)[0]
                if network.shape.guided
                else None
                for share in (1.0, 0.0)
            )
            for kind, some in (("held", guide), ("single", alone)):
                stages = network(batch.views, _ITERATIONS, batch.T_given, some)
                _add(rows, kind, stages, batch)
            if poses:
                stages = network(batch.first(1).views, _ITERATIONS, None, alone)
                _add(rows, "two_view", stages, batch)
        return {name: sum(values) / len(values) for name, values in rows.items()}


def validation_groups(walks: WalkSet) -> list[DroBatch]:
    """Return the groups of a set of walks that are looked at."""
    return [
        group(walk, frame, _NEIGHBOURS, None)
        for walk in (walks.walk(number) for number in range(len(walks)))
        for frame in _FRAMES
        if frame < len(walk.depth)
    ]


def stage_errors(stage: DroStage, batch: DroBatch) -> StageErrors | None:
    """Return the errors of one stage; None where no pixel has true depth."""
    depth, truth = stage.depth[0, 0], batch.depth[0, 0]
    every = depth_metrics(depth, truth, _MIN_M, _MAX_M)
    scaled = depth_metrics(depth, truth, _MIN_M, _MAX_M, median_scale=True)
    if every is None or scaled is None:
        return None
    seen = depth_metrics(depth, truth * (batch.weight[0, 0] > 0), _MIN_M, _MAX_M)
    return StageErrors(
        every.abs_rel,
        seen.abs_rel if seen is not None else every.abs_rel,
        scaled.abs_rel,
        *motion_errors(stage.T_i_0[0, 0], batch.T_i_0[0, 0]),
    )


def _add(
    rows: dict[str, list[float]], kind: str, stages: Sequence[DroStage], batch: DroBatch
) -> None:
    for number, stage in enumerate(stages):
        errors = stage_errors(stage, batch)
        if errors is None:
            continue
        name = f"{kind}_{4 * number}"
        keep = {
            "held": ("abs_rel", "answered"),
            "single": ("abs_rel",),
            "two_view": ("scaled", "rotation_deg", "translation_deg"),
        }[kind]
        for item in keep:
            rows.setdefault(f"{name}.{item}", []).append(getattr(errors, item))
