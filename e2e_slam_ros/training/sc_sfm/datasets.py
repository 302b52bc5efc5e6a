"""The views of a configuration, mixed for each stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.training.data.batch_sampler import BatchSampler
from e2e_slam_ros.training.data.config import RecordedConfig
from e2e_slam_ros.training.data.procedural_views import ProceduralViews
from e2e_slam_ros.training.data.recorded_views import RecordedViews
from e2e_slam_ros.training.data.resident_views import ResidentViews
from e2e_slam_ros.training.data.views import ViewSet
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.schedule import TrainingStage, stages_of
from e2e_slam_ros.training.task import RunContext

_WeightedSet: TypeAlias = tuple[ViewSet, float]
# Partners of each recorded frame that are kept where views stay in memory.
_DRAWS = 6


def build_samplers(config: SCSfMConfig, context: RunContext) -> Mapping[str, BatchSampler]:
    """Return a sampler of batches for each stage of the run, by the stage's name.

    A stage gets labelled views if it has supervised losses, and pairs if it has self-supervised
    ones. Missing rooms are rendered.

    Raises:
        TrainingError: nothing to learn from in some stage; a sequence without pairs.
        DataError: a sequence cannot be read, rooms cannot be stored.
    """
    rooms = _rooms(config, context)
    return {stage.name: _sampler(config, stage, rooms, context) for stage in stages_of(config)}


def _rooms(config: SCSfMConfig, context: RunContext) -> list[_WeightedSet]:
    settings = config.data.procedural
    if settings.weight == 0:
        return []
    views = ProceduralViews(settings)
    missing = len(views.missing())
    if missing:
        context.say(f"rendering {missing} of {settings.rooms} rooms into {views.folder}")
        views.render_missing(config.render_processes, context.progress, context.device)
    return [(_resident(views, config, context), settings.weight)]


def _resident(views: ViewSet, config: SCSfMConfig, context: RunContext, draws: int = 1) -> ViewSet:
    """Return the views kept in the device's memory, where the configuration says so."""
    return ResidentViews(views, context.device, draws) if config.data.resident else views


def _sampler(
    config: SCSfMConfig, stage: TrainingStage, rooms: list[_WeightedSet], context: RunContext
) -> BatchSampler:
    weights = config.weights_of(stage.name)
    sets = list(rooms)
    for settings in (config.data.labelled, config.data.video):
        if settings.weight == 0:
            continue
        if not settings.labels and not weights.self_supervised:
            continue
        if not weights.self_supervised:
            settings = replace(settings, pairs=False)
        sets += [
            (_resident(views, config, context, _DRAWS if settings.pairs else 1), weight)
            for views, weight in _recorded(settings, context.say)
        ]
    if not sets:
        raise TrainingError.from_parts(
            f"data of stage {stage.name}",
            "none",
            "a set with weight above 0 whose labels or pairs the stage's losses can use",
            "set data.procedural.weight, or data.labelled.paths and data.labelled.weight",
        )
    listed = ", ".join(f"{len(views)} views of {views.name} (x{w:g})" for views, w in sets)
    context.say(f"{stage.name}: {listed}")
    return BatchSampler(
        sets,
        seed=config.seed,
        batch_size=stage.config.batch_size,
        width=config.width,
        height=config.height,
        augment=config.data.augment,
        world=context.group.world,
        pairs=weights.self_supervised,
    )


def _recorded(settings: RecordedConfig, say: Callable[[str], None]) -> list[_WeightedSet]:
    """Return a set for each sequence; frames, not sequences, are equally likely."""
    names = [name.strip() for name in settings.paths.split(",") if name.strip()]
    if not names:
        raise TrainingError.from_parts(
            "data.*.paths", "no sequence", "paths for a weight above 0", "name some, or weight 0"
        )
    start, stop = parse_frames(settings.frames)
    sets = [
        RecordedViews(FrameSlice(open_reader(Path(name).expanduser()), start, stop), settings)
        for name in names
    ]
    for views in sets:
        if views.left_out:
            say(f"{views.name}: {views.left_out} frames cannot be read and are left out")
    total = sum(len(views) for views in sets)
    return [(views, settings.weight * len(views) / total) for views in sets]
