"""The rows of YOLOs: only what is permissive in code and weights, with where everything about them is published."""

from __future__ import annotations

from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.yolo import ARCHITECTURES

PERMISSIVE = {"MIT", "Apache-2.0", "Apache-2.0 AND MIT"}


def test_code_and_weights_are_permissive() -> None:
    assert {row.code_license for row in ARCHITECTURES} <= PERMISSIVE
    assert {row.weights_license for row in ARCHITECTURES} <= PERMISSIVE


def test_weights_are_the_files_that_the_library_publishes() -> None:
    """One repository a size, with one file of the repository's name: libreyolo's own rule."""
    for row in ARCHITECTURES:
        file = row.published_files["default"]
        assert isinstance(file, HubFile)
        family = {"yolox": "LibreYOLOX", "yolo9": "LibreYOLO9"}[row.network]
        assert (file.repo, file.file) == (f"LibreYOLO/{family}{row.size}", f"{family}{row.size}.pt")


def test_each_number_says_where_it_is_from() -> None:
    for row in ARCHITECTURES:
        assert row.recipe.source.startswith("https://")
        assert row.published_source.startswith("https://") == (row.published_map is not None)


def test_the_small_yolox_have_a_native_size_of_their_own() -> None:
    sizes = {row.name: row.image_size for row in ARCHITECTURES}
    assert [name for name, size in sizes.items() if size == (416, 416)] == ["yolox_nano", "yolox_tiny"]
    assert set(sizes.values()) == {(416, 416), (640, 640)}
