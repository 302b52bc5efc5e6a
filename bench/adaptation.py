"""What refining a keyframe costs, and what each of its parts is worth.

    python bench/adaptation.py [--threads 1 2] [--steps 25 5] [--set KEY=VALUE ...] [--json FILE]
    python bench/adaptation.py --ablation --data DIR [--frames A:B] [--every N] [--json FILE]
                               [--protocol pair|online] [--strategy network|output]
                               [--start source|poor] [--only WORD ...] [--markdown FILE]
                               [--set KEY=VALUE ...]

Cost: a keyframe of a rendered room with three neighbours, labels from motion and a map of 20 000
points, network input 320x256. All steps are made: nothing stops early. Each row runs in a process
of its own; on a GPU time is taken with events. Memory: on the CPU what the process holds at most
(with torch itself), on a GPU what torch had allocated at most.

Ablation: a protocol of `e2e-slam evaluate` with each loss term left out in turn, with parts of the
correction by known motion left out, and with each source of scale. A pair has no map and no depth
of its neighbours: Chamfer distance and consistency mean something in the online protocol only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config import Config, RefineConfig
from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.atomic import write_text_atomic
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationSetup
from e2e_slam_ros.evaluation.adaptation.neighbours import Neighbourhood
from e2e_slam_ros.evaluation.adaptation.online_protocol import OnlineProtocol
from e2e_slam_ros.evaluation.adaptation.pair_protocol import PairProtocol
from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport
from e2e_slam_ros.evaluation.left_out import LeftOut
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.losses.cloud import local_cloud
from e2e_slam_ros.refine.adaptable import NetworkInput
from e2e_slam_ros.refine.motion_sweep import sweep_neighbours
from e2e_slam_ros.refine.objective import TERMS
from e2e_slam_ros.refine.refiner import GuardedRefiner, build_refiner
from e2e_slam_ros.refine.scale_fit import groundtruth_median_scale
from e2e_slam_ros.refine.views import RefineViews
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.preprocess import Preprocessor

STRATEGIES = {"PFT": "network", "OFT": "output"}
SCALES = ("motion", "fixed", "learned", "groundtruth_median", "depth_topic")
_WIDTH, _HEIGHT, _MAP_POINTS = 320, 256, 20_000
_WARM_UP, _ROW_LIMIT_S = 1, 300.0
# Figures of a report that an ablation keeps, and the errors that its tables show.
_SHOWN = ("before", "aligned", "after", "after_median_scaled")
_KEPT = (*_SHOWN, "keyframes", "worse_than_5pct", "refused", "rolled_back", "seconds_per_keyframe")


def cost_config(strategy: str, steps: int, assignments: list[str]) -> Config:
    """Return parameters under which every step is made, changed as asked."""
    config = Config().with_values(
        {
            "depth.source": "network",
            "refine.strategy": strategy,
            "refine.steps": steps,
            "refine.guard.patience": 0,
            "refine.network.width": _WIDTH,
            "refine.network.height": _HEIGHT,
            "refine.network.reset_per_keyframe": True,
        }
    )
    return config.with_assignments(assignments)


def rendered_views(
    config: Config, network: DepthNetwork, device: torch.device
) -> tuple[RefineViews, list[Keyframe]]:
    """Return a keyframe of a rendered room with three neighbours, and these."""
    reader = ProceduralReader(seed=5, frames=24, width=_WIDTH, height=_HEIGHT, rate_hz=6.0)
    hood, last = Neighbourhood(reader, 0.06, LeftOut()), len(reader) - 1
    prepare, decision = Preprocessor(config.camera, device), KeyframeDecision(True, "benchmark")
    target, *sources = [
        prepare.keyframe(frame, decision, frame.index)
        for frame in (hood.at(last), *hood.earlier(last, 3))
        if frame is not None
    ]
    assert target.sensor_depth is not None
    truth = target.sensor_depth
    with torch.no_grad():
        camera = target.camera
        given = NetworkInput(network, target.image, camera, _WIDTH, _HEIGHT)
        raw = given.depth(network, camera.width, camera.height)
        scale = groundtruth_median_scale(raw, truth)
        points = local_cloud(truth, camera, target.T_map_camera, _MAP_POINTS)
    sweep = sweep_neighbours(target, sources, config.depth, config.refine.motion)
    assert sweep is not None
    views = RefineViews(
        target=target,
        sources=tuple(sources),
        depth=scale(raw),
        map_points=points,
        labels=sweep.first.labels(camera.height, camera.width),
        scale=scale,
    )
    return views, sources


def measure(
    strategy: str, steps: int, device: torch.device, repeats: int, assignments: list[str]
) -> dict[str, Any]:
    """Return the figures of one row."""
    torch.manual_seed(0)
    config = cost_config(STRATEGIES[strategy], steps, assignments)
    network = build_network(config.depth.network.architecture).to(device).eval()
    views, sources = rendered_views(config, network, device)
    refiner = build_refiner(config.refine, config.depth, network, device)
    assert refiner is not None
    refine = config.refine
    for _ in range(_WARM_UP):
        _refined(refiner, views, refine, steps)
    made = [
        _timed(lambda: _refined(refiner, views, refine, steps), device) for _ in range(repeats)
    ]

    def corrected() -> None:
        sweep = sweep_neighbours(views.target, sources, config.depth, config.refine.motion)
        assert sweep is not None
        sweep.given(views.depth).complete(views.depth)

    motion = [_timed(corrected, device) for _ in range(repeats)]
    return {
        "ms_per_keyframe": round(statistics.median(made), 1),
        "ms_per_step": round(statistics.median(made) / steps, 2),
        "motion_ms": round(statistics.median(motion), 1),
        "sources": len(sources),
        "keyframes": repeats,
        "memory_mb": round(_peak_mb(device)),
    }


def _refined(
    refiner: GuardedRefiner, views: RefineViews, config: RefineConfig, steps: int
) -> None:
    outcome = refiner.refine(views, config)
    if outcome.steps_done != steps:
        reason = outcome.refused or outcome.stopped
        raise SystemExit(f"{outcome.steps_done} of {steps} steps: {reason}")


def _timed(call: Callable[[], object], device: torch.device) -> float:
    """Return milliseconds."""
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    events[0].record()
    call()
    events[1].record()
    torch.cuda.synchronize(device)
    return float(events[0].elapsed_time(events[1]))


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # Not getrusage: what it says begins with the parent's peak.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def _row(
    strategy: str, steps: int, device: str, threads: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Measure one row in a process of its own; the reason when it cannot be."""
    row = {"strategy": strategy, "steps": steps, "device": device, "threads": threads}
    words = [strategy, str(steps), device, str(threads), str(options.repeats)]
    words += options.assignments
    command = [sys.executable, str(Path(__file__).resolve()), "--row", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ROW_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {**row, "skipped": f"took longer than {_ROW_LIMIT_S:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {**row, "skipped": lines[-1][:200]}
    return {**row, **json.loads(done.stdout.splitlines()[-1])}


def _one_row(words: list[str]) -> None:
    strategy, steps, device, threads, repeats, *assignments = words
    torch.set_num_threads(int(threads))
    figures = measure(strategy, int(steps), resolve_device(device), int(repeats), assignments)
    print(json.dumps(figures))


def _cost_line(row: dict[str, Any]) -> str:
    head = f"{row['strategy']} {row['steps']:3} steps  {row['device']:5} {row['threads']} thr"
    if "skipped" in row:
        return f"{head}  skipped: {row['skipped']}"
    return (
        f"{head}  {row['ms_per_keyframe']:8.1f} ms a keyframe  {row['ms_per_step']:7.2f} a step  "
        f"motion {row['motion_ms']:6.1f} ms  {row['memory_mb']:5} MB"
    )


def cost(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print every row; return the figures."""
    places = [("cpu", threads) for threads in options.threads]
    if torch.cuda.is_available():
        places.append(("cuda", torch.get_num_threads()))
    else:
        print("no CUDA device here: CPU only")
    rows, ratios = [], []
    for device, threads in places:
        for steps in options.steps:
            pair = []
            for strategy in STRATEGIES:
                pair.append(_row(strategy, steps, device, threads, options))
                print(_cost_line(pair[-1]), flush=True)
            rows += pair
            if not any("skipped" in row for row in pair):
                ratio = round(pair[0]["ms_per_keyframe"] / pair[1]["ms_per_keyframe"], 2)
                place = {"device": device, "threads": threads, "steps": steps}
                ratios.append({**place, "pft_over_oft": ratio})
                print(f"{'':26} OFT is {ratio:.1f} times as fast", flush=True)
    machine = machine_line(" and ".join(sorted({device for device, _ in places})))
    print(machine)
    size = {"width": _WIDTH, "height": _HEIGHT, "set": options.assignments}
    return {**size, "rows": rows, "ratios": ratios, "machine": machine}


def variants() -> dict[str, dict[str, object]]:
    """Return name -> what is changed."""
    found: dict[str, dict[str, object]] = {"all terms, scale motion": {}}
    for term in TERMS:
        found[f"without {term}"] = {f"refine.weights.{term}": 0.0}
    found["one scale, no correction"] = {"refine.motion.enabled": False}
    found["correction without prior"] = {"refine.motion.prior": 0.0}
    found["correction without network"] = {"refine.motion.network_share": 0.0}
    found["without other keyframes"] = {"refine.motion.earlier": 0.0}
    for name in SCALES[1:]:
        found[f"scale {name}"] = {"refine.scale.source": name}
    return found


def ablation(options: argparse.Namespace) -> dict[str, Any]:
    """Run the protocol once for each variant; print and return the figures."""
    reader: FrameReader = open_reader(options.data)
    if options.frames:
        reader = FrameSlice(reader, *parse_frames(options.frames))
    base = Config().with_values({"depth.source": "network", "refine.strategy": options.strategy})
    if options.start == "poor":
        base = base.with_values({"refine.strategy": "output"})
    pair = options.protocol == "pair"
    base = base.with_values(
        {"refine.steps": 25 if pair else 5, "refine.network.reset_per_keyframe": pair}
    )
    base = base.with_assignments(options.assignments)
    torch.set_num_threads(options.threads[0])
    rows = []
    for name, change in variants().items():
        if options.only and not any(word in name for word in options.only):
            continue
        start = time.perf_counter()
        try:
            figures = _protocol(options, reader, base.with_values(change)).to_json()
        except E2ESlamError as problem:
            print(f"{name:28} failed: {problem}", flush=True)
            continue
        rows.append({"variant": name, **{key: figures[key] for key in _KEPT}})
        rows[-1]["wall_s"] = round(time.perf_counter() - start, 1)
        print(_ablation_line(rows[-1]), flush=True)
    return {
        "protocol": options.protocol,
        "data": reader.name,
        "frames": options.frames,
        "every": options.every,
        "start": options.start,
        "strategy": base.refine.strategy,
        "steps": base.refine.steps,
        "rows": rows,
        "machine": machine_line(str(resolve_device(base.runtime.device))),
    }


def _protocol(
    options: argparse.Namespace, reader: FrameReader, config: Config
) -> AdaptationReport:
    device = resolve_device(config.runtime.device)
    setup = AdaptationSetup(config, device, options.start == "poor")
    if options.protocol == "online":
        outcome = OnlineProtocol(setup, reader, options.every).run(range(len(reader)))
    else:
        outcome = PairProtocol(setup, reader).run(range(0, len(reader), options.every or 1))
    return AdaptationReport(
        protocol=options.protocol,
        data=reader.name,
        frames=len(reader),
        left_out=setup.left_out.counts,
        source=setup.pipeline.source.traits.name,
        config=config,
        scores=tuple(outcome.scores),
        forgetting=outcome.forgetting,
        machine="",
        weights=None,
    )


def _ablation_line(row: dict[str, Any]) -> str:
    figures = [row[key]["abs_rel"] for key in _SHOWN]
    return (
        f"{row['variant']:28} "
        + "  ".join(f"{key} {value:.4f}" for key, value in zip(_SHOWN, figures, strict=True))
        + f"  worse {row['worse_than_5pct']:3} of {row['keyframes']}  {row['wall_s']:.0f} s"
    )


def ablation_table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        f"### {figures['protocol']}, {figures['data']} {figures['frames'] or ''}: "
        f"{figures['strategy']} strategy, {figures['steps']} steps, start: {figures['start']}",
        "",
        "| | abs_rel before | aligned | after | after, median-scaled | δ<1.25 after "
        "| worse by > 5 % | refused |",
        "|---|" + "---:|" * 7,
    ]
    for row in figures["rows"]:
        cells = [f"{row[key]['abs_rel']:.4f}" for key in _SHOWN]
        cells.append(f"{row['after']['delta_1']:.4f}")
        cells.append(f"{row['worse_than_5pct']} of {row['keyframes']}")
        cells.append(str(sum(row["refused"].values())))
        lines.append("| " + " | ".join([row["variant"], *cells]) + " |")
    return "\n".join([*lines, "", f"* {figures['machine']}", ""])


def main() -> int:
    """Measure what was asked for, print it, write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--steps", nargs="+", type=int, default=[25, 5])
    parser.add_argument("--repeats", type=int, default=5, help="keyframes a row")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--protocol", choices=("pair", "online"), default="pair")
    parser.add_argument("--data", type=Path, help="ablation: the sequence")
    parser.add_argument("--frames", help="ablation: A:B")
    parser.add_argument("--every", type=int, help="ablation: every N-th frame")
    parser.add_argument("--start", choices=("source", "poor"), default="source")
    parser.add_argument("--strategy", choices=("network", "output"), default="network")
    parser.add_argument(
        "--only", nargs="+", default=[], help="ablation: words in a variant's name"
    )
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--markdown", type=Path, help="ablation: write the table to this file")
    parser.add_argument("--row", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        _one_row(options.row)
        return 0
    if options.ablation and options.data is None:
        parser.error("--ablation needs --data")
    try:
        figures = ablation(options) if options.ablation else cost(options)
    except E2ESlamError as problem:
        raise SystemExit(str(problem)) from problem
    if options.ablation and options.markdown:
        write_text_atomic(options.markdown, ablation_table(figures))
    if options.json:
        write_text_atomic(options.json, json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
