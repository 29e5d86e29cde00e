"""Collect the problems of labelled images, and describe them with their places.

The code that detects a problem adds it to `Findings`; the check, the run and `--json` show the same text.
`harness.data.problem_codes` has the kinds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.data.problem_codes import CODES
from harness.formatting import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.data.problem_codes import Severity

_KEPT_PLACES = 20
_SHOWN_PLACES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The location of a problem.

    Attributes:
        file: the annotation file, or the image file if the image itself has the problem.
        line: the line number from 1, for text and XML files.
        image: the image's id in COCO, otherwise its name in the annotations.
        annotation: the annotation's id in COCO, otherwise its number among the image's annotations, from 0.
        detail: what exactly is wrong there.
    """

    file: str
    line: int | None = None
    image: int | str | None = None
    annotation: int | str | None = None
    detail: str = ""

    def __str__(self) -> str:
        text = self.file if self.line is None else f"{self.file}:{self.line}"
        entry = [f"image {self.image}"] if self.image is not None else []
        entry += [f"annotation {self.annotation}"] if self.annotation is not None else []
        texts = [text, ", ".join(entry), self.detail]
        return on_one_line(": ".join(text for text in texts if text))

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        fields = {name: getattr(self, name) for name in ("line", "image", "annotation", "detail")}
        return {"file": self.file, **{name: value for name, value in fields.items() if value not in {None, ""}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All problems of one kind: how many there are, and where the first ones are."""

    code: str
    count: int
    places: tuple[Place, ...]

    @property
    def severity(self) -> Severity:
        """`error` if the problem stops a run, `warning` if it does not."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        code = CODES[self.code]
        lines = [f"{code.severity} {self.code} ({self.count}): {code.message}"]
        lines += [f"    {place}" for place in self.places[:_SHOWN_PLACES]]
        if self.count > _SHOWN_PLACES:
            lines.append(f"    … and {self.count - _SHOWN_PLACES:,} more")
        return "\n".join([*lines, f"  what to do: {code.hint}"])

    def as_json(self) -> dict[str, Any]:
        """Return the problem as `harness data check --json` prints it."""
        code = CODES[self.code]
        return {
            "code": self.code,
            "severity": code.severity,
            "count": self.count,
            "message": code.message,
            "hint": code.hint,
            "places": [place.as_json() for place in self.places],
        }


@dataclass(slots=True)
class Findings:
    """Collects problems while data are read: counts all of them, and keeps the first places of each kind."""

    _counts: dict[str, int] = field(default_factory=dict)
    _places: dict[str, list[Place]] = field(default_factory=dict)

    def add(self, code: str, *places: Place) -> None:
        """Add one problem of this kind for each place."""
        self.add_many(code, len(places), places)

    def add_many(self, code: str, count: int, places: Iterable[Place]) -> None:
        """Add `count` problems of this kind; `places` is only iterated as far as places are kept."""
        if code not in CODES:
            raise KeyError(code)
        if count:
            self._counts[code] = self._counts.get(code, 0) + count
            first_places = self._places.setdefault(code, [])
            first_places.extend(islice(places, _KEPT_PLACES - len(first_places)))

    def problems(self, severity: Severity | None = None) -> tuple[Problem, ...]:
        """Return the problems, one for each kind, errors first, in the order of `CODES`."""
        problems = (
            Problem(code=code, count=self._counts[code], places=tuple(self._places[code]))
            for code in CODES
            if code in self._counts
        )
        return tuple(problem for problem in problems if severity in {None, problem.severity})
