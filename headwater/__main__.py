"""The command `headwater`: run, apply, check, explain, schema, demo.

Heavy imports stand inside the commands, so that `--help` answers at once. In an installed wheel the rooms lie in
`headwater/rooms`; that folder goes first on the path here, before any of them is imported.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

_ROOMS = Path(__file__).resolve().parent / "rooms"
if _ROOMS.is_dir() and str(_ROOMS) not in sys.path:
    sys.path.insert(0, str(_ROOMS))

from headwater import __version__  # noqa: E402  (the path comes first)

if TYPE_CHECKING:
    from config.load import Draft
    from headwater.check import Checked
    from headwater.early import EarlyCheck

_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="headwater")
def main() -> None:
    """Kafka in; SQL views that are always right as of one timestamp; changes out."""


@main.command()
@_FILE
def check(file: Path) -> None:
    """Validate FILE, its SQL included, without connecting to anything; report every mistake at once."""
    checked = _checked(file)
    for note in checked.notes:
        click.echo(note)
    settings = checked.settings
    click.echo(
        f"{file}: correct: {len(settings.sources)} sources, {len(settings.views)} views, {len(settings.sinks)} sinks"
    )


@main.command()
@_FILE
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), default="auto", show_default=True)
def run(file: Path, log_level: str, log_format: str) -> None:
    """Run the service that FILE describes until SIGTERM or Ctrl-C."""
    # From here on a signal means to stop, and that is no failure: the imports alone take most of a second.
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: asked.append(received))
    # Until the service runs: what loading makes stays, and to look through it again and again takes a tenth of a start.
    gc.disable()
    from config.load import read

    draft = read(file, os.environ)
    early = _early(draft)
    from headwater.run import run_service

    checked = _checked(file, draft)
    sys.exit(run_service(checked, early, log_level, log_format, lambda: bool(asked)))


@main.command()
@_FILE
@click.option("--yes", is_flag=True, help="do it without asking")
@click.option("--plan", "only_plan", is_flag=True, help="show what would be done, and do nothing")
@click.option("--address", default=None, help="host:port of the service's HTTP, where the file does not say it")
def apply(file: Path, yes: bool, only_plan: bool, address: str | None) -> None:
    """Make the running service as FILE, which it was started with, is now: print the plan, ask, change it without a restart."""
    from headwater.apply import apply as apply_file

    def agree() -> bool:
        return click.confirm("change the running service?", default=False)

    sys.exit(apply_file(_checked(file), address, click.echo, None if yes else agree, only_plan))


@main.command()
@_FILE
@click.argument("view", required=False)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--stage",
    type=click.Choice(["logical", "optimized", "physical"]),
    help="one alone; without it the optimized plan and the operators, in JSON all",
)
def explain(file: Path, view: str | None, form: str, stage: str | None) -> None:
    """Print how the views of FILE, or VIEW alone, are computed: plan, operators, unique keys, what is shared, what grows."""
    from headwater.errors import HeadwaterError
    from headwater.explain import explain as explain_file

    try:
        click.echo(explain_file(_checked(file), view, form, stage))
    except HeadwaterError as error:
        raise click.ClickException(str(error)) from None


@main.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    from config.schema import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@click.option(
    "--seconds", type=click.IntRange(min=1), default=None, help="end by itself after this long, checking the view"
)
@click.option("--rate", type=click.IntRange(min=1), default=500, show_default=True, help="changes produced per second")
def demo(seconds: int | None, rate: int) -> None:
    """Live data on the embedded broker and a view answering; Ctrl-C ends it."""
    from headwater.demo import run_demo
    from headwater.errors import HeadwaterError

    try:
        run_demo(seconds, rate)
    except HeadwaterError as error:
        raise click.ClickException(str(error)) from None


def _early(draft: Draft) -> EarlyCheck | None:
    """The check of the state's files, begun while modules are loaded; none for a bucket, or a file with mistakes."""
    if draft.settings is None or "://" in draft.settings.state:
        return None
    from headwater.early import FOLDER, EarlyCheck

    return EarlyCheck(Path(draft.settings.state, FOLDER))


def _checked(file: Path, draft: Draft | None = None) -> Checked:
    from config.load import ConfigErrors, read
    from headwater.check import CheckErrors, check_draft

    try:
        return check_draft(read(file, os.environ) if draft is None else draft)
    except (ConfigErrors, CheckErrors) as mistakes:
        click.echo(str(mistakes), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
