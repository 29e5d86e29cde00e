"""Figures of the page as SVG: learning curves, precision over recall, calibration, confusion matrices."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from harness.analysis.detections.average_precision import RECALLS
from harness.analysis.detections.calibration import MIN_COUNT
from harness.report.figures.style import figure, plain, svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from harness.analysis.images import AnalysedRow
    from harness.store.record import Epoch

# Okabe and Ito's colours, which colour-blind readers can distinguish; then the same colours with other strokes.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STROKES = ("-", "--", ":", "-.")
_CURVES = {
    "loss": "training loss (each architecture's own scale)",
    "val_loss": "loss on val",
    "val_map": "mAP on val",
}
_MAX_PANELS, _COLUMNS = 12, 4  # panels of precision over recall, and how many stand side by side
_MAX_MATRICES, _MAX_CLASSES = 3, 15  # confusion matrices, and the classes of each
_MAX_WRITTEN = 10  # in a matrix of at most this many rows, cells have room for numbers
_MAX_MARKED = 20  # a curve of at most this many values has a mark at each
_POINTS = slice(None, None, 2)  # every second one of the 101 recalls


def learning(curves: Sequence[tuple[str, Sequence[Sequence[Epoch]]]]) -> bytes | None:
    """Draw the training loss, and loss and mAP on val if it was evaluated: means over seeds, bands over their range.

    Args:
        curves: (label, epochs of each seed) of each architecture.

    Returns:
        The SVG; None if there are no epochs.
    """
    trained = [(label, epochs) for label, seeds in curves if (epochs := [seed for seed in seeds if seed])]
    if not trained:
        return None
    last = max(1, *(epoch.epoch for _, seeds in trained for seed in seeds for epoch in seed))
    every = [epoch for _, seeds in trained for seed in seeds for epoch in seed]
    names = ["loss", *(name for name in ("val_loss", "val_map") if any(getattr(e, name) is not None for e in every))]
    with figure(4.5 * len(names) + 2.5 * (len(names) == 1), 4) as drawn:
        panels = drawn.subplots(1, len(names), squeeze=False)[0]
        for (label, seeds), style in zip(trained, _styles(), strict=False):
            for name, axes in zip(names, panels, strict=True):
                points = [[(e.epoch, getattr(e, name)) for e in seed if getattr(e, name) is not None] for seed in seeds]
                _band(axes, [seed for seed in points if seed], label, style)
        for name, axes in zip(names, panels, strict=True):
            axes.set_ylabel(_CURVES[name])
            axes.set_ylim(bottom=0)
            axes.set_xlabel("epoch")
            # The same whole epochs on all panels, also where val was evaluated once or the training was one epoch.
            axes.set_xlim(0, last * 1.02)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(visible=True, color="#eeeeee")
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", frameon=False, ncols=2)
        return svg(drawn)


def precision_recall(analysed: Sequence[AnalysedRow]) -> bytes:
    """Draw one panel for the mean over classes, then one for each of the classes with most boxes, as SVG.

    Args:
        analysed: the rows to draw, at least one.
    """
    first, names = analysed[0].analysis, analysed[0].analysis.class_names
    boxes = first.confusion[:-1].sum(axis=1)
    classes = [k for k in np.argsort(-boxes, kind="stable")[: _MAX_PANELS - 1].tolist() if boxes[k]]
    with_mean = len(classes) > 1
    count = len(classes) + with_mean
    rows = -(-count // _COLUMNS)
    with figure(2.6 * min(count, _COLUMNS) + 0.4, 2.3 * rows + 0.6) as drawn:
        panels = drawn.subplots(rows, min(count, _COLUMNS), squeeze=False, sharex=True, sharey=True).ravel()
        for axes in panels[count:]:
            axes.set_visible(False)
        for axes, k in zip(panels, [*([None] if with_mean else []), *classes], strict=False):
            axes.set_title("mean over classes" if k is None else f"{plain(names[k])} ({boxes[k]:,})", fontsize=9)
            for (row, _, analysis), (colour, stroke) in zip(analysed, _styles(), strict=False):
                curve = np.nanmean(analysis.curves, axis=0) if k is None else analysis.curves[k]
                axes.plot(RECALLS[_POINTS], curve[_POINTS], color=colour, linestyle=stroke, label=plain(row["label"]))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.grid(visible=True, color="#eeeeee")
        drawn.supxlabel("recall", fontsize=9)
        drawn.supylabel("precision", fontsize=9)
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", frameon=False, ncols=2)
        return svg(drawn)


def calibration(analysed: Sequence[AnalysedRow]) -> bytes:
    """Draw the fraction of correct detections over their mean score, in bins of 0.1, as SVG.

    Larger marks stand for more detections; bins of few are hollow, and no line leads to them.
    """
    with figure(6, 4.5) as drawn:
        axes = drawn.add_subplot()
        axes.plot((0, 1), (0, 1), color="#888888", linestyle="--", linewidth=1, label="calibrated")
        for (row, _, analysis), (colour, stroke) in zip(analysed, _styles(), strict=False):
            scores, correct = analysis.calibration_scores, analysis.calibration_precision
            counts = analysis.calibration_counts
            many, few = counts >= MIN_COUNT, (counts > 0) & (counts < MIN_COUNT)
            line = np.where(many, correct, np.nan)
            axes.plot(scores, line, color=colour, linestyle=stroke, label=plain(row["label"]))
            axes.scatter(scores[many], correct[many], _mark_areas(counts[many]), color=colour, zorder=3)
            axes.scatter(
                scores[few], correct[few], _mark_areas(counts[few]), facecolors="none", edgecolors=colour, alpha=0.4
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("score")
        axes.set_ylabel("fraction correct at IoU 0.50")
        axes.grid(visible=True, color="#eeeeee")
        drawn.legend(loc="outside upper left", frameon=False, ncols=2)
        return svg(drawn)


def _mark_areas(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the areas of marks for these numbers of detections, in points²: tenfold detections, 15 points² more."""
    return 5 + 15 * np.log10(counts)


def confusion(analysed: Sequence[AnalysedRow]) -> bytes:
    """Draw the confusion matrices of the first architectures, as fractions of each labelled class, as SVG."""
    shown, names = analysed[:_MAX_MATRICES], analysed[0].analysis.class_names
    boxes = shown[0].analysis.confusion[:-1].sum(axis=1)
    classes = sorted(np.argsort(-boxes, kind="stable")[:_MAX_CLASSES].tolist())
    places = [*classes, len(names)]
    labels = [*(plain(names[k], 20) for k in classes), "nothing"]
    side = 1.6 + 0.32 * len(labels)
    with figure(side * len(shown) + 0.8, side + 0.9) as drawn:
        panels = drawn.subplots(1, len(shown), squeeze=False)[0]
        for axes, (row, _, analysis) in zip(panels, shown, strict=True):
            counts, sums = analysis.confusion[np.ix_(places, places)], analysis.confusion[places].sum(axis=1)
            _matrix(axes, counts, sums, numbers=len(labels) <= _MAX_WRITTEN)
            axes.set_title(plain(row["label"], 34), fontsize=9)
            middles = np.arange(len(labels)) + 0.5
            axes.set_xticks(middles, labels, rotation=90, fontsize=8)
            axes.set_yticks(middles, labels, fontsize=8)
            axes.tick_params(length=0)
            axes.set_xlabel("detected as", fontsize=9)
        panels[0].set_ylabel("labelled", fontsize=9)
        return svg(drawn)


def _matrix(axes: Axes, counts: NDArray[np.int64], sums: NDArray[np.int64], *, numbers: bool) -> None:
    """Draw each row as fractions of all its objects, which include those detected as classes that are not shown."""
    fractions = np.divide(counts, sums[:, None], out=np.zeros(counts.shape), where=sums[:, None] > 0)
    # Not imshow, which would put a bitmap into the SVG.
    axes.pcolormesh(fractions, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    for row, column in np.ndindex(*counts.shape) if numbers else ():
        if counts[row, column]:
            dark = fractions[row, column] > 0.5  # noqa: PLR2004 - the middle of the colours
            axes.text(
                column + 0.5, row + 0.5, f"{counts[row, column]}", ha="center", va="center", fontsize=7,
                color="white" if dark else "black",
            )  # fmt: skip


def _band(axes: Axes, seeds: Sequence[Sequence[tuple[int, float]]], label: str, style: tuple[str, str]) -> None:
    """Draw the mean over the seeds that reached each epoch, with a band from the lowest to the highest."""
    by_epoch: dict[int, list[float]] = {}
    for epoch, value in itertools.chain.from_iterable(seeds):
        by_epoch.setdefault(epoch, []).append(value)
    epochs = sorted(by_epoch)
    colour, stroke = style
    marker = "o" if len(epochs) <= _MAX_MARKED else None  # a single value has no line
    means = [np.mean(by_epoch[e]) for e in epochs]
    axes.plot(epochs, means, color=colour, linestyle=stroke, marker=marker, markersize=4, label=plain(label))
    if len(seeds) > 1:
        low, high = [min(by_epoch[e]) for e in epochs], [max(by_epoch[e]) for e in epochs]
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)


def _styles() -> Iterator[tuple[str, str]]:
    """Return a (colour, stroke) for each line: first every colour, then every colour with the next stroke."""
    return ((colour, stroke) for stroke in _STROKES for colour in _COLOURS)
