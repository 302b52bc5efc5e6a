"""Puts models of a library into a room: at walls, in the middle, on top of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from e2e_slam_ros.simulation.builder import Place, SceneBuilder, Vector
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary, FurnitureModel
from e2e_slam_ros.simulation.layout import FloorPlan
from e2e_slam_ros.simulation.mesh_looks import looks, recoloured
from e2e_slam_ros.simulation.palette import Palette

_TRIES = 4
_THINGS = ("small", "small", "electronics", "pot_plant", "table_lamp")
# A thing stands where the surface under it is level to this, and above this height.
_LEVEL_M, _LOWEST_M = 0.015, 0.25
_FACING_FRONT = ("electronics", "small")


@dataclass(frozen=True, eq=False)
class Standing:
    """A model at its place.

    Attributes:
        model: scaled, in metres.
        place: where its foot is.
        taken: circles (x, y, radius) of the things on it, in its own frame.

    >>> import numpy as np
    >>> one = np.ones(1, np.int64)
    >>> sheet = FurnitureModel(np.ones((1, 3, 3), np.float32), np.ones((1, 3), np.float32),
    ...     0 * one, one, (1.0, 1.0, 1.0), 0.0, "small", "Sheet", "Ann", "CC0-1.0")
    >>> Standing(sheet, Place(x=2.0)).taken
    []
    """

    model: FurnitureModel
    place: Place
    taken: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass
class Furnisher:
    """Chooses models at random and adds them to a room.

    Attributes:
        library: where models come from.
        build, plan, palette, dice: of the room.
        plain: texture layer without a pattern.
        room: size of the room, metres.
        recolour: share of the pieces that get other colours.
        gloss: greatest specular strength of a piece.

    >>> import numpy as np
    >>> one = np.ones(1, np.int64)
    >>> sheet = FurnitureModel(np.ones((1, 3, 3), np.float32), np.ones((1, 3), np.float32),
    ...     0 * one, one, (1.0, 1.0, 1.0), 0.0, "seat", "Sheet", "Ann", "CC0-1.0")
    >>> furnisher = Furnisher(FurnitureLibrary.of([sheet]), SceneBuilder(), FloorPlan(4.0, 3.0),
    ...     Palette(Dice(0), 64), Dice(1), 0, (4.0, 3.0, 2.5))
    >>> furnisher.at_wall(("seat",), (2.0, 2.0, 2.0)).model.name
    'Sheet'
    """

    library: FurnitureLibrary
    build: SceneBuilder
    plan: FloorPlan
    palette: Palette
    dice: Dice
    plain: int
    room: Vector
    recolour: float = 0.4
    gloss: float = 0.3

    def draw(
        self, kinds: Sequence[str], largest: Vector = (9.0, 9.0, 9.0), vary: float = 0.12
    ) -> FurnitureModel | None:
        """Return a random model of one of the kinds, in a random size, or None.

        Args:
            largest: width, depth and height that the model may have, metres.
            vary: sizes change by up to this fraction, along each axis on its own.
        """
        kind = self.dice.choice(kinds)
        fitting = [
            index
            for index in self.library.of_kind(kind)
            if all(a <= b for a, b in zip(self.library.size_m(index), largest, strict=True))
        ]
        if not fitting:
            return None
        model = self.library[self.dice.choice(fitting)]
        whole = self.dice.uniform(1.0 - vary, 1.0 + vary)
        each = [whole * self.dice.uniform(1.0 - 0.5 * vary, 1.0 + 0.5 * vary) for _ in range(3)]
        wide, deep, high = (
            min(a * b, c) for a, b, c in zip(model.size_m, each, largest, strict=True)
        )
        factor = torch.tensor((wide, deep, high)) / torch.tensor(model.size_m)
        return replace(model, corners=model.corners * factor.numpy(), size_m=(wide, deep, high))

    def put(self, model: FurnitureModel, place: Place) -> Standing:
        """Add a model at a place."""
        seen = recoloured(model, self.dice) if self.dice.chance(self.recolour) else model
        materials = looks(seen, self.palette, self.plain, self.dice, self.gloss)
        self.build.mesh(place, seen, materials)
        return Standing(model, place)

    def at_wall(self, kinds: Sequence[str], largest: Vector) -> Standing | None:
        """Add a model with its back to a free part of a wall, if there is one."""
        for _ in range(_TRIES):
            model = self.draw(kinds, largest)
            if model is None:
                continue
            place = self.plan.against_wall(model.size_m[0], model.size_m[1], self.dice)
            if place is not None:
                return self.put(model, place)
        return None

    def in_room(
        self, kinds: Sequence[str], largest: Vector, margin: float = 0.0
    ) -> Standing | None:
        """Add a model anywhere on the free floor, with ``margin`` metres free around it."""
        model = self.draw(kinds, largest)
        if model is None:
            return None
        wide, deep = model.size_m[0] + 2 * margin, model.size_m[1] + 2 * margin
        place = self.plan.anywhere(wide, deep, self.dice)
        return None if place is None else self.put(model, place)

    def on_wall(self, largest: Vector, lowest: float = 0.3) -> None:
        """Hang a model on a wall at its own height, where no furniture reaches."""
        model = self.draw(("wall",), largest)
        if model is None or model.elevation_m < lowest:
            return
        wide, deep, high = model.size_m
        place = self.plan.against_wall(wide, deep, self.dice)
        if place is not None:
            level = min(model.elevation_m, self.room[2] - high - 0.05)
            reach = place.child((0.0, 0.03, max(level, 0.0)))
            self.put(model, reach)

    def seats_around(self, table: Standing, kinds: Sequence[str], share: float) -> None:
        """Add seats at the sides of a table, some of them pulled out and turned."""
        wide, deep, _ = table.model.size_m
        for side in range(4):
            if not self.dice.chance(share):
                continue
            seat = self.draw(kinds, (0.75, 0.75, 1.2))
            if seat is None:
                continue
            reach = (deep if side % 2 == 0 else wide) / 2 + self.dice.uniform(0.1, 0.45)
            turn = side * math.pi / 2
            spot = table.place.child((-math.sin(turn) * reach, math.cos(turn) * reach, 0), turn)
            if self.inside(spot, 0.4):
                yaw = spot.yaw + self.dice.uniform(-0.4, 0.4)
                self.put(seat, Place(spot.x, spot.y, 0.0, yaw))

    def seat_before(self, desk: Standing) -> None:
        """Add a chair before a desk, turned towards it more or less."""
        seat = self.draw(("seat",), (0.75, 0.75, 1.25))
        if seat is None:
            return
        away = -desk.model.size_m[1] / 2 - self.dice.uniform(0.05, 0.5)
        turn = math.pi + self.dice.uniform(-0.7, 0.7)
        spot = desk.place.child((self.dice.uniform(-0.3, 0.3), away, 0.0), turn)
        half = max(seat.size_m[:2]) / 2
        if self.inside(spot, half) and self.plan.claim(spot.x, spot.y, 0.7 * half, 0.7 * half):
            self.put(seat, Place(spot.x, spot.y, 0.0, spot.yaw))

    def things_on(self, below: Standing, most: int, kinds: Sequence[str] = _THINGS) -> None:
        """Add up to ``most`` things where the upper side of a piece is level."""
        wide, deep, high = below.model.size_m
        corners = torch.from_numpy(below.model.corners)
        limit = 0.6 * min(wide, deep)
        for _ in range(most):
            thing = self.draw(kinds, (min(limit * 1.5, 0.7), min(limit, 0.5),
                                      max(0.1, min(0.6, self.room[2] - high - 0.1))))  # fmt: skip
            if thing is None:
                continue
            half = max(thing.size_m[:2]) / 2
            if thing.kind in _FACING_FRONT:
                yaw = self.dice.uniform(-0.5, 0.5)
            else:
                yaw = self.dice.uniform(-math.pi, math.pi)
            for _ in range(_TRIES):
                x = self.dice.uniform(-0.5, 0.5) * max(wide - thing.size_m[0], 0.0)
                y = self.dice.uniform(-0.5, 0.5) * max(deep - thing.size_m[1], 0.0)
                if any(math.hypot(x - a, y - b) < 0.9 * (half + c) for a, b, c in below.taken):
                    continue
                level = _level(corners, x, y, yaw, thing.size_m)
                if level is not None:
                    below.taken.append((x, y, half))
                    self.put(thing, below.place.child((x, y, level), yaw))
                    break

    def inside(self, spot: Place, half: float) -> bool:
        """Return whether a piece lies within the walls."""
        return (
            abs(spot.x) + half < self.plan.width / 2 and abs(spot.y) + half < self.plan.depth / 2
        )


def _level(corners: torch.Tensor, x: float, y: float, yaw: float, size: Vector) -> float | None:
    """Return the height on which a thing would stand; None where there is no level surface."""
    c, s = math.cos(yaw), math.sin(yaw)
    half = torch.tensor([[0.0, 0.0], [1, 1], [1, -1], [-1, 1], [-1, -1]]) * 0.4
    local = half * torch.tensor(size[:2])
    points = torch.stack([c * local[:, 0] - s * local[:, 1], s * local[:, 0] + c * local[:, 1]], 1)
    heights = upper_side(corners, points + torch.tensor([x, y]))
    low, high = float(heights.min()), float(heights.max())
    return high if low > _LOWEST_M and high - low < _LEVEL_M else None


def upper_side(corners: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return the greatest height (N,) of triangles (T, 3, 3) above points (N, 2); 0 for none.

    >>> triangle = torch.tensor([[[0.0, 0.0, 0.5], [1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]])
    >>> upper_side(triangle, torch.tensor([[0.2, 0.2], [0.8, 0.8]]))
    tensor([0.5000, 0.0000])
    """
    a, b, c = corners[..., :2].unbind(1)
    area = _cross(b - a, c - a)
    p = points[:, None]
    weights = torch.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], -1)
    weights = weights / area.masked_fill(area.abs() < 1e-9, torch.inf)[:, None]
    inside = (weights >= -1e-4).all(-1) & (area.abs() >= 1e-9)
    height = (weights * corners[..., 2]).sum(-1)
    return height.masked_fill(~inside, 0.0).amax(-1)


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
