"""View synthesis on recorded frames: depth, pose and intrinsics must explain the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.geometry.warp import inverse_warp

CAMERA = PinholeCamera(540, 360, 495.5678, 495.4820, 269.5029, 169.1941)


def _image(folder: Path, name: str) -> torch.Tensor:
    with Image.open(folder / "rgb" / f"{name}.jpg") as image:
        pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255.0
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def _depth(folder: Path, name: str) -> torch.Tensor:
    with Image.open(folder / "depth" / f"{name}.png") as image:
        metres = np.array(image).astype(np.float32) / 1000.0
    return torch.from_numpy(metres)[None, None]


def _pose(folder: Path, name: str) -> torch.Tensor:
    for line in (folder / "groundtruth.txt").read_text().splitlines():
        if line.startswith(name):
            values = [float(v) for v in line.split()[1:]]
            T_map_camera = np.eye(4)
            T_map_camera[:3, :3] = Rotation.from_quat(values[3:]).as_matrix()
            T_map_camera[:3, 3] = values[:3]
            return torch.from_numpy(T_map_camera)
    raise AssertionError(f"no pose for {name}")


@pytest.mark.parametrize(("target", "source"), [(40, 42), (100, 101), (180, 178)])
def test_sensor_depth_and_pose_explain_the_next_image(
    shared_data: Path, target: int, source: int
) -> None:
    folder = shared_data / "hololens" / "rooms_000"
    names = [f"{1000 + index / 10:.6f}" for index in (target, source)]
    image_t, image_s = (_image(folder, name) for name in names)
    pose_t, pose_s = (_pose(folder, name) for name in names)
    depth = _depth(folder, names[0])
    motion = inverse(pose_s) @ pose_t
    k = CAMERA.matrix()
    warp = inverse_warp(image_s, depth, motion, k, k)
    assert float(warp.valid.float().mean()) > 0.3
    valid = warp.valid.expand_as(image_t)
    warped = float((warp.image - image_t).abs()[valid].mean())
    unwarped = float((image_s - image_t).abs()[valid].mean())
    backwards = inverse_warp(image_s, depth, inverse(motion), k, k)
    both = (warp.valid & backwards.valid).expand_as(image_t)
    wrong = float((backwards.image - image_t).abs()[both].mean())
    print(f"{target}->{source}: warped {warped:.4f} unwarped {unwarped:.4f} wrong {wrong:.4f}")
    assert warped < 0.5 * unwarped
    assert warped < 0.5 * wrong  # the pose's direction matters
