"""After the benchmarks' own table: what they have to say in words, ratios above all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session: Any = config._benchmarksession  # type: ignore[attr-defined]
    said = [(bench.name, bench.extra_info["said"]) for bench in session.benchmarks if "said" in bench.extra_info]
    if said:
        terminalreporter.section("harness against plain torchvision, and other rates")
        width = max(len(name) for name, _ in said)
        for name, text in said:
            terminalreporter.write_line(f"{name:<{width}}  {text}")
