"""Map files by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2e_slam_ros.errors import MapError
from e2e_slam_ros.mapping.map_checkpoint import save_map
from e2e_slam_ros.mapping.pcd import write_pcd
from e2e_slam_ros.mapping.ply import write_ply
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.top_down import top_down_picture, write_png

Up = tuple[float, float, float]

_WRITERS: dict[str, Callable[[Path, SurfelMap, Up], Path]] = {
    ".ply": lambda path, surfel_map, _: write_ply(path, surfel_map.snapshot()),
    ".pcd": lambda path, surfel_map, _: write_pcd(path, surfel_map.snapshot()),
    ".safetensors": lambda path, surfel_map, _: save_map(path, surfel_map),
    ".png": lambda path, surfel_map, up: write_png(
        path, top_down_picture(surfel_map.snapshot(), up=up)
    ),
}
SUFFIXES = tuple(_WRITERS)


def save(path: str | Path, surfel_map: SurfelMap, up: Up = (0.0, 0.0, 1.0)) -> Path:
    """Write the map and return the absolute path; the file appears whole or not at all.

    The suffix says what is written: ``.ply`` and ``.pcd`` a point cloud with normals, colours
    and confidence, ``.safetensors`` a checkpoint that `load_map` reads, ``.png`` a picture from
    above. Call it while nothing fuses into the map.

    Args:
        path: the file; missing folders are made.
        surfel_map: the map.
        up: direction against gravity in the map frame, for pictures.

    Raises:
        MapError: another suffix, a map without surfels, or a file that cannot be written. An
            older file stays as it was.
    """
    target = Path(path)
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise MapError.from_parts(
            f"map file {target}",
            f"the suffix {target.suffix!r}",
            "one of " + ", ".join(SUFFIXES),
            "the suffix chooses the format: choose one of these",
        )
    if len(surfel_map) == 0:
        raise MapError.from_parts(
            "map", "no surfels", "at least one mapped keyframe", "wait for it, then save"
        )
    return writer(target, surfel_map, up)
