"""What runs on a GPU gives what it gives on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config import Config, MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, KeyframeDecision
from e2e_slam_ros.losses.chamfer import chamfer
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.multiview.deepv2d.source import SHIPPED as DEEPV2D
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.multiview.dro.source import SHIPPED as DRO
from e2e_slam_ros.multiview.dro.views import DepthGuide, DroViews
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.preprocess import Preprocessor

pytestmark = pytest.mark.gpu
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in float32, so that both devices can be compared."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(scope="module")
def room() -> ProceduralReader:
    return ProceduralReader(5, 8, 160, 128, rate_hz=6.0, texture_size=64)


def test_chamfer_and_its_gradient() -> None:
    torch.manual_seed(0)
    local, reference = torch.rand(2, 3000, 3)
    found = []
    for device in (CPU, GPU):
        here = local.to(device).requires_grad_()
        loss = chamfer(here, reference.to(device))
        (gradient,) = torch.autograd.grad(loss, here)
        found.append((loss.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_rendered_rooms(room: ProceduralReader) -> None:
    there = ProceduralReader(5, 8, 160, 128, GPU, 6.0, texture_size=64)
    ours, theirs = room[3].depth, there[3].depth
    assert ours is not None and theirs is not None
    assert (abs(ours - theirs) < 1e-3).mean() > 0.999


def test_a_map(room: ProceduralReader) -> None:
    totals = []
    for device in (CPU, GPU):
        prepare, surfels = Preprocessor(Config().camera, device), SurfelMap(MapConfig(), device)
        for index in range(4):
            keyframe = prepare.keyframe(room[index], KeyframeDecision(True, "test"), index)
            assert keyframe.sensor_depth is not None
            depth = DepthEstimate(keyframe.sensor_depth.float(), None, "sensor", "sensor")
            surfels.fuse(keyframe, depth)
        totals.append(len(surfels))
    assert totals[0] == pytest.approx(totals[1], rel=0.005)


def test_a_plain_cameras_map(room: ProceduralReader) -> None:
    config = Config().with_values(
        {"depth.source": "network", "refine.strategy": "network", "refine.steps": 2}
    )
    depths = []
    for device in (CPU, GPU):
        system = SlamPipeline(config, device)
        for index in range(4):
            frame = replace(room[index], depth=None)
            result = system.map_keyframe(frame, system.choose_keyframe(frame, wanted=True))
        depths.append(result.estimate.depth.cpu())
    both = (depths[0] > 0) & (depths[1] > 0)
    apart = (depths[0] / depths[1]).log().abs()[both]
    assert float(both.float().mean()) > 0.5 and float(apart.median()) < 0.02


def _views(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 3, 24, 32, generator=generator).repeat_interleave(4, 3)
    k = torch.tensor([[100.0, 0, 63.5], [0, 100, 47.5], [0, 0, 1]])
    T = torch.eye(4).repeat(1, 3, 1, 1)
    T[0, :, 0, 3] = torch.tensor([0.0, 0.05, 0.1])
    return images.repeat_interleave(4, 4).to(device), k.to(device), T.to(device)


@torch.inference_mode()
def test_dro() -> None:
    depths = []
    for device in (CPU, GPU):
        images, k, T = _views(device)
        one = torch.full_like(images[:, 0, :1], 2.0)
        guide = DepthGuide(one, one, one, 0.0 * one)
        views = DroViews(images, k.expand(1, 3, 3, 3))
        network = load_dro(DRO, device)
        depths.append(network(views, 4, T[:, 1:], guide)[-1].log_depth.cpu())
        assert bool(torch.isfinite(network(views, 4, None, guide)[-1].T_i_0).all())
    torch.testing.assert_close(depths[0], depths[1], rtol=0, atol=0.02)


@torch.inference_mode()
def test_deepv2d() -> None:
    depths = []
    for device in (CPU, GPU):
        images, k, T = _views(device)
        found = load_deepv2d(DEEPV2D, device)(images, k[None], 1, T_camera_map=T, held=True)
        depths.append(found.depth.log().cpu())
    torch.testing.assert_close(depths[0], depths[1], rtol=0, atol=0.02)
