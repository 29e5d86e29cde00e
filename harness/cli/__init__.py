"""The commands: each parses its arguments, calls the API, prints, and turns an error into an exit code.

This module only puts the commands into one group. Their modules import the API inside the commands, so that
`harness --help` answers at once.
"""

from __future__ import annotations

from typing import Any

import click

from harness.cli.catalog import list_, schema
from harness.cli.check_architecture import check_architecture
from harness.cli.compare import compare
from harness.cli.data import data
from harness.cli.export import export
from harness.cli.measure import doctor, measure
from harness.cli.predict import predict
from harness.cli.race import race
from harness.cli.recommend import recommend
from harness.cli.report import report
from harness.cli.run import fetch, plan, run, validate
from harness.cli.status import show, status
from harness.printing import protect
from harness.version import __version__


class _Commands(click.Group):
    """A group whose commands, and whose errors of usage, print through `harness.printing`."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        protect()
        return super().main(*args, **kwargs)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Which object detector should I fine-tune and ship, on my data, on my machine?

    Exit codes: 0 no trial failed, 1 some did, 2 bad suite or usage, 3 stopped by the machine, 4 another run holds the
    results, 130 or 143 interrupted.
    """


for command in (
    run,
    plan,
    validate,
    report,
    list_,
    check_architecture,
    fetch,
    schema,
    data,
    status,
    show,
    measure,
    race,
    doctor,
    predict,
    export,
    recommend,
    compare,
):
    main.add_command(command)
