"""Weights of DRO on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.depth.weights_file import write_weights
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import LIGHT
from e2e_slam_ros.multiview.dro.weights_file import load_dro, save_dro


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    network = DroNetwork(LIGHT)
    path = save_dro(network, tmp_path / "dro.safetensors", {"seed": "0"}, half=False)
    loaded = load_dro(path)
    assert not loaded.training and loaded.shape == LIGHT
    own = network.state_dict()
    assert all(torch.equal(own[n], v) for n, v in loaded.state_dict().items())


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    network = DroNetwork(LIGHT)
    full = save_dro(network, tmp_path / "a.safetensors", {}, half=False).stat().st_size
    half = save_dro(network, tmp_path / "b.safetensors", {}).stat().st_size
    assert half < 0.6 * full


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = save_weights(LiteDepthNet(), tmp_path / "lite.safetensors", {}, half=True)
    with pytest.raises(DepthError, match="something else"):
        load_dro(path)


def test_tensors_of_another_shape_are_refused(tmp_path: Path) -> None:
    state = {**DroNetwork(LIGHT).state_dict(), "more": torch.zeros(3)}
    path = tmp_path / "dro.safetensors"
    write_weights(path, state, {"dro_shape": "light"})
    with pytest.raises(DepthError, match="other tensors at more"):
        load_dro(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = DroNetwork(LIGHT)
    torch.nn.init.constant_(network.pose_head.out.bias, torch.nan)
    with pytest.raises(DepthError, match="NaN"):
        save_dro(network, tmp_path / "dro.safetensors", {})
    assert not (tmp_path / "dro.safetensors").exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DepthError, match="no such file"):
        load_dro(tmp_path / "none.safetensors")
