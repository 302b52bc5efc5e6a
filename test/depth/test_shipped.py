"""The weights of the package: found, checked, loaded; and why not, where not."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.depth import shipped
from e2e_slam_ros.depth.architectures import ARCHITECTURES, build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.foreign import FOREIGN
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.shipped import SHIPPED, load_shipped, weights_folder
from e2e_slam_ros.depth.weights_file import read_metadata
from e2e_slam_ros.slam.depth_sources import build_depth_source

CPU = torch.device("cpu")
NAME = "efficientnet_lite0.safetensors"


def write_sums(folder: Path, name: str = NAME) -> None:
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {name}\n")


@pytest.fixture
def folder(lite_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package's, with random weights."""
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(lite_weights, folder / NAME)
    write_sums(folder)
    monkeypatch.setattr(shipped, "weights_folder", lambda: folder)
    return folder


def refused(*words: str) -> None:
    with pytest.raises(DepthError) as refusal:
        load_shipped("efficientnet_lite0")
    for word in (*words, NAME, "install the package again", "depth.network.checkpoint"):
        assert word in str(refusal.value)


def test_the_network_works_without_any_setting(
    folder: Path, make_keyframe: Callable[..., Keyframe]
) -> None:
    default = SHIPPED[0]
    random = build_network(default).eval()
    save_weights(random, folder / f"{default}.safetensors", {}, half=False)
    write_sums(folder, f"{default}.safetensors")
    config = Config().with_values({"depth.source": "network", "depth.min_m": 0.01})
    source = build_depth_source(config, CPU)
    assert isinstance(source, NetworkDepth) and isinstance(source.network, LiteDepthNet)
    own = random.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in source.network.state_dict().items())
    assert float(source.estimate(make_keyframe(), Keyframes(1)).depth.max()) > 0


def test_a_truncated_file_is_not_what_was_shipped(folder: Path) -> None:
    content = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(content[:1000])
    refused("1000 bytes with SHA-256", "truncated or was changed")


def test_a_changed_file_is_not_what_was_shipped(folder: Path) -> None:
    content = bytearray((folder / NAME).read_bytes())
    content[-1] ^= 1
    (folder / NAME).write_bytes(content)
    refused("truncated or was changed")


def test_a_missing_file(folder: Path) -> None:
    (folder / NAME).unlink()
    refused("got no such file")
    (folder / "SHA256SUMS").unlink()
    refused("got no such file")


@pytest.mark.parametrize("text", [None, "", "0123 other.safetensors\n", "nonsense\n"])
def test_a_file_nobody_vouches_for(folder: Path, text: str | None) -> None:
    sums = folder / "SHA256SUMS"
    sums.unlink() if text is None else sums.write_text(text)
    refused("no SHA-256 for it in SHA256SUMS")


def test_a_package_in_an_archive(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"weights/{file.name}")
    packed = zipfile.Path(tmp_path / "package.zip", "weights/")
    monkeypatch.setattr(shipped, "weights_folder", lambda: packed)
    assert isinstance(load_shipped("efficientnet_lite0"), LiteDepthNet)


def test_the_default_architecture_is_one_with_weights() -> None:
    (architecture,) = (p for p in parameters() if p.name == "depth.network.architecture")
    assert architecture.default in SHIPPED
    assert architecture.choices == (*ARCHITECTURES, *FOREIGN)


@pytest.mark.parametrize("architecture", SHIPPED)
def test_the_shipped_file_is_the_one_that_is_vouched_for(architecture: str) -> None:
    real = Path(str(weights_folder() / f"{architecture}.safetensors"))
    assert real.stat().st_size <= 16_000_000
    lines = (real.parent / "SHA256SUMS").read_text().splitlines()
    assert f"{hashlib.sha256(real.read_bytes()).hexdigest()}  {real.name}" in lines
    assert read_metadata(real)["architecture"] == architecture


@pytest.mark.parametrize("architecture", SHIPPED)
def test_the_shipped_weights_say_depths_of_rooms(
    architecture: str, make_keyframe: Callable[..., Keyframe]
) -> None:
    chosen = {"depth.source": "network", "depth.network.architecture": architecture}
    source = build_depth_source(Config().with_values(chosen), CPU)
    estimate = source.estimate(make_keyframe(320, 256), Keyframes(1))
    assert estimate.unit == "network (learned metric scale)"
    assert float((estimate.depth > 0).float().mean()) > 0.5
