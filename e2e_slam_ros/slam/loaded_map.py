"""A saved map read from its file, and the pipeline that goes on in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.mapping.map_checkpoint import MapCheckpoint, read_checkpoint
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.tracking.map_state import TrackingMap, from_state

NO_KEYFRAMES = (
    "the map file has no keyframes of the tracker: the camera cannot be found in this map; "
    "make the map again with pose.source visual, or call ~/reset to begin a new one"
)


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """A map file's content, checked.

    Attributes:
        checkpoint: as it was read.
        tracking: the tracker's map in it; None: there is none, or nobody wants it.

    Example:
        >>> import torch
        >>> from e2e_slam_ros.mapping.surfel_store import Surfels
        >>> checkpoint = MapCheckpoint(Surfels.empty(0, torch.device("cpu")), fusions=0)
        >>> LoadedMap(checkpoint, tracking=None).checkpoint.fusions
        0
    """

    checkpoint: MapCheckpoint
    tracking: TrackingMap | None


def read_loaded(path: Path, pipeline: SlamPipeline) -> LoadedMap:
    """Return the content of a map file, checked. The pipeline may be at work meanwhile.

    Raises:
        MapError: see `read_checkpoint`; or the tracker's keyframes are damaged.
    """
    surfels = pipeline.surfels
    checkpoint = read_checkpoint(path, surfels.config.max_surfels, surfels.device)
    tracking = None
    can_load = pipeline.tracking is not None and pipeline.tracking.can_load
    if can_load and checkpoint.tracking:
        tracking = from_state(checkpoint.tracking)
    return LoadedMap(checkpoint, tracking)


def restore(pipeline: SlamPipeline, loaded: LoadedMap) -> str:
    """Replace map, learned state and the tracker's keyframes; return a notice or nothing.

    No keyframe may be mapped meanwhile. After an error nothing has changed.

    Raises:
        DepthError: the adapted weights do not fit the network.
    """
    checkpoint = loaded.checkpoint
    pipeline.load_state_dict(checkpoint.learned)
    # A map that came from a file cannot revise keyframes of before.
    pipeline.forget_keyframes(next_index=checkpoint.fusions)
    pipeline.surfels.restore(checkpoint.surfels, checkpoint.fusions)
    if pipeline.refinement is not None:
        # Its keyframes are not those of the file; given poses hold the place.
        pipeline.refinement.reset()
    if pipeline.tracking is None:
        return ""
    pipeline.restart()
    if loaded.tracking is None:
        pipeline.tracking.stop(NO_KEYFRAMES)
        return NO_KEYFRAMES
    pipeline.tracking.load(loaded.tracking, checkpoint.tracking)
    return ""
