"""What `bench/gpu.py` measures: each function yields the rows of one part of the package."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from adaptation import cost_config, rendered_views
from bench_procedural import images_per_second
from chamfer import planes
from map import grown

from e2e_slam_ros.config import Config, MapConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.losses.chamfer import chamfer
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.multiview.deepv2d.architecture import ARCHITECTURES
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import shape_of
from e2e_slam_ros.multiview.dro.views import DepthGuide, DroViews
from e2e_slam_ros.refine.motion_sweep import sweep_neighbours
from e2e_slam_ros.refine.refiner import build_refiner
from e2e_slam_ros.simulation import ProceduralReader, generate_scene
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.precision import Precision
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.sc_sfm.encoder_weights import encoder_of, frozen_modules
from e2e_slam_ros.training.sc_sfm.model import SCSfMModel

Row = dict[str, Any]
DECISION = KeyframeDecision(True, "benchmark")
# Turns of motion and depth that DeepV2D is timed with, and whether poses are held.
TURNS = ((1, True), (1, False), (8, False))


@dataclass(frozen=True)
class Bench:
    """Where and how long to measure.

    Attributes:
        device: where everything runs.
        seconds: for each row, after three calls that warm up.
        quick: small sizes, to see on a CPU that everything runs.
    """

    device: torch.device
    seconds: float = 0.5
    quick: bool = False

    def row(self, what: str, call: Callable[[], object], items: int = 0, goal: str = "") -> Row:
        """Return the median time of a call and the most memory that torch had allocated in it.

        Args:
            items: images of a call; a rate is given where there are any.
        """
        began = time.perf_counter()
        for number in range(1 if self.quick else 3):
            if number == 0 or time.perf_counter() - began < self.seconds:
                call()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        times: list[float] = []
        end = time.perf_counter() + self.seconds
        while len(times) < 3 or (time.perf_counter() < end and len(times) < 300):
            times.append(self.milliseconds(call))
            if self.quick:
                break
        median = statistics.median(times)
        row: Row = {"what": what, "ms": round(median, 3), "calls": len(times), "goal": goal}
        if items:
            row["per_s"] = round(1e3 * items / median, 1)
        return row | self.memory()

    def memory(self) -> Row:
        """Return the most memory that torch had allocated; nothing on a CPU."""
        if self.device.type != "cuda":
            return {}
        return {"peak_mb": round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)}

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the time of a call, by events on a GPU."""
        if self.device.type != "cuda":
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        events[0].record()
        call()
        events[1].record()
        torch.cuda.synchronize(self.device)
        return float(events[0].elapsed_time(events[1]))

    def bf16(self, wanted: bool) -> AbstractContextManager[Any]:
        """Return the context of the precision."""
        return torch.autocast(self.device.type, torch.bfloat16) if wanted else nullcontext()


def ceilings(bench: Bench) -> Iterator[Row]:
    """Device memory and matrix products: nothing runs faster."""
    source = torch.rand(2**20 if bench.quick else 2**28, device=bench.device)
    target = torch.empty_like(source)
    row = bench.row("copy", lambda: target.copy_(source))
    yield row | {"note": f"{8e-6 * len(source) / row['ms']:.0f} GB/s read and written"}
    side = 256 if bench.quick else 8192
    square = torch.randn(side, side, device=bench.device, dtype=torch.bfloat16)
    row = bench.row("matrix product, bf16", lambda: square @ square)
    yield row | {"note": f"{2e-9 * side**3 / row['ms']:.0f} TFLOP/s"}


def map_term(bench: Bench) -> Iterator[Row]:
    """Chamfer distance of 20 000 points each, with its gradient and without."""
    points = 2_000 if bench.quick else 20_000
    torch.manual_seed(0)
    local, reference = (cloud.to(bench.device) for cloud in planes(points))
    local.requires_grad_()

    def with_gradient() -> None:
        torch.autograd.grad(chamfer(local, reference), local)

    @torch.no_grad()
    def alone() -> None:
        chamfer(local, reference)

    yield bench.row(f"Chamfer, {points} points, with gradient", with_gradient, goal="3 ms")
    yield bench.row(f"Chamfer, {points} points, value", alone)


def depth_networks(bench: Bench) -> Iterator[Row]:
    """Inference of the depth networks, 320x256, channels_last."""
    size = (64, 64) if bench.quick else (256, 320)
    for name in ("efficientnet_lite0", "disp_resnet18"):
        network = build_network(name).to(bench.device).eval()
        network.to(memory_format=torch.channels_last)
        for count in (1, 16):
            image = torch.rand(count, 3, *size, device=bench.device)
            image = image.to(memory_format=torch.channels_last)
            for bf16 in (False, True):
                with torch.inference_mode(), bench.bf16(bf16):
                    what = f"{name}, batch {count}, {'bf16' if bf16 else 'fp32'}"
                    goal = "200/s" if count == 1 else ""
                    yield bench.row(what, partial(network, image), count, goal)


def rendering(bench: Bench) -> Iterator[Row]:
    """Clean views of a rendered room."""
    scenes = [generate_scene(0, bench.device, 64 if bench.quick else 256)]
    batch = 2 if bench.quick else 64
    for width, height in ((32, 24),) if bench.quick else ((320, 240), (640, 480)):
        rate = images_per_second(scenes, width, height, batch, bench.device)
        goal = "200/s" if width == 320 else ""
        yield {"what": f"rendering {width}x{height}", "ms": round(1e3 / rate, 3), "goal": goal,
               "per_s": round(rate, 1)}  # fmt: skip


def correction(bench: Bench) -> Iterator[Row]:
    """Plane sweep and correction of a keyframe with three neighbours, and steps of refinement."""
    torch.manual_seed(0)
    steps = 1 if bench.quick else 5
    config = cost_config("network", steps, [])
    network = build_network(config.depth.network.architecture).to(bench.device).eval()
    views, sources = rendered_views(config, network, bench.device)

    def corrected() -> None:
        sweep = sweep_neighbours(views.target, sources, config.depth, config.refine.motion)
        assert sweep is not None
        sweep.given(views.depth).complete(views.depth)

    yield bench.row("plane sweep and correction, 320x256, 3 neighbours", corrected)
    for name, strategy in (("network", "network"), ("output", "output")):
        refine = cost_config(strategy, steps, []).refine
        refiner = build_refiner(refine, config.depth, network, bench.device)
        assert refiner is not None
        outcome = refiner.refine(views, refine)
        if outcome.steps_done != steps:
            raise RuntimeError(f"{name}: {outcome.steps_done} of {steps} steps")
        row = bench.row(
            f"refinement of the {name}", lambda r=refiner, c=refine: r.refine(views, c)
        )
        yield row | {"ms": round(row["ms"] / steps, 3), "note": f"a step, of {steps}"}


def fusion(bench: Bench) -> Iterator[Row]:
    """A keyframe of 320x240 into a map of 1.4 M surfels."""
    count, timed = (4, 2) if bench.quick else (60, 20)
    size = (40, 32) if bench.quick else (320, 240)
    wanted = 20_000 if bench.quick else 1_400_000
    reader = ProceduralReader(5, count, *size, bench.device, 6.0)
    prepare = Preprocessor(Config().camera, bench.device)
    target = SurfelMap(MapConfig(max_surfels=8_000_000), bench.device)
    pairs = [_measured(prepare, reader[index]) for index in range(count)]
    for keyframe, depth in pairs[:-timed]:
        target.fuse(keyframe, depth)
    target.restore(grown(target.surfels, wanted), target.keyframes)
    surfels, coming = len(target), iter(pairs[-timed:])
    times = [bench.milliseconds(lambda pair=pair: target.fuse(*pair)) for pair in coming]
    what = f"fusion of {size[0]}x{size[1]} into {surfels} surfels"
    yield {"what": what, "ms": round(statistics.median(times), 3), "calls": timed,
           "goal": "30 ms (CPU)", **bench.memory()}  # fmt: skip


def _measured(prepare: Preprocessor, frame: Frame) -> tuple[Keyframe, DepthEstimate]:
    keyframe = prepare.keyframe(frame, DECISION, frame.index)
    assert keyframe.sensor_depth is not None
    return keyframe, DepthEstimate(keyframe.sensor_depth.float(), None, "sensor", "sensor")


def dro(bench: Bench) -> Iterator[Row]:
    """DRO of both shapes; the paper's at the paper's size."""
    sizes = {"light": ((144, 192), (2, 5)), "paper": ((320, 960), (2, 5))}
    for name, (full, counts) in sizes.items():
        network = DroNetwork(shape_of(name)).to(bench.device).eval()
        height, width = (48, 64) if bench.quick else full
        for count in counts:
            views, T, guide = _dro_views(bench, count, height, width)
            for updates in (0, 4, 8, 12):
                for held in (True, False) if updates == 12 else (True,):
                    what = f"DRO {name}, {width}x{height}, {count} views, {updates} updates"
                    goal = "0.12 s, 1.16 GB (paper)" if (name, held) == ("paper", False) else ""
                    known = guide if network.shape.guided else None
                    call = partial(network, views, updates, T if held else None, known)
                    with torch.inference_mode():
                        yield bench.row(what + ("" if held else ", poses too"), call, goal=goal)


def _dro_views(
    bench: Bench, count: int, height: int, width: int
) -> tuple[DroViews, torch.Tensor, DepthGuide]:
    image = torch.rand(1, count, 3, height, width, device=bench.device)
    k = _intrinsics(bench, height, width).expand(1, count, 3, 3)
    T = torch.eye(4, device=bench.device).repeat(1, count - 1, 1, 1)
    T[..., 0, 3] = 0.1
    one = torch.full((1, 1, height, width), 2.0, device=bench.device)
    return DroViews(image, k), T, DepthGuide(one, one, one, one)


def deepv2d(bench: Bench) -> Iterator[Row]:
    """DeepV2D of both architectures; the paper's also at DRO's size."""
    cases = [("light", 240, 320), ("paper", 240, 320), ("paper", 320, 960)]
    for name, full_height, full_width in cases:
        height, width = (48, 64) if bench.quick else (full_height, full_width)
        network = DeepV2D(ARCHITECTURES[name]).to(bench.device).eval()
        k = _intrinsics(bench, height, width)[None]
        for count in (2, 5):
            images = torch.rand(1, count, 3, height, width, device=bench.device)
            poses = torch.eye(4, device=bench.device).repeat(1, count, 1, 1)
            poses[0, :, 0, 3] = 0.1 * torch.arange(count, device=bench.device)
            for turns, held in TURNS if full_width == 960 else TURNS[:2]:
                part = "depth alone" if held else f"{turns} turns"
                goal = "1.49 s, 6.75 GB (paper)" if turns == 8 else ""
                call = partial(network, images, k, turns, T_camera_map=poses, held=held)
                what = f"DeepV2D {name}, {width}x{height}, {count} views, {part}"
                with torch.inference_mode():
                    yield bench.row(what, call, goal=goal)


def _intrinsics(bench: Bench, height: int, width: int) -> torch.Tensor:
    focal = 0.8 * width
    rows = [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]
    return torch.tensor(rows, device=bench.device)


def whole_keyframe(bench: Bench) -> Iterator[Row]:
    """A keyframe of a plain camera through the whole pipeline, poses given."""
    frames = 4 if bench.quick else 40
    size = (80, 64) if bench.quick else (640, 480)
    reader = ProceduralReader(5, frames, *size, bench.device, 6.0)
    config = Config().with_values({"depth.source": "network", "runtime.offline": True})
    system = SlamPipeline(config, bench.device)
    times: list[float] = []
    stages: dict[str, list[float]] = {}
    for index in range(frames):
        frame = replace(reader[index], depth=None)
        decision = system.choose_keyframe(frame, wanted=True)
        if not decision.is_keyframe:
            continue
        start = time.perf_counter()
        result = system.map_keyframe(frame, decision)
        times.append(1e3 * (time.perf_counter() - start))
        for name, value in result.latency_ms.items():
            stages.setdefault(name, []).append(value)
    kept = slice(len(times) // 3, None)  # the first ones have no neighbours, and warm up
    parts = ", ".join(
        f"{n} {statistics.median(v[kept]):.1f}" for n, v in stages.items() if v[kept]
    )
    yield {"what": f"keyframe of a plain camera, {size[0]}x{size[1]}", "note": parts,
           "ms": round(statistics.median(times[kept]), 3), "calls": len(times[kept]),
           **bench.memory()}  # fmt: skip


def training(bench: Bench) -> Iterator[Row]:
    """One step of supervised pre-training in bf16, the batch resident on the device."""
    size = (64, 64) if bench.quick else (192, 256)
    config = SCSfMConfig()
    precision = Precision(bench.device.type, torch.bfloat16)
    for count, frozen in ((2, 3),) if bench.quick else ((8, 3), (64, 3), (256, 3), (64, 0)):
        torch.manual_seed(0)
        network = build_network(config.architecture)
        network.to(memory_format=torch.channels_last)
        model = SCSfMModel(network, None, config.objective, precision).to(bench.device).train()
        for module in frozen_modules(network, frozen):
            module.requires_grad_(False)
        encoder_of(network).eval()
        batch = _labelled_batch(bench, count, *size)
        learning = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(learning, lr=1e-4)

        def step(
            model: SCSfMModel = model,
            batch: PairBatch = batch,
            optimiser: torch.optim.Optimizer = optimiser,
        ) -> None:
            optimiser.zero_grad(set_to_none=True)
            model(batch, config.pretraining.weights).total.backward()
            optimiser.step()

        what = f"training step, batch {count}, {frozen} stages frozen"
        yield bench.row(what, step, items=count)


def _labelled_batch(bench: Bench, count: int, height: int, width: int) -> PairBatch:
    image = torch.rand(count, 3, height, width, device=bench.device)
    depth = 1.0 + 4.0 * torch.rand(count, 1, height, width, device=bench.device)
    k = _intrinsics(bench, height, width).expand(count, 3, 3)
    T = torch.eye(4, device=bench.device).expand(count, 4, 4)
    no = torch.zeros(count, dtype=torch.bool, device=bench.device)
    seen = torch.ones_like(depth, dtype=torch.bool)
    return PairBatch(image, depth, k, image, depth, T, no, no, ~no, seen, seen)


CASES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "ceilings": ceilings,
    "chamfer": map_term,
    "depth_network": depth_networks,
    "correction": correction,
    "fusion": fusion,
    "keyframe": whole_keyframe,
    "dro": dro,
    "deepv2d": deepv2d,
    "training": training,
    "rendering": rendering,
}
