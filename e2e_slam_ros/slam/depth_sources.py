"""The factory of depth sources: the only place that knows them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.sensor import SensorDepth
from e2e_slam_ros.depth.source import DepthSource, DepthTraits, DepthUnit
from e2e_slam_ros.multiview.deepv2d.source import DeepV2DDepth
from e2e_slam_ros.multiview.dro.source import DroDepth
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.refine.scale_estimators import scale_needs_sensor


@dataclass(frozen=True)
class _Entry:
    """One value of ``depth.source``.

    Attributes:
        traits: the source's traits that are known before it is built.
        build: makes the source.
    """

    traits: DepthTraits
    build: Callable[[Config, torch.device], DepthSource]


_SOURCES: Mapping[str, _Entry] = {
    "sensor": _Entry(
        SensorDepth.traits,
        lambda config, _: SensorDepth(config.depth, config.tracking.adjustment),
    ),
    "motion_stereo": _Entry(
        MotionStereoDepth.traits, lambda config, device: MotionStereoDepth(config.depth, device)
    ),
    "network": _Entry(
        DepthTraits("network", DepthUnit.ROUGH_METRES, has_network=True),
        lambda config, device: NetworkDepth(config.depth, device),
    ),
    "dro": _Entry(DroDepth.traits, lambda config, device: DroDepth(config.depth, device)),
    "deepv2d": _Entry(
        DeepV2DDepth.traits, lambda config, device: DeepV2DDepth(config.depth, device)
    ),
}


def depth_traits(config: Config) -> DepthTraits:
    """Return the traits of the configured source without building it.

    Raises:
        ConfigError: an unknown source.
    """
    return _entry(config).traits


def is_measured(source: str | None) -> bool:
    """Return whether ``DepthEstimate.source`` names a sensor."""
    entry = None if source is None else _SOURCES.get(source)
    return entry is not None and entry.traits.needs_sensor


def build_depth_source(config: Config, device: torch.device) -> DepthSource:
    """Return the source that ``depth.source`` names.

    Raises:
        ConfigError: an unknown source.
        DepthError: the network's weights are not given or cannot be used.
    """
    return _entry(config).build(config, device)


def needs_depth_images(config: Config) -> bool:
    """Return whether a measured depth image is needed: as depth, or to find a scale."""
    traits = depth_traits(config)
    by_scale = traits.unit is not DepthUnit.METRES and scale_needs_sensor(config.refine.scale)
    return traits.needs_sensor or by_scale


def _entry(config: Config) -> _Entry:
    try:
        return _SOURCES[config.depth.source]
    except KeyError:
        raise ConfigError.from_parts(
            "depth.source",
            repr(config.depth.source),
            "one of " + ", ".join(_SOURCES),
            "choose one of these",
        ) from None
