"""Procedural indoor scenes: random furnished rooms and a ray caster with exact depth.

`generate_scene` makes a room from a seed, `generate_furnished_scene` one with models of a library.
`render` makes images, depths and normals of scenes on any device; training uses it directly.
`ProceduralReader` offers a room as a recorded sequence.
"""

from __future__ import annotations

from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.furnished_rooms import generate_furnished_scene
from e2e_slam_ros.simulation.furniture_file import load_furniture
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.reader import ProceduralReader, random_camera
from e2e_slam_ros.simulation.renderer import RenderedViews, Renderer, render
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory

__all__ = [
    "FurnitureLibrary",
    "MotionStyle",
    "ProceduralReader",
    "RenderedViews",
    "Renderer",
    "Scene",
    "SensorEffects",
    "generate_furnished_scene",
    "generate_scene",
    "load_furniture",
    "random_camera",
    "render",
    "smooth_trajectory",
]
