"""The size of map and memory that a configuration needs."""

from __future__ import annotations

from dataclasses import replace

from e2e_slam_ros.config import Config, MapConfig
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit

# Keyframes whose images are kept beside those that wait: neighbours are chosen among them.
_KEPT = 12


def kept_keyframes(config: Config) -> int:
    """Return the number of keyframes whose images stay in memory."""
    return _KEPT + config.refine.wait_keyframes


def map_config(config: Config, traits: DepthTraits) -> MapConfig:
    """Return the map's parameters, with room for the keyframes that are looked back at."""
    wait, kept = config.refine.wait_keyframes, config.map.revisable_keyframes
    # Measured depth stays as it is, unless something refines it.
    is_final = traits.unit is DepthUnit.METRES and config.refine.strategy == "none"
    if wait == 0 or is_final:
        return config.map
    # A keyframe that was revised counts among the last ones again.
    return replace(config.map, revisable_keyframes=max(kept, 2 * wait + 1))
