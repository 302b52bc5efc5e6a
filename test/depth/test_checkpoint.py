"""Weights from files: what loads, and why everything else does not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import load_weights, save_weights
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.depth.weights_file import read_metadata, read_weights, write_weights


def _state(network: DepthNetwork) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def _load(path: Path) -> DepthNetwork:
    return load_weights(path, "disp_resnet18")


def _refused(path: Path) -> str:
    with pytest.raises(DepthError) as refusal:
        _load(path)
    message = str(refusal.value)
    assert str(path) in message and ": got " in message and "expected " in message
    return message


def _same(a: DepthNetwork, b: DepthNetwork) -> bool:
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


@pytest.mark.parametrize("length", [0x4B80, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle(tmp_path: Path, length: int) -> None:
    path = tmp_path / "weights.safetensors"

    def header(recipe: str) -> int:
        write_weights(path, {"bias": torch.ones(3)}, {"recipe": recipe})
        return int.from_bytes(path.read_bytes()[:8], "little")

    assert header((length - header("")) * "x") == length  # it begins with b"\x80" or b"PK"
    assert "recipe" in read_metadata(path)
    assert "recipe" in read_weights(path, "weights").metadata


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


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn, torch.complex64])
def test_quantised_weights_are_refused(
    network: DispResNet18, tmp_path: Path, kind: torch.dtype
) -> None:
    state = _state(network)
    state["decoder.decoder.0.conv.conv.weight"] = state["decoder.decoder.0.conv.conv.weight"].to(
        kind
    )
    torch.save(state, tmp_path / "model.pth")
    assert f"decoder.decoder.0.conv.conv.weight {kind}" in _refused(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("encoder.encoder.layer1.0.conv3.weight", "ResNet-50"),
        ("decoder.upconvs0.0.conv.conv.weight", "SC-Depth"),
        ("decoder.net.0.weight", "pose network"),
        ("classifier.weight", "image classifier"),
        ("fc.weight", "image classifier"),
        ("backbone.weight", "SC-SfMLearner"),
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
    with pytest.raises(
        ConfigError, match="one of efficientnet_lite2, efficientnet_lite0, disp_resnet18"
    ):
        load_weights(weights, "disp_resnet50")


@pytest.mark.gpu
def test_weights_go_to_the_device(weights: Path) -> None:
    network = load_weights(weights, "disp_resnet18", "cuda")
    assert all(p.is_cuda for p in network.parameters())


@pytest.mark.parametrize("architecture", ["efficientnet_lite0", "disp_resnet18"])
def test_what_is_saved_is_loaded(
    lite: LiteDepthNet, network: DispResNet18, tmp_path: Path, architecture: str
) -> None:
    saved: DepthNetwork = lite if architecture == "efficientnet_lite0" else network
    path = save_weights(saved, tmp_path / "new" / "w.safetensors", {"seed": "6"}, half=False)
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]
    loaded = load_weights(path, architecture)
    assert type(loaded) is type(saved) and not loaded.training and _same(loaded, saved)
    about = read_metadata(path)
    assert (about["architecture"], about["seed"]) == (architecture, "6")


def test_equal_networks_give_equal_files(lite: LiteDepthNet, tmp_path: Path) -> None:
    about = {f"key {i}": "ä" * i for i in range(20)}
    files = [save_weights(lite, tmp_path / name, about, half=True) for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_metadata(files[0])["key 3"] == "äää"


def test_half_precision_halves_the_file_and_rounds_only_convolutions(
    lite: LiteDepthNet, tmp_path: Path
) -> None:
    whole = save_weights(lite, tmp_path / "whole.safetensors", {}, half=False)
    half = save_weights(lite, tmp_path / "half.safetensors", {}, half=True)
    assert half.stat().st_size < 0.54 * whole.stat().st_size
    loaded = load_weights(half, "efficientnet_lite0")
    own = lite.state_dict()
    for name, value in loaded.state_dict().items():
        assert value.dtype == own[name].dtype
        expected = own[name].half().float() if value.dim() > 1 else own[name]
        assert torch.equal(value, expected)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), lite(image), rtol=0.01, atol=0)


def test_statistics_beyond_half_precision_are_kept(lite: LiteDepthNet, tmp_path: Path) -> None:
    changed = _copy(lite)
    changed.encoder.stem.norm.running_var[:2] = torch.tensor([1e6, 1e-9])
    path = save_weights(changed, tmp_path / "w.safetensors", {}, half=True)
    kept = load_weights(path, "efficientnet_lite0").state_dict()["encoder.stem.norm.running_var"]
    assert kept[:2].tolist() == pytest.approx([1e6, 1e-9])


def test_convolutions_beyond_half_precision_are_refused(
    lite: LiteDepthNet, tmp_path: Path
) -> None:
    changed = _copy(lite)
    with torch.no_grad():
        changed.disparity.weight[0, 0, 0, 0] = 7e4
    with pytest.raises(DepthError, match="disparity.weight.*65504.*save in full precision"):
        save_weights(changed, tmp_path / "w.safetensors", {}, half=True)
    assert list(tmp_path.iterdir()) == []
    save_weights(changed, tmp_path / "w.safetensors", {}, half=False)


def test_weights_that_are_not_finite_are_not_saved(lite: LiteDepthNet, tmp_path: Path) -> None:
    path = save_weights(lite, tmp_path / "w.safetensors", {}, half=True)
    before = path.read_bytes()
    changed = _copy(lite)
    changed.decoder.reduce[0].norm.running_mean[3] = float("nan")
    with pytest.raises(DepthError, match=r"NaN .*decoder.reduce.0.norm.running_mean"):
        save_weights(changed, path, {}, half=True)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written(lite: LiteDepthNet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DepthError, match="expected a writable folder"):
        save_weights(lite, tmp_path / "file" / "w.safetensors", {}, half=True)
    assert (tmp_path / "file").read_text() == ""


def test_a_network_of_another_kind_is_not_saved(tmp_path: Path) -> None:
    class Other(LiteDepthNet):
        """Loads as nothing else."""

    with pytest.raises(DepthError, match="got Other, expected one of"):
        save_weights(Other(), tmp_path / "w.safetensors", {}, half=True)
    assert list(tmp_path.iterdir()) == []


def test_the_label_of_another_architecture_says_what_to_set(lite_weights: Path) -> None:
    message = _refused(lite_weights)
    assert "weights of efficientnet_lite0, expected weights of disp_resnet18" in message
    assert "set depth.network.architecture to efficientnet_lite0" in message


def test_an_unknown_label_is_refused(lite: LiteDepthNet, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, lite.state_dict(), {"architecture": "midas"})
    with pytest.raises(DepthError, match="weights of midas.*leave depth.network.checkpoint empty"):
        load_weights(path, "efficientnet_lite0")


def test_unlabelled_weights_of_another_architecture_are_recognised(
    weights: Path, lite: LiteDepthNet, tmp_path: Path
) -> None:
    with pytest.raises(DepthError, match="set depth.network.architecture to disp_resnet18"):
        load_weights(weights, "efficientnet_lite0")
    torch.save(lite.state_dict(), tmp_path / "w.pth")
    assert "set depth.network.architecture to efficientnet_lite0" in _refused(tmp_path / "w.pth")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9999])
def test_one_changed_byte_is_noticed(lite_weights: Path, tmp_path: Path, place: float) -> None:
    content = bytearray(lite_weights.read_bytes())
    content[int(place * len(content))] ^= 1
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(DepthError, match="changed since it was written .*copy or download"):
        load_weights(path, "efficientnet_lite0")


def test_metadata_of_other_files(weights: Path, tmp_path: Path) -> None:
    assert read_metadata(weights) == {}
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    assert read_metadata(plain) == {}
    for name, content, words in (
        ("absent", None, "no such file"),
        ("page", b"<html>" * 9, "web page"),
        ("cut", plain.read_bytes()[:20], "truncated"),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DepthError, match=words):
            read_metadata(path)


def test_loading_leaves_random_numbers_alone(weights: Path, lite_weights: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    load_weights(weights, "disp_resnet18")
    load_weights(lite_weights, "efficientnet_lite0")
    assert torch.equal(torch.rand(3), expected)


def _copy(lite: LiteDepthNet) -> LiteDepthNet:
    copy = build_network("efficientnet_lite0")
    assert isinstance(copy, LiteDepthNet)
    copy.load_state_dict(lite.state_dict())
    return copy
