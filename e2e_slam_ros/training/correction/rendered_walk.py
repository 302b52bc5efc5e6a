"""From a seed to the walk through one random room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.furnished_rooms import generate_furnished_scene
from e2e_slam_ros.simulation.furniture_file import load_furniture
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.reader import ProceduralReader, random_camera
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory
from e2e_slam_ros.training.correction.evidence_config import RenderedEvidenceConfig
from e2e_slam_ros.training.correction.walk_frames import WalkFrames, moved
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors
from e2e_slam_ros.training.data.rendered_file import fingerprint

# A number of the generator's streams that the scenes do not use.
_STREAM = 77
# Height over width of the images of one room after the other.
_HEIGHTS = (0.75, 0.75, 0.66875, 0.8)
# Pitch and roll of a walk's camera, radians.
_PITCH, _ROLL = (-0.35, 0.2), (-0.25, 0.25)
# Effects of the camera: blur and drift of the exposure up to these, one of these noises.
_BLUR, _DRIFT, _NOISES = 0.6, 0.08, (0.002, 0.006, 0.012)
_CLOSE_M = 0.15
# Alike in all images of a walk. The camera's noise differs from image to image: it is an effect.
_COLOURS = replace(AugmentConfig(), noise=0.0)


@dataclass(frozen=True)
class RenderedWalk:
    """The walk through room ``seed``; always the same one.

    >>> walk = RenderedWalk(RenderedEvidenceConfig(), 70000)
    >>> walk.name("recipe").startswith("rendered_")
    True
    """

    config: RenderedEvidenceConfig
    seed: int

    def name(self, recipe: str) -> str:
        """Return a name that no walk of other settings has.

        Raises:
            DataError: the archive of furniture cannot be read.
        """
        return f"rendered_{fingerprint(self.config, recipe)}_{self.seed}"

    def frames(self) -> WalkFrames:
        """Return its frames; none where the room is too crowded to walk in.

        Raises:
            DataError: the archive of furniture is missing or damaged.
        """
        config, dice = self.config, Dice(self.seed, stream=_STREAM)
        scene = _room(config, self.seed, dice)
        rate = dice.uniform(config.rate_min_hz, config.rate_max_hz)
        path = _path(scene, config.frames, rate, self.seed, dice)
        reader = _reader((scene, path), config.width, rate, self.seed, dice)
        disturbed = dice.chance(config.disturbed_share)
        disturbance = dice.uniform(0.0, config.disturbance) if disturbed else 0.0
        return WalkFrames(_seen(reader, config, dice), disturbance, dice)


def _room(config: RenderedEvidenceConfig, seed: int, dice: Dice) -> Scene:
    if config.furniture and dice.chance(config.furnished_share):
        library = load_furniture(config.furniture)
        return generate_furnished_scene(seed, library, "cpu", config.texture_size)
    return generate_scene(seed, "cpu", config.texture_size)


def _path(scene: Scene, frames: int, rate_hz: float, seed: int, dice: Dice) -> torch.Tensor:
    """Return T_map_camera, (F, 4, 4) float64; F is 0 where there is no way."""
    style = MotionStyle()
    try:
        path = smooth_trajectory(scene, frames, rate_hz, seed, style)
    except DataError:  # a crowded room: closer to the furniture then
        style = replace(style, clearance_m=_CLOSE_M)
        try:
            path = smooth_trajectory(scene, frames, rate_hz, seed, style)
        except DataError:
            return torch.empty(0, 4, 4, dtype=torch.float64)
    angles = torch.tensor([dice.uniform(*_PITCH), 0.0, dice.uniform(*_ROLL)])
    return path @ se3.exp(torch.cat([torch.zeros(3), angles]).double())


def _reader(
    walk: tuple[Scene, torch.Tensor], width: int, rate_hz: float, seed: int, dice: Dice
) -> ProceduralReader:
    height = round(_HEIGHTS[seed % len(_HEIGHTS)] * width)
    effects = SensorEffects(
        seed=seed,
        blur=dice.uniform(0.0, _BLUR),
        noise=dice.choice(_NOISES),
        exposure_drift=dice.uniform(0.0, _DRIFT),
    )
    camera = random_camera(seed, width, height)
    return ProceduralReader(
        seed,
        width=width,
        height=height,
        rate_hz=rate_hz,
        camera=camera,
        effects=effects,
        walk=walk,
    )


def _seen(reader: ProceduralReader, config: RenderedEvidenceConfig, dice: Dice) -> Iterator[Frame]:
    """Yield the frames, with the poses and focal length that the system is told."""
    # Most walks have good poses.
    strength = dice.uniform(0.0, 1.0) ** 2
    sigma_m, sigma_deg = strength * config.pose_noise_m, strength * config.pose_noise_deg
    focal = 1.0 + config.focal_noise * float(dice.randn())
    colours = dice.integer(0, 2**31 - 1)
    camera = replace(reader.camera, fx=focal * reader.camera.fx, fy=focal * reader.camera.fy)
    for index in range(len(reader)):
        frame = moved(reader[index], sigma_m, sigma_deg, dice)
        yield replace(frame, image=_coloured(frame.image, colours), camera=camera)


def _coloured(image: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    """Return an image with the light, colours and blur of a seed."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.tensor(image).permute(2, 0, 1)[None].float() / 255.0
    changed = change_colors(picture, _COLOURS, generator)[0].permute(1, 2, 0)
    return (255.0 * changed).round().to(torch.uint8).contiguous().numpy()
