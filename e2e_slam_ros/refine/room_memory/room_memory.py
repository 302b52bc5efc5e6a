"""Errors of the depth network at places of the room, expected again where it looks alike."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import RawDepth
from e2e_slam_ros.refine.room_memory.gaussian_process import Likeness, expected
from e2e_slam_ros.refine.room_memory.seen_place import Looks, SeenPlace, cell_features

# Covariance of the logarithm of the scale of images, and of the rest in their cells; standard
# deviations of what has no likeness. A length of .6 is a little better where the network is wrong
# alike, and does more harm where it is not (docs/adaptation.md).
_SCALES = Likeness(amplitude=0.25, length=0.4)
_SHAPES = Likeness(amplitude=0.12, length=0.4)
_SCALE_NOISE, _SHAPE_NOISE = 0.06, 0.05
# Places whose cells are compared with an image's: those that look most like it.
_NEAREST = 16
_FIELDS = ("features", "scale", "sigma", "shape", "weight")


class RoomMemory:
    """Expects of the network what it was wrong by where the room looked alike.

    For each keyframe whose depth motion has established, the memory keeps the network's coarsest
    features and the ratio of established to predicted depth: one number for the image, and one
    for each of its cells. What the network will be wrong by in a new image is the mean of a
    Gaussian process over the features: of whole images for the scale, of cells for the rest. An
    image that is like none before is left as the network predicts it. It is the last layer of
    the network that learns here, in closed form: at once, without steps that may diverge.

    Args:
        capacity: places; the oldest is forgotten first.

    Example:
        >>> from e2e_slam_ros.data.keyframe import DepthEstimate
        >>> from e2e_slam_ros.refine.room_memory.seen_place import place_of
        >>> def predicted(looks: torch.Tensor) -> RawDepth:
        ...     depth = torch.full((1, 1, 8, 10), 2.0)
        ...     return RawDepth(depth, None, "network", "m", features=looks.expand(1, 2, 4, 5))
        >>> table, wall = torch.eye(2)[:, :, None, None]
        >>> true = DepthEstimate(torch.full((1, 1, 8, 10), 3.0), None, "network", "motion")
        >>> memory = RoomMemory(capacity=100)
        >>> memory.remember(0, place_of(predicted(table), true, sigma=0.03))
        >>> 2.8 < float(memory.in_room(predicted(table)).depth.mean()) < 3.0
        True
        >>> 2.0 < float(memory.in_room(predicted(wall)).depth.mean()) < 2.3
        True
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._places: dict[int, SeenPlace] = {}

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self._places)

    def remember(self, index: int, place: SeenPlace | None) -> None:
        """Replace the place of a keyframe; None: forget its place."""
        self._places.pop(index, None)
        if place is None:
            return
        self._places[index] = place
        while len(self._places) > self._capacity:
            del self._places[next(iter(self._places))]

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()

    @torch.inference_mode()
    def in_room(self, raw: RawDepth) -> RawDepth:
        """Return the network's answer with the depth that is expected in this room.

        Args:
            raw: the answer; any room is taken out of it first.

        Returns:
            The answer; as it is where it has no features, or nothing is known of the room.
        """
        raw = raw.without_room()
        if raw.features is None:
            return raw
        here = Looks(cell_features(raw.features))
        # A saved memory may be that of another network.
        shape = here.features.shape
        places = [place for place in self._places.values() if place.features.shape == shape]
        if not places:
            return raw
        known = torch.stack([place.whole for place in places])
        alike = (known @ here.whole).topk(min(_NEAREST, len(places))).indices.tolist()
        nearest = [places[number] for number in alike]
        field = (_scale(here, known, places) + _shape(here, nearest)).to(raw.depth)
        return raw.in_room(field.reshape(1, 1, *raw.features.shape[-2:]))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all places, on the CPU; empty where there are none."""
        places = list(self._places.values())
        if not places:
            return {}
        return {name: torch.stack([getattr(p, name) for p in places]).cpu() for name in _FIELDS}

    @staticmethod
    def check(state: Mapping[str, torch.Tensor]) -> None:
        """Refuse a saved state that is none.

        Raises:
            DepthError: names, shapes or values that `state_dict` does not give.
        """
        if not state:
            return
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        features = shapes.get("features", ())
        places, cells = features[:1], features[:2]
        wanted = {"features": features, "scale": places, "sigma": places}
        sound = shapes == wanted | {"shape": cells, "weight": cells} and len(features) == 3
        if not sound or not all(bool(torch.isfinite(value).all()) for value in state.values()):
            raise DepthError.from_parts(
                "memory of the room",
                f"{shapes}, or values that are not finite",
                "features (N, K, C), scale (N,), sigma (N,), shape (N, K), weight (N, K)",
                "load another saved state",
            )

    def load_state_dict(self, state: Mapping[str, torch.Tensor], device: torch.device) -> None:
        """Use the places of a saved state that was checked."""
        self.clear()
        if state:
            rows = zip(*(state[name].to(device) for name in _FIELDS), strict=True)
            # Keyframes of another run: no index of this run is meant.
            self._places = {-1 - number: SeenPlace(*row) for number, row in enumerate(rows)}


def _scale(here: Looks, known: torch.Tensor, places: list[SeenPlace]) -> torch.Tensor:
    """Return the expected logarithm of an image's scale, (1,) float64; ``known``: all `whole`."""
    scales = torch.stack([place.scale for place in places])
    sigmas = torch.stack([place.sigma for place in places])
    variance = _SCALE_NOISE**2 + sigmas.square()
    return expected(_SCALES, here.whole[None], known, scales, variance)


def _shape(here: Looks, places: list[SeenPlace]) -> torch.Tensor:
    """Return the expected logarithm of the ratio in each cell over the scale, (K,) float64."""
    weight = torch.cat([place.weight for place in places])
    # A cell that is not known keeps its row: no size depends on the data.
    variance = _SHAPE_NOISE**2 / weight.clamp_min(1e-6)
    known = torch.cat([place.cells for place in places])
    shapes = torch.cat([place.shape for place in places])
    return expected(_SHAPES, here.cells, known, shapes, variance)
