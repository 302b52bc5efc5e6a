"""The size of map and memory that a configuration needs."""

from __future__ import annotations

from dataclasses import replace

from e2e_slam_ros.config import Config, MapConfig
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit

# Keyframes whose images are kept beside those that wait: neighbours are chosen among them.
_KEPT = 14


def kept_keyframes(config: Config) -> int:
    """Return the number of keyframes whose images stay in memory."""
    return _KEPT + config.refine.wait_keyframes


def map_config(config: Config, traits: DepthTraits) -> MapConfig:
    """Return the map's parameters: those for unmeasured depth, and room for looking back."""
    wait, kept = config.refine.wait_keyframes, config.map.revisable_keyframes
    settings = config.map
    if not traits.needs_sensor:
        rough = settings.unmeasured
        settings = replace(settings, distance_m=rough.distance_m, angle_deg=rough.angle_deg)
    # Measured depth stays as it is, unless something refines it.
    is_final = traits.unit is DepthUnit.METRES and not config.refine.refines_keyframes
    if wait == 0 or is_final:
        return settings
    # A keyframe that was revised counts among the last ones again, and each is revised twice.
    return replace(settings, revisable_keyframes=max(kept, 4 * wait + 1))
