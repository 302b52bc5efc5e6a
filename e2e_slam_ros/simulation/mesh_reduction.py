"""From an OBJ file to a few hundred coloured triangles. Needs Open3D."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import ConfigError, DataError

Floats = npt.NDArray[np.float64]
# Parts of less than this share of the area are left out where there are too many triangles.
_SMALLEST_SHARE = 1e-3
_FEWEST = 8
# Area and box of a reduced mesh, relative to the original. Outside it has lost its shape.
_AREA_KEPT, _BOX_KEPT = 0.6, 0.93
# Loose triangles cannot be joined. More than this, relative to what was asked for, is refused.
_TOO_MANY = 4.0
# A mesh of leaves is thinned to this many times the triangles that it is then reduced to.
_LEAVES_LEFT = 4
# Points of a triangle where its texture is looked up.
_BARYCENTRIC = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]]) / [[3], [6], [6], [6]]


@dataclass(frozen=True, eq=False)
class ColouredMesh:
    """T triangles.

    Attributes:
        corners: (T, 3, 3) float64.
        colour: (T, 3) float64, sRGB in [0, 1].
        part: (T,) int64, number of the material.

    >>> ColouredMesh(np.zeros((1, 3, 3)), np.zeros((1, 3)), np.zeros(1, np.int64)).colour.shape
    (1, 3)
    """

    corners: Floats
    colour: Floats
    part: npt.NDArray[np.int64]


def read_obj(path: Path) -> ColouredMesh:
    """Return the triangles of an OBJ file.

    A triangle's colour is the mean of the texture at some of its points, or the material's
    diffuse colour. A material or picture that is missing gives grey.

    Raises:
        DataError: there are no triangles in the file.
    """
    o3d = _open3d()
    before = o3d.utility.get_verbosity_level()
    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    try:
        model = o3d.io.read_triangle_model(str(path))
    finally:
        o3d.utility.set_verbosity_level(before)
    corners, colours, parts = [np.zeros((0, 3, 3))], [np.zeros((0, 3))], []
    for piece in model.meshes:
        mesh = piece.mesh
        triangles = np.asarray(mesh.triangles)
        corners.append(np.asarray(mesh.vertices)[triangles])
        uv = np.asarray(mesh.triangle_uvs).reshape(-1, 3, 2)
        colours.append(_colours(model.materials[piece.material_idx], uv, len(triangles)))
        parts.append(np.full(len(triangles), piece.material_idx))
    points = np.concatenate(corners)
    if not len(points) or not np.isfinite(points).all():
        raise DataError.from_parts(
            f"model {path}", f"{len(points)} triangles", "finite triangles", "leave it out"
        )
    return ColouredMesh(points, np.concatenate(colours), np.concatenate(parts))


def _colours(material: Any, uv: Floats, count: int) -> Floats:
    """Return (count, 3) sRGB colours of triangles with texture coordinates (count, 3, 2)."""
    base = np.clip(np.array(material.base_color[:3], dtype=np.float64), 0.0, 1.0)
    image = None if material.albedo_img is None else np.asarray(material.albedo_img)
    if image is None or image.size == 0 or len(uv) != count:
        return np.tile(base, (count, 1))
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    points = np.einsum("pk,tkc->tpc", _BARYCENTRIC, uv)
    height, width = image.shape[:2]
    column = np.floor(points[..., 0] % 1.0 * width).astype(int) % width
    row = np.floor((-points[..., 1]) % 1.0 * height).astype(int) % height
    # Many files give black to materials with a picture. The hue alone is kept.
    hue = base / base.max() if base.max() > 0 else np.ones(3)
    colours: Floats = image[row, column].mean(axis=1) / 255.0 * hue
    return colours


def thin_leaves(mesh: ColouredMesh, most: int, seed: int = 0) -> ColouredMesh:
    """Return a plant with a random share of its loose parts, whole ones, largest ones first.

    A part is a set of triangles that touch. Half of the room for triangles goes to the largest
    parts, pots and trunks, and half to leaves drawn at random.

    Args:
        most: triangles that the plant is to be reduced to afterwards.
    """
    limit = _LEAVES_LEFT * most
    if len(mesh.corners) <= limit:
        return mesh
    whole = _joined(mesh)
    part = np.asarray(whole.cluster_connected_triangles()[0])
    count, area = np.bincount(part), np.bincount(part, _areas(mesh.corners))
    mean = area / count
    by_area = np.argsort(-area, kind="stable")
    large = by_area[np.cumsum(count[by_area]) <= limit // 2]
    rest = np.setdiff1d(np.arange(len(count)), large)
    # Leaves of many small triangles cost the most and show the least.
    order = np.argsort(np.random.default_rng(seed).random(len(rest)) / mean[rest])
    leaves = rest[order][np.cumsum(count[rest[order]]) <= limit // 2]
    return _taken(mesh, np.isin(part, np.concatenate([large, leaves])))


def reduce_mesh(
    mesh: ColouredMesh, most: int, area_kept: float = _AREA_KEPT
) -> ColouredMesh | None:
    """Return a mesh of about ``most`` triangles, or None where it loses its shape.

    Every material is reduced on its own (quadric error metric: Garland and Heckbert, "Surface
    simplification using quadric error metrics", SIGGRAPH 1997). The colour of a new triangle is
    that of the original one nearest to its centre.

    Args:
        area_kept: share of the area that must be left.
    """
    area = _areas(mesh.corners)
    mesh, area = _taken(mesh, area > 0), area[area > 0]
    if not len(area):
        return None
    if len(area) <= most:
        return mesh
    parts, index = np.unique(mesh.part, return_inverse=True)
    part_area, part_count = np.bincount(index, area), np.bincount(index)
    keep = part_area >= _SMALLEST_SHARE * part_area.sum()
    weight = np.sqrt(part_area / part_area.sum() * part_count / part_count.sum()) * keep
    budget = most * weight / weight.sum()
    # What small parts do not use goes to the others.
    full = part_count <= budget
    if full.any() and not full.all():
        rest = most - part_count[full].sum()
        budget[~full] = rest * weight[~full] / max(weight[~full].sum(), 1e-9)
    pieces = []
    for number in np.flatnonzero(keep):
        one = _taken(mesh, index == number)
        pieces.append(_decimated(one, max(_FEWEST, int(budget[number]))))
    reduced = ColouredMesh(
        np.concatenate([piece.corners for piece in pieces]),
        np.concatenate([piece.colour for piece in pieces]),
        np.concatenate([piece.part for piece in pieces]),
    )
    if len(reduced.corners) > _TOO_MANY * most:
        return None
    return reduced if _alike(mesh, reduced, area_kept) else None


def _decimated(mesh: ColouredMesh, most: int) -> ColouredMesh:
    if len(mesh.corners) <= most:
        return mesh
    o3d, whole = _open3d(), _joined(mesh)
    whole.remove_duplicated_triangles()
    whole.remove_degenerate_triangles()
    few = whole.simplify_quadric_decimation(most)
    corners = np.asarray(few.vertices)[np.asarray(few.triangles)]
    corners = corners[np.isfinite(corners).all(axis=(1, 2)) & (_areas(corners) > 0)]
    if not len(corners):
        return _taken(mesh, np.zeros(len(mesh.corners), dtype=bool))
    original = o3d.t.geometry.RaycastingScene()
    original.add_triangles(
        o3d.core.Tensor.from_numpy(mesh.corners.reshape(-1, 3).astype(np.float32)),
        o3d.core.Tensor.from_numpy(
            np.arange(3 * len(mesh.corners), dtype=np.uint32).reshape(-1, 3)
        ),
    )
    centre = o3d.core.Tensor.from_numpy(corners.mean(axis=1).astype(np.float32))
    nearest = original.compute_closest_points(centre)["primitive_ids"].numpy()
    return ColouredMesh(corners, mesh.colour[nearest], mesh.part[nearest])


def _alike(mesh: ColouredMesh, reduced: ColouredMesh, area_kept: float) -> bool:
    """Return whether a reduced mesh still has the original's area and box."""
    if not len(reduced.corners):
        return False
    boxes = [np.ptp(m.corners.reshape(-1, 3), axis=0) for m in (mesh, reduced)]
    box_kept = (boxes[1] >= _BOX_KEPT * boxes[0] - 1e-9).all()
    share = _areas(reduced.corners).sum() / _areas(mesh.corners).sum()
    return bool(box_kept and share >= area_kept)


def _areas(corners: Floats) -> Floats:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas: Floats = 0.5 * np.linalg.norm(np.cross(first, second), axis=1)
    return areas


def _taken(mesh: ColouredMesh, mask: npt.NDArray[np.bool_]) -> ColouredMesh:
    return ColouredMesh(mesh.corners[mask], mesh.colour[mask], mesh.part[mask])


def _joined(mesh: ColouredMesh) -> Any:
    """Return an Open3D mesh whose triangles share the corners that they have in common."""
    o3d = _open3d()
    whole = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.corners.reshape(-1, 3)),
        o3d.utility.Vector3iVector(np.arange(3 * len(mesh.corners)).reshape(-1, 3)),
    )
    whole.remove_duplicated_vertices()
    return whole


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as problem:
        raise ConfigError.from_parts(
            "open3d", problem, "an Open3D that loads", "pip install -r requirements-mesh.txt"
        ) from problem
    return open3d
