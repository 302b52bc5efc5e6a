"""Free places for furniture: rectangles on the floor that do not overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from e2e_slam_ros.simulation.builder import Place
from e2e_slam_ros.simulation.dice import Dice

# Gap between pieces, so that a camera can see between them and no two intersect.
_GAP_M = 0.05
_TRIES = 25


@dataclass
class FloorPlan:
    """The floor of a room, centred on the origin, with the rectangles that are taken.

    Attributes:
        width, depth: size of the floor in metres, along x and y.
        taken: rectangles (x, y, half x, half y) in metres.

    >>> plan = FloorPlan(4.0, 3.0)
    >>> plan.claim(0.0, 0.0, 0.5, 0.5), plan.claim(0.2, 0.0, 0.5, 0.5)
    (True, False)
    """

    width: float
    depth: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def against_wall(self, wide: float, deep: float, dice: Dice) -> Place | None:
        """Return a free place with its back (+y) to a wall, or None when there is none."""
        for _ in range(_TRIES):
            wall = dice.integer(0, 3)
            along = self.width if wall % 2 == 0 else self.depth
            reach = (self.depth if wall % 2 == 0 else self.width) / 2 - deep / 2 - 0.03
            slack = (along - wide) / 2 - 0.05
            if slack <= 0 or reach <= 0:
                continue
            shift = dice.uniform(-slack, slack)
            yaw = wall * math.pi / 2
            x = shift * math.cos(yaw) - reach * math.sin(yaw)
            y = shift * math.sin(yaw) + reach * math.cos(yaw)
            half = (wide / 2, deep / 2) if wall % 2 == 0 else (deep / 2, wide / 2)
            if self.claim(x, y, *half):
                return Place(x, y, 0.0, yaw)
        return None

    def anywhere(self, wide: float, deep: float, dice: Dice) -> Place | None:
        """Return a free place with any yaw, or None when there is none."""
        for _ in range(_TRIES):
            yaw = dice.uniform(-math.pi, math.pi)
            c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
            hx, hy = (c * wide + s * deep) / 2, (s * wide + c * deep) / 2
            if hx + 0.3 > self.width / 2 or hy + 0.3 > self.depth / 2:
                continue
            x = dice.uniform(hx + 0.2 - self.width / 2, self.width / 2 - hx - 0.2)
            y = dice.uniform(hy + 0.2 - self.depth / 2, self.depth / 2 - hy - 0.2)
            if self.claim(x, y, hx, hy):
                return Place(x, y, 0.0, yaw)
        return None

    def claim(self, x: float, y: float, half_x: float, half_y: float) -> bool:
        """Take a rectangle if it is free. Return whether it was free."""
        for ox, oy, ohx, ohy in self.taken:
            if abs(x - ox) < half_x + ohx + _GAP_M and abs(y - oy) < half_y + ohy + _GAP_M:
                return False
        self.taken.append((x, y, half_x, half_y))
        return True
