"""Small made-up furniture: boxes, written as a catalogue or kept as a library."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from e2e_slam_ros.simulation.furniture_kinds import KINDS
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary, FurnitureModel
from e2e_slam_ros.simulation.mesh_clusters import mesh_clusters

LICENCE = "Creative Commons Attribution 3.0, http://creativecommons.org/licenses/by/3.0/"

# The corners of a box from 0 to 2 x 4 x 3 (x, height, front), and its faces as quads.
OBJ = """mtllib {mtl}
v 0 0 0
v 2 0 0
v 2 4 0
v 0 4 0
v 0 0 3
v 2 0 3
v 2 4 3
v 0 4 3
vt 0 0
vt 1 0
vt 1 0.4
vt 0 0.4
usemtl back
f 4 3 2 1
usemtl front
f -4/1 -3/2 -2/3 -1/4
usemtl other
f 1 2 6 5
f 4 8 7 3
f 1 5 8 4
f 2 3 7 6
"""
MTL = """newmtl back
Kd 0.2 0.4 0.6
newmtl front
Kd 1 1 1
map_Kd picture.png
newmtl other
Kd 0.8 0.1 0.1
"""
ENTRY = """id#{n}=box{n}
name#{n}={name}
category#{n}={category}
model#{n}=/models/{file}
width#{n}=80
depth#{n}=60
height#{n}=100
creator#{n}={author}
"""


def box_corners(wide: float, deep: float, high: float, steps: int = 1) -> np.ndarray:
    """(T, 3, 3) triangles of a closed box on z = 0, each face in steps x steps squares."""
    grid = np.linspace(-1.0, 1.0, steps + 1)
    faces = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            for a0, a1 in zip(grid[:-1], grid[1:], strict=True):
                for b0, b1 in zip(grid[:-1], grid[1:], strict=True):
                    quad = np.zeros((4, 3))
                    quad[:, axis] = side
                    quad[:, (axis + 1) % 3] = [a0, a1, a1, a0]
                    quad[:, (axis + 2) % 3] = [b0, b0, b1, b1]
                    faces += [quad[[0, 1, 2]], quad[[0, 2, 3]]]
    half = np.array([wide, deep, high]) / 2
    return (np.array(faces) * half + [0, 0, high / 2]).astype(np.float32)


def model_of(corners: np.ndarray, kind: str = "small", part: int = 3) -> FurnitureModel:
    """A model of random colours."""
    order, clusters = mesh_clusters(corners)
    corners = corners[order]
    random = np.random.default_rng(len(corners))
    size = np.maximum(np.ptp(corners.reshape(-1, 3), axis=0), 0.01)
    return FurnitureModel(
        corners=corners,
        colour=random.random((len(corners), 3)).astype(np.float32),
        part=random.integers(0, part, len(corners)),
        clusters=clusters,
        size_m=(float(size[0]), float(size[1]), float(size[2])),
        elevation_m=1.2 if kind in ("wall", "hanging_lamp") else 0.0,
        kind=kind,
        name=f"Model of {kind}",
        author="Ann Example",
        licence="CC0-1.0",
    )


def library() -> FurnitureLibrary:
    """Two models of every kind, boxes of a size that fits the kind."""
    sizes = {"small": (0.2, 0.15, 0.1), "seat": (0.5, 0.5, 0.9), "floor": (1.0, 0.8, 0.01),
             "electronics": (0.4, 0.2, 0.35), "desk": (1.4, 0.7, 0.75), "table": (1.2, 0.8, 0.75),
             "table_lamp": (0.2, 0.2, 0.4), "pot_plant": (0.3, 0.3, 0.4)}  # fmt: skip
    models = []
    for kind in KINDS:
        wide, deep, high = sizes.get(kind, (0.9, 0.45, 1.1))
        models.append(model_of(box_corners(wide, deep, high, steps=4), kind))
        models.append(model_of(box_corners(0.8 * wide, 0.9 * deep, 0.9 * high), kind))
    return FurnitureLibrary.of(models)


def write_catalogue(path: Path, picture: bytes, licence: str = LICENCE) -> Path:
    """A catalogue of a chair with a picture, one without materials, a garage door, a lost one."""
    names = [("Chair", "Living room", "chair.obj", "Ann"), ("Stool", "Kitchen", "bare.obj", "Bob"),
             ("Garage door", "Doors and windows", "chair.obj", "Bob"),
             ("Sofa", "Living room", "lost.obj", "Bob")]  # fmt: skip
    text = "license=as told\n"
    for n, (name, category, file, author) in enumerate(names, 1):
        text += ENTRY.format(n=n, name=name, category=category, file=file, author=author)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", text)
        archive.writestr("LICENSE.TXT", licence)
        archive.writestr("models/chair.obj", OBJ.format(mtl="chair.mtl"))
        archive.writestr("models/chair.mtl", MTL)
        archive.writestr("models/picture.png", picture)
        archive.writestr("models/bare.obj", OBJ.format(mtl="missing.mtl"))
    return path
