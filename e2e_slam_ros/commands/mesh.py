"""``e2e-slam mesh``: reconstruct a surface from a saved map."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

NAME = "mesh"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(NAME, help="turn a saved map into a mesh (needs Open3D)")
    parser.add_argument("map", type=Path, help="a map: .ply or .pcd of this package")
    parser.add_argument("--out", type=Path, required=True, help="the mesh: .ply or .obj")
    parser.add_argument(
        "--cell", type=float, default=0.03, help="finest detail, metres (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Read the map, reconstruct its surface (Poisson) and write it.

    Raises:
        MapError: the map or the output cannot be used, or Open3D is missing.
    """
    from e2e_slam_ros.mapping.mesh import mesh_from_surfels, write_mesh
    from e2e_slam_ros.mapping.pcd import read_pcd
    from e2e_slam_ros.mapping.ply import read_ply

    read = read_pcd if arguments.map.suffix.lower() == ".pcd" else read_ply
    print(write_mesh(arguments.out, mesh_from_surfels(read(arguments.map), arguments.cell)))
    return 0
