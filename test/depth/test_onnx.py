"""Depth networks in ONNX files: sizes, meaning of the output, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from depth.foreign_models import optional, picture, save_onnx, write_preparation
from e2e_slam_ros.config import DepthConfig, NetworkConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.depth.image_preparation import IMAGENET_MEAN, IMAGENET_STD
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthUnit

MakeKeyframe = Callable[..., Keyframe]
CPU = torch.device("cpu")
NO_VIEWS = Keyframes(1)
# Half the image's size: resizing is then a mean of neighbours.
SIZE = {"width": 64, "height": 64}


def source_of(path: Path | str, **settings: Any) -> NetworkDepth:
    settings = {"output": "metres", **SIZE, **settings}
    network = NetworkConfig(architecture="onnx", checkpoint=str(path), **settings)
    return NetworkDepth(DepthConfig(source="network", network=network), CPU)


def normalised(image: torch.Tensor) -> torch.Tensor:
    """Mean over the channels of an image normalised as for ImageNet, (1, 1, H, W)."""
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return ((image - mean) / std).mean(1, keepdim=True)


@pytest.mark.parametrize("size", [("height", "width"), (64, 64), (None, None)])
def test_depth_is_the_models(tmp_path: Path, size: tuple[object, object]) -> None:
    source = source_of(save_onnx(tmp_path / "model.onnx", size, factor=0.5, offset=4.0))
    image = picture(64, 64)
    depth = source.predict(image, torch.eye(3)[None])
    torch.testing.assert_close(depth, 4.0 + 0.5 * normalised(image), rtol=1e-4, atol=1e-5)
    assert source.traits.unit is DepthUnit.ROUGH_METRES and not source.network.adaptable


def test_a_fixed_input_size_goes_before_the_parameters(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx", (48, 80))
    source = source_of(path)
    assert source.network.preparation.input_size(64, 96) == (48, 80)
    assert source.predict(picture(), torch.eye(3)[None]).shape == (1, 1, 64, 96)


def test_free_sizes_need_not_be_multiples_of_32(tmp_path: Path) -> None:
    source = source_of(save_onnx(tmp_path / "model.onnx"), width=98, height=70)
    assert source.network.preparation.input_size(480, 640) == (70, 98)


@pytest.mark.parametrize("folder", [".", "onnx"])
def test_the_publishers_files_beside_it_are_used(tmp_path: Path, folder: str) -> None:
    path = save_onnx(tmp_path / folder / "model.onnx")
    described = {"model_type": "depth_anything", "depth_estimation_type": "relative"}
    (tmp_path / "config.json").write_text(json.dumps(described))
    write_preparation(tmp_path, image_mean=[0.5, 0.5, 0.5])
    source = source_of(path, output="auto")
    assert source.network.shifted and source.traits.unit is DepthUnit.UNKNOWN
    assert source.network.preparation.multiple == 14
    assert source.network.preparation.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("metres", 4.0), ("depth", 4.0), ("inverse_depth", 0.25), ("shifted_inverse_depth", 0.25)],
)
def test_the_meaning_of_the_output(tmp_path: Path, output: str, expected: float) -> None:
    source = source_of(save_onnx(tmp_path / "m.onnx", factor=0.0, offset=4.0), output=output)
    depth = source.predict(picture(), torch.eye(3)[None])
    torch.testing.assert_close(depth, torch.full_like(depth, expected))
    assert source.traits.shifted is output.startswith("shifted")


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 64, 64), (64, 64)])
def test_shapes_of_one_number_a_pixel(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source = source_of(save_onnx(tmp_path / "model.onnx", shape=shape))
    assert source.predict(picture(), torch.eye(3)[None]).shape == (1, 1, 64, 96)


def test_a_batch_is_run_image_by_image(tmp_path: Path) -> None:
    source = source_of(save_onnx(tmp_path / "model.onnx"))
    images = torch.cat([picture(64, 64), picture(64, 64).flip(-1)])
    both = source.predict(images, torch.eye(3).expand(2, 3, 3))
    torch.testing.assert_close(both[1], both[0].flip(-1))


def test_the_licence_beside_it_is_known(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx")
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    network = source_of(path).network
    assert network.licence == "cc-by-nc-4.0" and "commercial" in network.notices[0]


def refused(
    path: Path | str, match: str, error: type[Exception] = DepthError, **settings: Any
) -> None:
    with pytest.raises(error, match=match) as caught:
        source_of(path, **settings)
    text = str(caught.value)
    assert ": got " in text and ", expected " in text and "; " in text


@pytest.mark.parametrize("path", ["", "/nowhere/model.onnx", "/tmp"])
def test_no_file(path: str) -> None:
    refused(
        path, "depth.network.checkpoint: got .* expected the path of a model.onnx", ConfigError
    )


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(range(256)) * 9])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    optional("onnxruntime")
    (tmp_path / "model.onnx").write_bytes(content)
    refused(tmp_path / "model.onnx", "a file that onnxruntime refuses.*download or export")


def test_an_output_that_nobody_explains(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx")
    refused(path, "depth.network.output: got auto.*metres", ConfigError, output="auto")


def test_several_outputs(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx", outputs=2)
    refused(path, "outputs depth0 .*depth1 .*one output.*with the depth alone")


def test_an_input_that_is_no_colour_image(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx", (64, 64), channels=4)
    refused(path, r"inputs image tensor\(float\) \[1, 4, 64, 64\], expected one input")


@pytest.mark.parametrize("shape", [(64 * 64,), (1, 64, 64, 1), (2, 32, 64), (4, 1, 32, 32)])
def test_the_wrong_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    refused(save_onnx(tmp_path / "model.onnx", shape=shape), "output of the ONNX.*got ")


def test_the_wrong_size(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx", (64, 64), shape=(1, 32, 128))
    refused(path, "128x32 values for an image of 64x64")
    refused(save_onnx(tmp_path / "m.onnx", reduced=True), "32x64 values for an image of 64x64")


def test_a_size_that_the_model_does_not_take(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "model.onnx", shape=(1, 64, 64))
    refused(path, "a failure at an input of 96x64 .*set depth.network.width", width=96)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"offset": float("nan")}, "NaN, infinite or no depth at 3072 of 3072"),
        ({"offset": float("inf")}, "NaN, infinite or no depth"),
        ({"factor": 0.0}, "the same depth 2 at every pixel"),
        ({"factor": 0.0, "offset": -1.0}, "the same depth 0.001 at every pixel"),
    ],
)
def test_an_unusable_prediction_leaves_the_keyframe_out(
    tmp_path: Path, make_keyframe: MakeKeyframe, values: dict[str, float], words: str
) -> None:
    source = source_of(save_onnx(tmp_path / "model.onnx", **values))  # type: ignore[arg-type]
    with pytest.raises(DepthError, match=f"keyframe 7: got {words}.*the keyframe is left out"):
        source.estimate(make_keyframe(64, 48), NO_VIEWS)
