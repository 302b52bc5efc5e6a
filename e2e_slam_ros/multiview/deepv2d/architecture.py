"""Sizes of DeepV2D's networks: as published, and small enough for two cores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeepV2DArchitecture:
    """Sizes of the depth module and the motion module.

    Attributes:
        name: short name, kept with the weights.
        stem: channels of the 2-D encoder before its last stage, at half and quarter size.
        features: C, channels of the feature map at quarter size.
        hourglass: channels of the nested levels of a 2-D hourglass, finest first.
        hourglasses: stacked 2-D hourglasses.
        correlation_groups: 0 joins the features of both views in the volume (paper); else the
            volume holds correlations of so many groups of channels.
        matching: channels before view pooling.
        weighted_views: the network says at each sample how much a view counts in the pooling; else
            the plain mean (paper).
        volume: channels of the nested levels of a 3-D hourglass, finest first.
        volumes: stacked 3-D hourglasses; each gives a depth.
        planes: D, depths of the sweep.
        near_m, far_m: nearest and farthest plane, metres.
        inverse_planes: planes evenly spaced in inverse depth (else in depth).
        flow: channels of the residual flow network's levels, at 1/4, 1/8, 1/16 and 1/32.
        motion_features: channels of the motion module's feature map.

    >>> PAPER.hourglass, PAPER.volume
    ((64, 128, 192, 256), (32, 80, 128, 176))
    """

    name: str
    stem: tuple[int, int]
    features: int
    hourglass: tuple[int, ...]
    hourglasses: int
    correlation_groups: int
    matching: int
    weighted_views: bool
    volume: tuple[int, ...]
    volumes: int
    planes: int
    near_m: float
    far_m: float
    inverse_planes: bool
    flow: tuple[int, ...]
    motion_features: int


# From the text: quarter-size features, two stacked 2-D hourglasses of 64-128-192-256 channels,
# 3-D hourglasses of 32-80-128-176, depths from 0.2 to 10 m, joined features. Not in the text, and
# chosen: C = 32, 32 planes evenly spaced in depth, two 3-D hourglasses, stem and flow network.
PAPER = DeepV2DArchitecture(
    name="paper",
    stem=(32, 64),
    features=32,
    hourglass=(64, 128, 192, 256),
    hourglasses=2,
    correlation_groups=0,
    matching=32,
    weighted_views=False,
    volume=(32, 80, 128, 176),
    volumes=2,
    planes=32,
    near_m=0.2,
    far_m=10.0,
    inverse_planes=False,
    flow=(64, 128, 192, 256),
    motion_features=32,
)

# For two cores. Correlations of groups of channels (Guo et al. 2019) say what joined features
# would have to learn, and need no wide layers. Planes in inverse depth are even in pixels. A view
# that sees little of the keyframe must not count as much as one that sees all of it.
LIGHT = DeepV2DArchitecture(
    name="light",
    stem=(16, 32),
    features=32,
    hourglass=(32, 48, 64),
    hourglasses=1,
    correlation_groups=16,
    matching=16,
    weighted_views=True,
    volume=(16, 32, 48),
    volumes=2,
    planes=32,
    near_m=0.4,
    far_m=10.0,
    inverse_planes=True,
    flow=(32, 48, 64, 96),
    motion_features=32,
)

ARCHITECTURES: dict[str, DeepV2DArchitecture] = {item.name: item for item in (PAPER, LIGHT)}
