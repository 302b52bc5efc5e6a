"""Learning in the background, where a configuration asks for it."""

from __future__ import annotations

from collections.abc import Callable

from e2e_slam_ros.config import Config
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.refine.background.adaptation import BackgroundAdaptation
from e2e_slam_ros.refine.depth_plan import DepthPlan
from e2e_slam_ros.refine.room_memory.room_memory import RoomMemory


def build_adaptation(
    config: Config, source: DepthSource, is_pressed: Callable[[], bool]
) -> BackgroundAdaptation | None:
    """Return what adapts the depth network; None without a metric network or labels by motion.

    None as well where the network cannot learn.

    Args:
        config: of all stages.
        source: of depth.
        is_pressed: returns whether a keyframe waits to be mapped.
    """
    network, refine = _learner(config, source), config.refine
    looks_back = refine.wait_keyframes > 0 and not config.tracking.localize_only
    if network is None or not network.adaptable or not looks_back:
        return None
    settings = config.depth.network
    size = None if network.foreign else (settings.height, settings.width)
    return BackgroundAdaptation(
        network, refine.background, size, offline=config.runtime.offline, is_pressed=is_pressed
    )


def build_memory(config: Config, source: DepthSource) -> RoomMemory | None:
    """Return the memory of the room; None without a metric network or depth from motion.

    Args:
        config: of all stages.
        source: of depth.
    """
    places = config.refine.background.places
    return None if places == 0 or _learner(config, source) is None else RoomMemory(places)


def _learner(config: Config, source: DepthSource) -> DepthNetwork | None:
    """Return the metric network that learns the room; None without one, or depth from motion."""
    network = source.network
    if config.refine.strategy != "auto" or network is None or not network.metric:
        return None
    corrects = DepthPlan(config.depth, config.refine, source.traits).corrects
    return network if corrects else None
