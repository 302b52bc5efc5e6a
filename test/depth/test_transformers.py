"""Depth networks of the transformers library: the publisher's answer, and refusals."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from depth.foreign_models import (
    as_pillow,
    optional,
    picture,
    save_depth_anything,
    write_preparation,
)
from e2e_slam_ros.config import DepthConfig, NetworkConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthUnit
from e2e_slam_ros.depth.transformers_network import TransformersNetwork

MakeKeyframe = Callable[..., Keyframe]
CPU = torch.device("cpu")
NO_VIEWS = Keyframes(1)


@pytest.fixture(scope="module", params=["metric", "relative"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    save_depth_anything(folder, request.param)
    return folder


@pytest.fixture(scope="module")
def metric_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_depth_anything(folder, "metric")
    return folder


@pytest.fixture
def metric(metric_model: Path, tmp_path: Path) -> Path:
    """A copy of the metric model's folder, to be damaged."""
    return Path(shutil.copytree(metric_model, tmp_path / "copy"))


def source_of(folder: Path | str, **settings: Any) -> NetworkDepth:
    network = NetworkConfig(architecture="transformers", checkpoint=str(folder), **settings)
    return NetworkDepth(DepthConfig(source="network", network=network), CPU)


def described(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return content


def describe(folder: Path, **changes: object) -> None:
    (folder / "config.json").write_text(json.dumps({**described(folder), **changes}))


def of_the_library(folder: Path, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The library's own input of the model, and its own answer at the image's size."""
    library = optional("transformers")
    processor = library.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    model = library.AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True)
    given = processor(images=as_pillow(image), return_tensors="pt")
    with torch.inference_mode():
        answer = model.eval()(**given)
    size = tuple(image.shape[-2:])
    (post,) = processor.post_process_depth_estimation(answer, target_sizes=[size])
    return given["pixel_values"], post["predicted_depth"]


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (50, 50), (160, 45)])
def test_images_are_prepared_as_by_the_publishers_processor(
    published: Path, size: tuple[int, int]
) -> None:
    image = picture(*size)
    network = source_of(published).network
    assert isinstance(network, TransformersNetwork)
    ours, (theirs, _) = network.preparation.prepare(image), of_the_library(published, image)
    assert ours.shape == theirs.shape
    std = torch.tensor(network.preparation.std)[None, :, None, None]
    levels = ((ours - theirs) * std * 255).abs()
    # Pillow rounds to whole grey levels after each direction.
    assert float(levels.max()) < 1.6 and float(levels.mean()) < 0.6


def test_depth_is_the_publishers(published: Path) -> None:
    image = picture()
    source = source_of(published)
    _, theirs = of_the_library(published, image)
    with torch.inference_mode():
        depth = source.predict(image, torch.eye(3)[None])[0, 0]
    ours = 1.0 / depth if source.network.shifted else depth
    assert float(theirs.max() - theirs.min()) > 0.02 * float(theirs.max())
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=0.01 * float(theirs.max()))


def test_what_the_config_says_of_the_output_decides_the_unit(published: Path) -> None:
    source = source_of(published)
    metric = described(published)["depth_estimation_type"] == "metric"
    assert source.network.metric is metric
    assert source.network.shifted is source.traits.shifted is not metric
    assert source.traits.unit is (DepthUnit.ROUGH_METRES if metric else DepthUnit.UNKNOWN)


def test_another_output_may_be_named(metric: Path, make_keyframe: MakeKeyframe) -> None:
    source = source_of(metric, output="depth")
    assert source.traits.unit is DepthUnit.UNKNOWN and not source.traits.shifted
    estimate = source.estimate(make_keyframe(64, 48), NO_VIEWS)
    assert estimate.unit == "network (unknown factor)"
    assert estimate.depth.shape == (1, 1, 48, 64)


def test_loading_changes_no_random_numbers_and_repeats(metric: Path) -> None:
    state = torch.random.get_rng_state()
    image, k = picture(), torch.eye(3)[None]
    with torch.inference_mode():
        first, second = (source_of(metric).predict(image, k) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_backbone_is_the_encoder_and_gradients_flow(metric: Path) -> None:
    network = source_of(metric).network
    names = [name for name, _ in network.named_parameters()]
    assert {name.split(".")[0] for name in names} == {"encoder", "model"}
    assert all(name.startswith(("encoder.", "model.neck.", "model.head.")) for name in names)
    network(picture()).mean().backward()
    for part in (network.encoder, network.model.head):
        assert isinstance(part, torch.nn.Module)
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert sum(float(g.abs().sum()) for g in gradients) > 0
    copied = copy.deepcopy(network)
    assert copied.encoder is copied.model.backbone


def test_half_precision_files_are_used_in_full(metric: Path, tmp_path: Path) -> None:
    library = optional("transformers")
    model = library.AutoModelForDepthEstimation.from_pretrained(metric, local_files_only=True)
    model.half().save_pretrained(tmp_path / "half")
    write_preparation(tmp_path / "half")
    network = source_of(tmp_path / "half").network
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_a_licence_against_commercial_use_is_told(metric: Path) -> None:
    assert source_of(metric).network.notices == () and source_of(metric).network.licence == ""
    (metric / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# Model\n")
    network = source_of(metric).network
    (notice,) = network.notices
    assert network.licence == "cc-by-nc-4.0"
    assert "cc-by-nc-4.0. It is not for commercial use" in notice


def refused(folder: Path | str, match: str, error: type[Exception] = DepthError) -> None:
    with pytest.raises(error, match=match) as caught:
        source_of(folder)
    text = str(caught.value)
    assert ": got " in text and ", expected " in text and "; " in text


@pytest.mark.parametrize("path", ["", "/nowhere/model"])
def test_no_folder(path: str) -> None:
    refused(path, "depth.network.checkpoint: .*give the folder; .*download-weights", ConfigError)


def test_a_file_in_place_of_the_folder(metric: Path) -> None:
    refused(metric / "model.safetensors", "a file, expected a folder", ConfigError)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [None, "", "[1]", "{", "\x00"])
def test_a_folder_without_its_descriptions(metric: Path, name: str, content: str | None) -> None:
    (metric / name).unlink()
    if content is not None:
        (metric / name).write_text(content)
    refused(metric, f"{name}: got .* JSON object; download the whole folder again")


def test_pickled_weights_alone(metric: Path) -> None:
    weights = metric / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, metric / "pytorch_model.bin")
    weights.unlink()
    refused(metric, "pickled weights alone .*pytorch_model.bin.*save_pretrained")


def test_no_weights(metric: Path) -> None:
    (metric / "model.safetensors").unlink()
    refused(metric, "got none, expected model.safetensors; download model.safetensors")


def test_truncated_weights(metric: Path) -> None:
    weights = metric / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(metric, "download the folder again")


def test_a_model_of_another_task(metric: Path) -> None:
    describe(metric, model_type="dpt", architectures=["DPTForSemanticSegmentation"])
    refused(metric, "got DPTForSemanticSegmentation, .*use a depth network")


def test_a_model_that_is_no_depth_model_and_does_not_say_so(metric: Path) -> None:
    describe(metric, model_type="bert", architectures=None)
    refused(metric, "got Unrecognized .*BertConfig.*a depth network that this version")
    describe(metric, depth_estimation_type=None)
    refused(metric, "output: got auto .*does not say.*metres", ConfigError)


def test_a_model_that_needs_code(metric: Path) -> None:
    describe(metric, auto_map={"AutoModelForDepthEstimation": "evil.Model"})
    (metric / "evil.py").write_text("raise SystemExit('code was run')")
    refused(metric, "needs code of its own .*never run")


def test_weights_of_the_wrong_size(metric: Path, tmp_path: Path) -> None:
    save_depth_anything(tmp_path / "other", "metric", fusion_hidden_size=16)
    shutil.copy(tmp_path / "other" / "model.safetensors", metric)
    refused(metric, "expected a depth network .*download the folder again")


def test_weights_that_are_missing_in_part(metric: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(metric / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "head" not in name}
    save_file(kept, metric / "model.safetensors", {"format": "pt"})
    refused(metric, "got weights without head")


def test_weights_that_no_depth_depends_on_may_be_missing(metric: Path) -> None:
    from safetensors.torch import load_file, save_file

    before = source_of(metric).predict(picture(), torch.eye(3)[None])
    weights = load_file(metric / "model.safetensors")
    # The first fusion has one input only. The published files of DPT lack its second branch.
    unused = "neck.fusion_stage.layers.0.residual_layer1"
    kept = {name: value for name, value in weights.items() if not name.startswith(unused)}
    assert len(kept) < len(weights)
    save_file(kept, metric / "model.safetensors", {"format": "pt"})
    assert torch.equal(source_of(metric).predict(picture(), torch.eye(3)[None]), before)


def test_weights_that_are_not_finite(metric: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(metric / "model.safetensors")
    weights["head.conv3.bias"].fill_(float("nan"))
    save_file(weights, metric / "model.safetensors", {"format": "pt"})
    refused(metric, "got NaN or infinite values in .*head.conv3.bias")


def test_a_processor_that_is_not_known(metric: Path) -> None:
    write_preparation(metric, image_processor_type="DepthProImageProcessor")
    refused(metric, "got DepthProImageProcessor, .*export")


def test_a_constant_prediction_leaves_the_keyframe_out(
    metric: Path, make_keyframe: MakeKeyframe
) -> None:
    source = source_of(metric)
    assert isinstance(source.network.model, torch.nn.Module)
    head = source.network.model.head
    assert isinstance(head, torch.nn.Module) and isinstance(head.conv3, torch.nn.Conv2d)
    torch.nn.init.zeros_(head.conv3.weight)
    with pytest.raises(DepthError, match="keyframe 7: got the same depth .* at every pixel"):
        source.estimate(make_keyframe(64, 48), NO_VIEWS)


def test_a_prediction_of_nan_leaves_the_keyframe_out(
    metric: Path, make_keyframe: MakeKeyframe
) -> None:
    source = source_of(metric)
    assert isinstance(source.network.model, torch.nn.Module)
    head = source.network.model.head
    assert isinstance(head, torch.nn.Module) and isinstance(head.conv3, torch.nn.Conv2d)
    torch.nn.init.constant_(head.conv3.weight, float("nan"))
    with pytest.raises(DepthError, match="got NaN, infinite or no depth at 3072 of 3072"):
        source.estimate(make_keyframe(64, 48), NO_VIEWS)


@pytest.mark.parametrize("kind", ["dpt", "zoedepth"])
def test_other_models_of_the_library_load(kind: str, tmp_path: Path) -> None:
    library = optional("transformers")
    names = ["stage1", "stage2", "stage3", "stage4"]
    small = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    if kind == "dpt":
        config = library.DPTConfig(
            **small,
            intermediate_size=32,
            image_size=64,
            patch_size=16,
            is_hybrid=False,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 16, 16],
            fusion_hidden_size=8,
            qkv_bias=True,
        )
        model = library.DPTForDepthEstimation(config)
        write = {"size": {"height": 64, "width": 64}, "keep_aspect_ratio": False}
        write["ensure_multiple_of"] = 1
    else:
        backbone = library.BeitConfig(
            **small,
            intermediate_size=32,
            image_size=64,
            patch_size=16,
            out_features=names,
            reshape_hidden_states=False,
            use_relative_position_bias=True,
        )
        config = library.ZoeDepthConfig(
            backbone_config=backbone,
            neck_hidden_sizes=[8, 8, 16, 16],
            fusion_hidden_size=8,
            bottleneck_features=8,
            num_relative_features=4,
            bin_embedding_dim=8,
            num_attractors=[4, 2, 2, 1],
            patch_transformer_hidden_size=8,
            patch_transformer_intermediate_size=16,
            patch_transformer_num_attention_heads=2,
        )
        model = library.ZoeDepthForDepthEstimation(config)
        write = {"size": {"height": 64, "width": 64}, "ensure_multiple_of": 32, "do_pad": True}
        write |= {"image_processor_type": "ZoeDepthImageProcessor", "resample": 2}
    model.save_pretrained(tmp_path)
    write_preparation(tmp_path, **write)
    source = source_of(tmp_path)
    with torch.inference_mode():
        depth = source.predict(picture(), torch.eye(3)[None])
    assert depth.shape == (1, 1, 64, 96) and bool((depth > 0).all())
    assert isinstance(source.network, TransformersNetwork)
    processor = library.AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
    theirs = processor(images=as_pillow(picture()), return_tensors="pt")["pixel_values"]
    ours = source.network.preparation.prepare(picture())
    # A grey level is 0.017 here. Pillow rounds to whole ones; ZoeDepth's processor does not.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.03 if kind == "dpt" else 1e-4)
    assert source.network.metric is (kind == "zoedepth")
    assert source.network.shifted is (kind == "dpt")
    assert any(n.startswith("encoder.") for n, _ in source.network.named_parameters())
