"""The report of the two-view protocol: means over pairs, as a score table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e_slam_ros.evaluation.depth.metrics import mean_depth_metrics
from e2e_slam_ros.evaluation.report import protocol_page
from e2e_slam_ros.evaluation.score_table import Column, ScoreRow, ScoreTable
from e2e_slam_ros.evaluation.two_view.pair_errors import PairErrors
from e2e_slam_ros.evaluation.weights import origin_notes

PROTOCOL = "two-view"

_DEPTH = {"abs_rel": "abs_rel", "sq_rel": "sq_rel", "rmse": "RMSE", "rmse_log": "log"}
_PAIR = {
    "sc_inv": ("sc_inv", ".3f"),
    "rotation_deg": ("rot°", ".2f"),
    "direction_deg": ("dir°", ".1f"),
    "translation_cm": ("t, cm", ".2f"),
    "covered": ("px", ".0%"),
}


@dataclass(frozen=True)
class TwoViewReport:
    """Means over pairs, each pair counting alike.

    Attributes:
        data: name of the sequence.
        asked: number of pairs.
        skipped: reason -> number of pairs or frames left out.
        source: name of the source.
        errors: name of a step -> errors of each pair; the last step is the source's answer.
        machine: of the measurement.

    >>> TwoViewReport("desk", 0, {}, "dro", {}, "2 cores").steps()
    {}
    """

    data: str
    asked: int
    skipped: dict[str, int]
    source: str
    errors: Mapping[str, Sequence[PairErrors]]
    machine: str

    def steps(self) -> dict[str, dict[str, float]]:
        """Return the mean figures of each step."""
        return {name: _means(errors) for name, errors in self.errors.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain values. The figures at the top are those of the last step."""
        steps = self.steps()
        last = list(steps)[-1]
        return {
            "protocol": PROTOCOL,
            "data": self.data,
            "source": self.source,
            "pairs": len(self.errors[last]),
            "pairs_asked": self.asked,
            "left_out": self.skipped,
            "step": last,
            **steps[last],
            "steps": [{"step": name, **means} for name, means in steps.items()],
            "machine": self.machine,
        }

    def table(self) -> ScoreTable:
        """Return a row for each step."""
        columns = [Column(title, key, ".3f") for key, title in _DEPTH.items()]
        columns += [Column(title, key, spec) for key, (title, spec) in _PAIR.items()]
        steps = self.steps()
        rows = tuple(
            ScoreRow(
                name,
                tuple(means[column.key] for column in columns),
                strong=name == list(steps)[-1],
            )
            for name, means in steps.items()
        )
        count = len(next(iter(self.errors.values())))
        title = f"{self.data}: {self.source}, {count:,} of {self.asked:,} pairs, poses unknown"
        notes = [
            "mean over pairs; depth is multiplied by the median of truth over prediction, the "
            "translation t by the best factor",
            "rot: error of the rotation; dir: angle between the translations; px: share of the "
            "true depths that have a found one",
            *origin_notes(self.skipped, None, self.machine),
        ]
        return ScoreTable(tuple(columns), rows, title, notes=tuple(notes))

    def html(self, pictures: Mapping[str, bytes]) -> str:
        """Return a page of the table and the pictures, heading -> PNG file."""
        table = self.table()
        return protocol_page(table.title, {"Scores": table}, pictures)


def _means(errors: Sequence[PairErrors]) -> dict[str, float]:
    depth = mean_depth_metrics(item.depth for item in errors)
    assert depth is not None
    means = {key: float(getattr(depth, key)) for key in _DEPTH}
    for key in (*_PAIR, "scale"):
        means[key] = sum(getattr(item, key) for item in errors) / len(errors)
    return means
