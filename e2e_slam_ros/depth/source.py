"""The interface of every depth source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.architecture import DepthNetwork


class DepthUnit(Enum):
    """How well the unit of a source's depth is known.

    >>> DepthTraits("network", DepthUnit.ROUGH_METRES, has_network=True).unit is DepthUnit.METRES
    False
    """

    METRES = "metres"
    ROUGH_METRES = "metres, up to a factor near 1"
    UNKNOWN = "unknown factor"


@dataclass(frozen=True)
class DepthTraits:
    """The properties of a depth source that other stages depend on.

    Attributes:
        name: value of ``depth.source``.
        unit: of its depth.
        needs_sensor: a keyframe needs a measured depth image.
        has_network: a network gives the depth, and can be adapted.
        shifted: its inverse depth is known only up to a factor and a shift.
        needs_views: it compares a keyframe with earlier ones; a keyframe without a useful
            neighbour gets no depth and still serves as a view.

    >>> DepthTraits("sensor", DepthUnit.METRES, needs_sensor=True).needs_views
    False
    """

    name: str
    unit: DepthUnit
    needs_sensor: bool = False
    has_network: bool = False
    needs_views: bool = False
    shifted: bool = False


@runtime_checkable
class DepthSource(Protocol):
    """Gives a keyframe its raw depth. Keeps no memory of keyframes."""

    @property
    def traits(self) -> DepthTraits:
        """The properties that other stages depend on."""
        ...

    @property
    def network(self) -> DepthNetwork | None:
        """The network that gives the depth and can be adapted; None: there is none."""
        ...

    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return a keyframe's depth at its size, on its device, in the source's own unit.

        Args:
            keyframe: to be mapped; not in ``views`` yet.
            views: the keyframes before it.

        Raises:
            DepthError: there is no usable depth for this keyframe.
        """
        ...


def described(source: DepthSource) -> str:
    """Return the source's name, with the licence of its network's weights where it is known."""
    name, licence = source.traits.name, "" if source.network is None else source.network.licence
    return f"{name} (licence of its weights: {licence})" if licence else name
