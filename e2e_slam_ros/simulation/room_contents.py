"""The furniture of each kind of furnished room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from e2e_slam_ros.simulation.builder import Place
from e2e_slam_ros.simulation.furnisher import Furnisher, Standing

_SHALLOW = (1.4, 0.45, 2.3)


def living_room(f: Furnisher) -> None:
    """Sofas, tables with chairs, shelves, plants."""
    _rug(f)
    table = f.in_room(("table",), (2.0, 1.2, 0.9), margin=f.dice.uniform(0.3, 0.6))
    if table is not None:
        if table.model.size_m[2] > 0.6:
            f.seats_around(table, ("seat",), 0.7)
        f.things_on(table, f.dice.integer(1, 6))
    for _ in range(f.dice.integer(1, 2)):
        f.at_wall(("sofa",), (3.0, 1.6, 1.3))
    _along_walls(f, ("cupboard", "shelf", "cupboard", "thing", "plant", "seat", "table"), 3, 7)
    f.in_room(("sofa", "seat", "seat"), (2.5, 1.6, 1.2))
    _finish(f, floor_things=3)


def bedroom(f: Furnisher) -> None:
    """A bed with tables beside it, wardrobes, chairs."""
    _rug(f)
    bed = f.at_wall(("bed",), (2.3, 2.4, 2.0))
    if bed is not None and bed.model.size_m[2] < 1.3:
        f.things_on(bed, f.dice.integer(0, 2))
        for side in (-1, 1):
            table = f.draw(("table",), (0.55, 0.55, 0.7))
            if table is None or f.dice.chance(0.3):
                continue
            away = side * (bed.model.size_m[0] + table.size_m[0] + 0.1) / 2
            back = (bed.model.size_m[1] - table.size_m[1]) / 2
            spot = bed.place.child((away, back, 0.0))
            half = max(table.size_m[:2]) / 2
            if f.inside(spot, half) and f.plan.claim(spot.x, spot.y, half - 0.05, half - 0.05):
                f.things_on(f.put(table, spot), 2)
    _along_walls(f, ("cupboard", "cupboard", "shelf", "desk", "seat", "thing", "bed"), 2, 6)
    _finish(f, floor_things=4)


def office(f: Furnisher) -> None:
    """Desks with things on them and chairs before them, shelves, devices."""
    for _ in range(f.dice.integer(1, 4)):
        largest = (2.2, 1.3, 1.3)
        if f.dice.chance(0.65):
            desk = f.at_wall(("desk", "desk", "table"), largest)
        else:
            desk = f.in_room(("desk", "desk", "table"), largest, margin=0.3)
        if desk is not None:
            f.things_on(desk, f.dice.integer(2, 6), ("electronics", "electronics", "table_lamp"))
            f.things_on(desk, f.dice.integer(2, 10))
            if f.dice.chance(0.85):
                f.seat_before(desk)
    _along_walls(f, ("shelf", "cupboard", "cupboard", "electronics", "thing", "plant"), 2, 6)
    _finish(f, floor_things=4)


def corridor(f: Furnisher) -> None:
    """Shallow pieces along the walls, things on the floor."""
    shallow = (2.0, min(0.5, 0.3 * f.plan.depth), 2.3)
    for _ in range(f.dice.integer(2, 7)):
        piece = f.at_wall(("cupboard", "shelf", "table", "thing", "seat", "plant"), shallow)
        _fill_top(f, piece)
    for _ in range(f.dice.integer(0, 3)):
        f.on_wall((1.2, 0.35, 1.2))
    _finish(f, floor_things=3)


def kitchen(f: Furnisher) -> None:
    """A row of kitchen units and devices along a wall, cabinets above, a table with chairs."""
    x = -f.plan.width / 2 + 0.05
    body = f.dice.chance(0.5)
    for _ in range(8):
        unit = f.draw(("kitchen", "kitchen", "appliance"), (1.1, 0.8, 2.1), vary=0.06)
        if unit is None or unit.size_m[2] < 0.5:
            continue
        wide, deep, high = unit.size_m
        if x + wide > f.plan.width / 2 - 0.05:
            break
        spot = Place(x + wide / 2, f.plan.depth / 2 - deep / 2 - 0.01, 0.0, 0.0)
        x += wide + 0.005
        # Neighbours touch one another, so that the gap between pieces is left out of the claim.
        if not f.plan.claim(spot.x, spot.y, wide / 2 - 0.06, deep / 2):
            continue
        piece = f.put(unit, spot)
        if high < 1.2:
            f.things_on(piece, f.dice.integer(0, 3))
            above = f.draw(("wall",), (wide + 0.02, 0.45, 0.8)) if body else None
            if above is not None and above.size_m[0] > 0.3:
                level = min(1.45, f.room[2] - above.size_m[2])
                depth = f.plan.depth / 2 - above.size_m[1] / 2
                f.put(above, Place(spot.x, depth, level, 0.0))
    table = f.in_room(("table",), (1.8, 1.2, 1.0), margin=0.45)
    if table is not None:
        f.seats_around(table, ("seat",), 0.75)
        f.things_on(table, f.dice.integer(1, 7))
    _along_walls(f, ("appliance", "cupboard", "kitchen", "thing", "seat"), 1, 4)
    _finish(f, floor_things=2)


def sparse_room(f: Furnisher) -> None:
    """Few, large pieces: wardrobes and cupboards, often larger than usual."""
    for _ in range(f.dice.integer(1, 5)):
        model = f.draw(
            ("cupboard", "cupboard", "shelf", "appliance", "sofa"), (3.2, 1.0, 2.2), 0.3
        )
        if model is None:
            continue
        wide, deep, high = model.size_m
        high = min(high * f.dice.uniform(1.0, 1.3), f.room[2] - 0.03)
        corners = model.corners.copy()
        corners[..., 2] *= high / model.size_m[2]
        model = replace(model, corners=corners, size_m=(wide, deep, high))
        place = f.plan.against_wall(wide, deep, f.dice)
        if place is not None:
            _fill_top(f, f.put(model, place))
    if f.dice.chance(0.5):
        _fill_top(f, f.in_room(("table", "desk", "thing", "seat"), (2.2, 1.4, 1.5)))
    _finish(f, floor_things=2)


CONTENTS: dict[str, Callable[[Furnisher], None]] = {
    "living": living_room,
    "bedroom": bedroom,
    "office": office,
    "corridor": corridor,
    "kitchen": kitchen,
    "sparse": sparse_room,
}


def _along_walls(f: Furnisher, kinds: tuple[str, ...], fewest: int, most: int) -> None:
    """Add pieces along the walls, with things on those that are low enough."""
    for _ in range(f.dice.integer(fewest, most)):
        largest = (2.4, 0.9, 2.3) if f.dice.chance(0.7) else _SHALLOW
        piece = f.at_wall(kinds, largest)
        if piece is not None and piece.model.kind == "desk":
            f.seat_before(piece)
        _fill_top(f, piece)


def _fill_top(f: Furnisher, piece: Standing | None) -> None:
    if piece is not None and piece.model.size_m[2] < 1.4 and piece.model.kind != "seat":
        f.things_on(piece, f.dice.integer(0, 4))


def _rug(f: Furnisher) -> None:
    """Lay a rug near the middle of the room; it takes no place from the furniture."""
    if not f.dice.chance(0.6):
        return
    x, y = (f.dice.uniform(-0.15, 0.15) * side for side in (f.plan.width, f.plan.depth))
    model = f.draw(("floor",), (0.6 * f.plan.width, 0.6 * f.plan.depth, 0.05))
    if model is not None and f.dice.chance(0.4):
        f.put(model, Place(x, y, 0.002, f.dice.uniform(-0.3, 0.3)))
        return
    rug = replace(f.palette.pick(f.dice, "rug"), repeat_m=0.0, offset=(0.5, 0.5))
    size = (
        f.dice.uniform(0.2, 0.5) * f.plan.width,
        f.dice.uniform(0.2, 0.5) * f.plan.depth,
        0.012,
    )
    f.build.box(Place(x, y, 0.0, f.dice.uniform(-0.3, 0.3)), (0, 0, 0.006), size, rug)


def _finish(f: Furnisher, floor_things: int) -> None:
    """Add things on the walls and on the floor, a lamp, and now and then a person."""
    for _ in range(f.dice.integer(0, 2)):
        f.on_wall((1.5, 0.4, 1.0))
    if f.dice.chance(0.4):
        f.in_room(("lamp", "plant", "plant"), (0.9, 0.9, f.room[2] - 0.2))
    if f.dice.chance(0.12):
        f.in_room(("person",), (0.9, 0.7, 2.0))
    for _ in range(f.dice.integer(0, floor_things)):
        f.in_room(("small", "thing", "small", "seat"), (0.8, 0.8, 1.2))
    lamp = f.draw(("hanging_lamp",), (1.0, 1.0, 0.9))
    if lamp is not None and f.dice.chance(0.35) and f.room[2] - lamp.size_m[2] > 1.9:
        x, y = f.dice.uniform(-0.2, 0.2) * f.plan.width, f.dice.uniform(-0.2, 0.2) * f.plan.depth
        f.put(lamp, Place(x, y, f.room[2] - lamp.size_m[2], f.dice.uniform(-3.0, 3.0)))
