"""The generated references say what the program of today takes and writes."""

from __future__ import annotations

import runpy

import click
import pytest

from tests.conftest import ROOT

REFERENCE = ROOT / "docs" / "reference"
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
PAGES: dict[str, str] = GENERATE["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_is_what_the_program_generates(name: str) -> None:
    """A page that was not written again after a change of the program is stale."""
    committed = (REFERENCE / name).read_text(encoding="utf-8")
    assert committed == PAGES[name], f"docs/reference/{name} is stale: run `python docs/generate.py` (or `make docs`)"


def test_no_other_page_stands_in_the_folder_of_generated_pages() -> None:
    """A page that is no longer generated would grow old in silence."""
    assert {path.name for path in REFERENCE.iterdir()} == set(PAGES)


def test_hidden_options_and_commands_are_left_out() -> None:
    """Old names stay valid for those who know them, and are shown to nobody else."""
    program = click.Group(help="A program.")
    program.add_command(
        click.Command(
            "run",
            help="Run <suite>.",
            params=[
                click.Option(["--max-images"], metavar="N|M", help="The first N."),
                click.Option(["--limit"], hidden=True, help="The same."),
            ],
        )
    )
    program.add_command(click.Command("old", hidden=True, help="What was once."))
    page = GENERATE["_commands_page"](program)
    assert "| `--max-images N\\|M` | The first N. |" in page
    assert "Run \\<suite>." in page
    assert "--limit" not in page
    assert "harness old" not in page


def test_types_ranges_and_defaults_are_those_of_the_schema() -> None:
    """One key of each kind, as a reader of the suite reference meets it."""
    suite = PAGES["suite.md"]
    assert "| `momentum` | number ≥ 0 and ≤ 1 | `0.9` |" in suite
    assert "| `schedule` | `multistep` or `cosine` or `constant` or `plateau` | `multistep` |" in suite
    assert "| `limits` | [Limits](#limits) | its own defaults |" in suite
    assert "Used at `datasets.<name>.split`." in suite
