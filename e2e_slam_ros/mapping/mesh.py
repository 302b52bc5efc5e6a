"""Triangle meshes of the map through Open3D: a Poisson surface from surfels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import open_atomic
from e2e_slam_ros.mapping.ply import ply_header, write_records
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

# Open3D's Poisson solver ends the process when it gets next to nothing.
_FEWEST_SURFELS = 100
# Deeper octrees take more memory than a map of this size is worth.
_DEPTHS = (5, 12)
# Side of the solver's cube over that of the surfels' bounding cube (Open3D's default).
_CUBE_SCALE = 1.1
# A triangle farther from every surfel than this many cells is the solver's invention.
_REACH_CELLS = 2.0

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")),
        *((name, "u1") for name in ("red", "green", "blue")),
    ]
)
_FACE = np.dtype([("count", "u1"), ("vertices", "<i4", (3,))])


@dataclass(frozen=True, eq=False)
class Mesh:
    """V vertices and F triangles in the map frame.

    >>> corners = np.eye(3, dtype=np.float32)
    >>> grey = np.full((3, 3), 128, np.uint8)
    >>> Mesh(corners, corners, grey, np.array([[0, 1, 2]], np.int32)).triangles.shape
    (1, 3)

    Attributes:
        vertices: (V, 3) float32, metres.
        normals: (V, 3) float32, unit.
        colors: (V, 3) uint8, RGB.
        triangles: (F, 3) int32, vertex numbers, counter-clockwise seen from outside.
    """

    vertices: npt.NDArray[np.float32]
    normals: npt.NDArray[np.float32]
    colors: npt.NDArray[np.uint8]
    triangles: npt.NDArray[np.int32]


def mesh_from_surfels(cloud: SurfelCloud, cell_m: float = 0.03) -> Mesh:
    """Return a surface through the surfels (Kazhdan and Hoppe 2013, screened Poisson).

    Poisson surfaces are closed; what lies farther than two cells from every surfel is cut off
    again, so that unseen parts stay open. A million surfels take some 25 s on two CPU cores.

    Args:
        cloud: the map.
        cell_m: finest resolution, metres; not below half the distance between surfels.

    Raises:
        MapError: Open3D is missing, or there are too few surfels to make a surface.
    """
    open3d = _open3d()
    _check_length("cell_m", cell_m)
    finite = np.isfinite(cloud.positions).all(axis=1) & np.isfinite(cloud.normals).all(axis=1)
    positions = cloud.positions[finite].astype(np.float64)
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    if len(positions) < _FEWEST_SURFELS or extent < cell_m:
        raise MapError.from_parts(
            "mesh of the map",
            f"{len(positions)} surfels over {extent:.3g} m",
            f"at least {_FEWEST_SURFELS} over more than {cell_m:g} m",
            "map more, then try again",
        )
    points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(positions))
    points.normals = open3d.utility.Vector3dVector(cloud.normals[finite].astype(np.float64))
    points.colors = open3d.utility.Vector3dVector(cloud.colors[finite] / 255.0)
    depth = math.ceil(math.log2(_CUBE_SCALE * extent / cell_m))
    depth = min(max(depth, _DEPTHS[0]), _DEPTHS[1])
    mesh, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
        points, depth=depth, scale=_CUBE_SCALE
    )
    # Metres, where the solver's own density has a unit that changes with depth and extent.
    reach = _REACH_CELLS * max(cell_m, _CUBE_SCALE * extent / 2**depth)
    distance, _ = cKDTree(positions).query(
        np.asarray(mesh.vertices), distance_upper_bound=reach, workers=-1
    )
    mesh.remove_vertices_by_mask(distance > reach)
    mesh.remove_unreferenced_vertices()
    mesh.compute_vertex_normals()
    return _mesh(mesh)


def write_mesh(path: str | Path, mesh: Mesh) -> Path:
    """Write a binary ``.ply`` or an ``.obj`` with vertex colours; returns the absolute path.

    Raises:
        MapError: another suffix, or a file that cannot be written; it appears whole or not at
            all.
    """
    target = Path(path).expanduser().absolute()
    writers = {".ply": _write_ply, ".obj": _write_obj}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise MapError.from_parts(
            f"mesh file {target}",
            f"the suffix {target.suffix!r}",
            "one of " + ", ".join(writers),
            "choose one of these",
        )
    writer(target, mesh)
    return target


def _write_ply(target: Path, mesh: Mesh) -> None:
    vertices = np.empty(len(mesh.vertices), dtype=_VERTEX)
    for axis, name in enumerate("xyz"):
        vertices[name] = mesh.vertices[:, axis]
        vertices[f"n{name}"] = mesh.normals[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = mesh.colors[:, channel]
    faces = np.empty(len(mesh.triangles), dtype=_FACE)
    faces["count"], faces["vertices"] = 3, mesh.triangles
    more = (f"element face {len(faces)}", "property list uchar int vertex_indices")
    write_records(target, ply_header(len(vertices), _VERTEX, *more), vertices, faces)


def _write_obj(target: Path, mesh: Mesh) -> None:
    with open_atomic(target, MapError) as file:
        colored = np.hstack([mesh.vertices, mesh.colors / 255.0])
        np.savetxt(file, colored, "v %.6g %.6g %.6g %.4g %.4g %.4g")
        np.savetxt(file, mesh.normals, "vn %.4g %.4g %.4g")
        # Vertex and normal of a corner have the same number, counted from 1.
        np.savetxt(file, (mesh.triangles + 1).repeat(2, axis=1), "f %d//%d %d//%d %d//%d")


def _mesh(mesh: Any) -> Mesh:
    colors = np.asarray(mesh.vertex_colors) * 255.0
    return Mesh(
        vertices=np.asarray(mesh.vertices).astype(np.float32),
        normals=np.asarray(mesh.vertex_normals).astype(np.float32),
        colors=colors.round().clip(0, 255).astype(np.uint8),
        triangles=np.asarray(mesh.triangles).astype(np.int32),
    )


def _check_length(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise MapError.from_parts(name, value, "a length above 0 metres", "give one")


def _open3d() -> Any:
    """Import Open3D, which is large and not installed everywhere."""
    try:
        import open3d
    except (ImportError, OSError) as problem:
        raise MapError.from_parts(
            "meshes",
            f"no Open3D ({problem})",
            "Open3D 0.18 or newer",
            "`pip install open3d-cpu` (x86-64 Linux) or `pip install open3d`; if a shared "
            "library is missing, `sudo apt-get install libusb-1.0-0 libgl1 libgomp1`",
        ) from problem
    return open3d
