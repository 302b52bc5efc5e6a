"""Weights of the learned correction on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.learned_correction.weights_file import (
    load_correction,
    load_shipped_correction,
    save_correction,
)


def test_what_is_saved_is_loaded_to_half_precision(tmp_path: Path) -> None:
    network = CorrectionNet()
    loaded = load_correction(save_correction(network, tmp_path / "net.safetensors", {"seed": "0"}))
    assert not loaded.training
    assert not any(value.requires_grad for value in loaded.parameters())
    for own, found in zip(network.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(found, own, atol=1e-3, rtol=1e-3, check_stride=False)


def test_the_packages_weights_are_small() -> None:
    assert sum(value.numel() for value in load_shipped_correction().parameters()) < 1_000_000


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = save_weights(LiteDepthNet(), tmp_path / "lite.safetensors", {}, half=True)
    with pytest.raises(DepthError, match="other tensors"):
        load_correction(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = CorrectionNet()
    with torch.no_grad():
        network.head.weight.fill_(torch.nan)
    with pytest.raises(DepthError, match="NaN"):
        save_correction(network, tmp_path / "net.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DepthError, match="no such file"):
        load_correction(tmp_path / "none.safetensors")


def test_loading_leaves_random_numbers_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    load_shipped_correction()
    assert torch.equal(torch.rand(1), wanted)
