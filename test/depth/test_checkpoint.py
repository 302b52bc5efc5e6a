"""Weights from files: what loads, and why everything else does not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.errors import ConfigError, DepthError


def _state(network: DispResNet18) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def _load(path: Path) -> DispResNet18:
    return load_weights(path, "disp_resnet18")


def _refused(path: Path) -> str:
    with pytest.raises(DepthError) as refusal:
        _load(path)
    message = str(refusal.value)
    assert str(path) in message and ": got " in message and "expected " in message
    return message


def _same(a: DispResNet18, b: DispResNet18) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[key]) for key, value in a.state_dict().items())


def test_the_authors_format_round_trips(network: DispResNet18, weights: Path) -> None:
    loaded = _load(weights)
    assert _same(loaded, network)
    assert not loaded.training
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(image), network(image))


@pytest.mark.parametrize("kind", ["zip", "legacy", "flat", "parallel", "safetensors", "half"])
def test_every_supported_container(network: DispResNet18, tmp_path: Path, kind: str) -> None:
    state: dict[str, Any] = _state(network)
    path = tmp_path / "model.pth.tar"
    if kind == "safetensors":
        path = tmp_path / "model.safetensors"
        save_file(state, path)
    elif kind == "legacy":  # what torch wrote before 1.6, as in 2019 and 2020
        content = {"epoch": 1, "state_dict": state}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif kind == "flat":
        torch.save(state, path)
    elif kind == "parallel":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    elif kind == "half":
        torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    else:
        torch.save({"epoch": 1, "state_dict": state}, path)
    loaded = _load(path)
    if kind == "half":
        rounded = loaded.state_dict()["encoder.encoder.conv1.weight"]
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(
            rounded, state["encoder.encoder.conv1.weight"], rtol=1e-3, atol=1e-6
        )
    else:
        assert _same(loaded, network)


def test_the_unused_head_and_counters_may_be_missing(
    network: DispResNet18, tmp_path: Path
) -> None:
    state = {
        key: value
        for key, value in _state(network).items()
        if ".fc." not in key and "num_batches" not in key
    }
    torch.save({"state_dict": state}, tmp_path / "model.pth")
    assert _same(_load(tmp_path / "model.pth"), network)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in _refused(tmp_path / "absent.pth.tar")


def test_a_folder(tmp_path: Path) -> None:
    assert "directory" in _refused(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.pth"
    path.touch()
    assert "empty file" in _refused(path)


@pytest.mark.parametrize("kept", [0.0001, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_file(network: DispResNet18, tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / "model.bin"
    if kind == "safetensors":
        save_file(_state(network), path)
    else:
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    message = _refused(path)
    assert "truncated" in message and "bytes" in message


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html>",
        b"version https://git-lfs.github.com/spec/v1",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pth.tar"
    path.write_bytes(content * 20)
    message = _refused(path)
    assert repr(content[:8])[2:-1] in message and "web page" in message


def test_random_bytes_after_a_pickle_header(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        noise = torch.randint(0, 256, (200,), generator=generator, dtype=torch.uint8)
        path.write_bytes(b"\x80\x02" + noise.numpy().tobytes())
        _refused(path)


class _Executes:
    """Runs code when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("kind", ["torch", "legacy", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    marker, path = tmp_path / "executed", tmp_path / "model.pth.tar"
    content = {"epoch": 1, "state_dict": {}, "extra": _Executes(marker)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
    message = _refused(path)
    assert not marker.exists()
    assert "needs code to be run" in message


def test_a_pickle_torch_did_not_write(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"epoch": 1}, protocol=4))
    assert "damaged" in _refused(path)


@pytest.mark.parametrize(
    "content",
    [{}, {"state_dict": {}}, [torch.zeros(1)], torch.zeros(3), {"epoch": 3, "loss": 0.1}, None],
)
def test_a_file_without_weights(tmp_path: Path, content: object) -> None:
    path = tmp_path / "model.pth"
    torch.save(content, path)
    assert "state_dict" in _refused(path)


def test_another_architecture_names_the_keys(network: DispResNet18, tmp_path: Path) -> None:
    state = _state(network)
    del state["encoder.encoder.layer2.0.conv1.weight"]
    state["uncertainty.conv.weight"] = torch.zeros(1)
    state["decoder.decoder.3.conv.conv.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "model.pth")
    message = _refused(tmp_path / "model.pth")
    assert "without encoder.encoder.layer2.0.conv1.weight" in message
    assert "with uncertainty.conv.weight" in message
    assert "decoder.decoder.3.conv.conv.bias (7,) instead of (128,)" in message


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("encoder.encoder.layer1.0.conv3.weight", "ResNet-50"),
        ("decoder.upconvs0.0.conv.conv.weight", "SC-Depth"),
        ("decoder.net.0.weight", "pose network"),
        ("classifier.weight", "SC-SfMLearner"),
    ],
)
def test_relatives_are_recognised(tmp_path: Path, key: str, words: str) -> None:
    torch.save({"state_dict": {key: torch.zeros(1)}}, tmp_path / "model.pth")
    message = _refused(tmp_path / "model.pth")
    assert words in message and "more" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(network: DispResNet18, tmp_path: Path, value: float) -> None:
    state = _state(network)
    state["decoder.decoder.10.conv.bias"][0] = value
    torch.save(state, tmp_path / "model.pth")
    message = _refused(tmp_path / "model.pth")
    assert "NaN or infinite values in decoder.decoder.10.conv.bias" in message


def test_unknown_architecture(weights: Path) -> None:
    with pytest.raises(ConfigError, match="one of disp_resnet18"):
        load_weights(weights, "disp_resnet50")


@pytest.mark.gpu
def test_weights_go_to_the_device(weights: Path) -> None:
    network = load_weights(weights, "disp_resnet18", "cuda")
    assert all(p.is_cuda for p in network.parameters())
