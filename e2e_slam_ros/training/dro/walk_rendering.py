"""From a seed to the walk through one random room."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.generate import generate_scene
from e2e_slam_ros.simulation.renderer import RenderedViews, render
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.trajectory import MotionStyle, smooth_trajectory
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.photometric_augment import change_colors
from e2e_slam_ros.training.dro.walk import NEIGHBOURS, Walk
from e2e_slam_ros.training.dro.walk_config import WalkConfig

# A number of the generator's streams that the scenes do not use.
_STREAM = 41
# Exposure of a single image against that of the walk.
_EXPOSURE = 0.06


@torch.inference_mode()
def render_walk(config: WalkConfig, seed: int, single: NetworkDepth) -> Walk:
    """Return the walk through room ``seed``; always the same one.

    Args:
        single: the network whose depth is kept beside the images.
    """
    dice = Dice(seed, stream=_STREAM)
    scene = generate_scene(seed, "cpu", config.texture_size)
    poses = _path(scene, config, seed, dice)
    camera = _camera(config, dice)
    k = camera.matrix()
    views = render([scene], poses, k.expand(len(poses), 3, 3), config.height, config.width)
    image = _photographed(views, dice)
    given = _tracked(poses, config, dice)
    stereo, weight = _stereo(image, camera, given)
    alone = torch.cat([single.predict(picture[None], k[None]) for picture in image])
    return Walk(
        image=image.mul(255.0).round().to(torch.uint8).numpy(),
        depth=views.depth[:, 0].mul(1e3).round().clamp(0, 65e3).numpy().astype(np.uint16),
        T_map_camera=poses.numpy(),
        T_given=given.numpy(),
        intrinsics=k.double().numpy(),
        single=alone[:, 0].log().half().numpy(),
        stereo=stereo.clamp(0.05, 60.0).log().half().numpy(),
        weight=weight.mul(255.0).round().to(torch.uint8).numpy(),
    )


def _path(scene: Scene, config: WalkConfig, seed: int, dice: Dice) -> torch.Tensor:
    """Return T_map_camera, (F, 4, 4) float64."""
    rate = 1.0 / dice.uniform(config.interval_min_s, config.interval_max_s)
    style = MotionStyle()
    try:
        path = smooth_trajectory(scene, config.frames, rate, seed, style)
    except DataError:  # a crowded room: closer to the furniture then
        style = replace(style, clearance_m=0.15)
        path = smooth_trajectory(scene, config.frames, rate, seed, style)
    most = math.radians(config.tilt_deg)
    angles = torch.tensor([dice.uniform(-most, most), 0.0, dice.uniform(-most, most)])
    turn = se3.exp(torch.cat([torch.zeros(3), angles]).double())
    return path @ turn


def _camera(config: WalkConfig, dice: Dice) -> PinholeCamera:
    fov = math.radians(dice.uniform(config.fov_min_deg, config.fov_max_deg))
    focal = 0.5 * config.width / math.tan(0.5 * fov)
    centre = ((config.width - 1) / 2, (config.height - 1) / 2)
    return PinholeCamera(config.width, config.height, focal, focal, *centre)


def _photographed(views: RenderedViews, dice: Dice) -> torch.Tensor:
    """Return (F, 3, H, W) images with the colours, noise and exposures of a camera."""
    image = change_colors(views.image, AugmentConfig(), dice.generator)
    gain = 1.0 + _EXPOSURE * (2.0 * dice.rand(len(image)) - 1.0)
    return (image * gain.view(-1, 1, 1, 1)).clamp(0.0, 1.0)


def _tracked(poses: torch.Tensor, config: WalkConfig, dice: Dice) -> torch.Tensor:
    """Return the poses with the errors of a tracker; its quality differs between walks."""
    strength = dice.uniform(0.0, 1.0) ** 2
    sigma = torch.tensor([config.pose_noise_m] * 3 + [math.radians(config.pose_noise_deg)] * 3)
    twist = strength * sigma * dice.randn(len(poses), 6)
    return poses @ se3.exp(twist.double())


def _stereo(
    image: torch.Tensor, camera: PinholeCamera, poses: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return motion stereo's depth and confidence of every frame, (F, H, W) each."""
    source = MotionStereoDepth(DepthConfig(), torch.device("cpu"))
    memory, answers = Keyframes(2 * NEIGHBOURS), []
    for picture, pose in zip(image, poses, strict=True):
        decision = KeyframeDecision(True, "walk")
        index = memory.next_index
        keyframe = Keyframe(index, index, index, picture[None], camera, pose, None, decision)
        answers.append(source.estimate(keyframe, memory))
        memory.add(MappedKeyframe(keyframe))
    depth = torch.cat([answer.depth[:, 0] for answer in answers])
    sure = [torch.zeros_like(a.depth) if a.confidence is None else a.confidence for a in answers]
    return depth, functional.relu(torch.cat(sure)[:, 0])
