"""Whatever stands in an annotation file, reading it ends with sound boxes or with a HarnessError; never otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.check import add_suspicions
from harness.data.load import load
from harness.errors import HarnessError
from harness.suite.schema import FilesDataset
from tests.data.write import FORMATS, dataset, label_file

_MUTATED = 150  # files of each format by default
_NASTY = (
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"null", b"true", b'"x"', b"[]", b"{}", b"9" * 30, b"1e308"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\\ud800", b"\r", b"\n\n", b",,,", b";", b'"', b"<![CDATA[", b"&lt;"),
    *(b"../../x.jpg", b"/etc/passwd", b"a\\b.jpg", b"<object>", b"</object>", b"-->", b"1_000", "٣".encode()),
    b"0.5 " * 9,
)


class Folders:
    """One small dataset of each format, and its files' clean content."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._clean: dict[str, list[tuple[Path, bytes]]] = {}
        for name in FORMATS:
            path = dataset(root / name, name, train=3, val=1)
            files = {label_file(path, name, "train", f"train00{number}.jpg") for number in (1, 2)}
            extra = {path / "data.yaml", path / "ImageSets" / "Main" / "train.txt"}
            self._clean[name] = [(file, file.read_bytes()) for file in sorted(files | extra) if file.is_file()]

    def read(self, name: str, which: int, mutate: bytes) -> None:
        """Load with one file's content replaced; check what comes out; put the clean content back."""
        file, clean = self._clean[name][which % len(self._clean[name])]
        file.write_bytes(mutate)
        try:
            source = FilesDataset(format=name, path=self._root / name)  # type: ignore[arg-type]
            loaded = load(source, depth="headers")
            add_suspicions(source, loaded)
            loaded.fingerprint()
            "".join(map(str, loaded.findings.problems())).encode()
        except HarnessError as error:
            str(error).encode()
            return
        finally:
            file.write_bytes(clean)
        for part in loaded.splits.values():
            columns = part.annotations
            sides = columns.boxes[:, 2:] - columns.boxes[:, :2]
            assert np.isfinite(columns.boxes).all()
            assert (sides > 0).all()
            assert (columns.boxes >= 0).all()
            limits = np.repeat(columns.sizes, np.diff(columns.offsets), axis=0)
            assert (columns.boxes[:, 2:] <= limits).all()
            assert ((columns.labels >= 0) & (columns.labels < len(columns.class_names))).all()
            assert len(columns.file_names) == len(part.paths) == len(columns.offsets) - 1
            assert all(path and path.startswith(str(self._root)) for path in part.paths)

    def clean(self, name: str, which: int) -> bytes:
        return self._clean[name][which % len(self._clean[name])][1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folders]:
    root = tmp_path_factory.mktemp("fuzz")
    yield Folders(root)
    shutil.rmtree(root)


@st.composite
def _edits(draw: st.DrawFn) -> list[tuple[str, float, float, bytes]]:
    kinds = st.sampled_from(["cut", "put", "replace", "repeat", "flip", "end"])
    where = st.floats(0, 1)
    return draw(
        st.lists(
            st.tuples(kinds, where, where, st.sampled_from(_NASTY) | st.binary(max_size=6)), min_size=1, max_size=4
        )
    )


def _mutated(data: bytes, edits: list[tuple[str, float, float, bytes]]) -> bytes:
    for kind, first, second, text in edits:
        start, length = int(first * len(data)), int(second * 40)
        if kind == "cut":
            data = data[:start] + data[start + length :]
        elif kind == "put":
            data = data[:start] + text + data[start:]
        elif kind == "replace":  # a number or a word, where one begins
            end = start
            while end < len(data) and data[end : end + 1].isalnum():
                end += 1
            data = data[:start] + text + data[end:]
        elif kind == "repeat":
            data = data[:start] + data[start : start + length] * 3 + data[start + length :]
        elif kind == "flip" and data:
            start = min(start, len(data) - 1)
            data = data[:start] + bytes([data[start] ^ (1 << int(second * 7))]) + data[start + 1 :]
        elif kind == "end":
            data = data[:start]
    return data


def _fuzz(folders: Folders, name: str, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(which=st.integers(0, 3), edits=_edits())
    def run(which: int, edits: list[tuple[str, float, float, bytes]]) -> None:
        folders.read(name, which, _mutated(folders.clean(name, which), edits))

    run()


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_files(name: str, folders: Folders) -> None:
    """Cuts, insertions, nasty values and flipped bits, several at once."""
    _fuzz(folders, name, _MUTATED)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_many_more_mutated_files(name: str, folders: Folders) -> None:
    """The same, 5,000 files of each format."""
    _fuzz(folders, name, 5000)


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_that_are_no_such_file(name: str, folders: Folders) -> None:
    """Random bytes and nothing at all."""

    @settings(max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(which=st.integers(0, 3), data=st.binary(max_size=200))
    def run(which: int, data: bytes) -> None:
        folders.read(name, which, data)

    run()
