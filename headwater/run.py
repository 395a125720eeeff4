"""`headwater run`: logging, signals, the progress a person sees, and the exit status."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from headwater.app import Service
from headwater.check import Checked
from headwater.errors import HeadwaterError

log = structlog.get_logger(__name__)

PROGRESS_SECONDS = 5.0
"""How often hydration says in the log how far it is, where there is no terminal to draw a bar on."""


def set_up_logging(level: str, form: str) -> None:
    """Logs go to standard error: text for people on a terminal, JSON elsewhere, unless `form` says which."""
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if form == "text"
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def run_service(checked: Checked, level: str, form: str) -> int:
    """Run until a signal or a failure; the process's exit status."""
    set_up_logging(level, form)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = Service(checked)
    try:
        service.start()
        follow(service, stop)
    except HeadwaterError as error:
        log.error("cannot start", reason=str(error))
        return 1
    finally:
        if stop.is_set():
            log.info("stopping")
        service.stop()
    if service.failure is not None:
        return 1
    log.info("stopped")
    return 0


def follow(service: Service, stop: threading.Event) -> None:
    """Show hydration until the service is ready, say so, then wait for `stop` or the loop's end."""
    console = Console(stderr=True)
    if console.is_terminal:
        _draw(service, stop, console)
    else:
        _tell(service, stop)
    if service.status().ready:
        host, port = service.address or ("", 0)
        log.info("ready", views=f"http://{host}:{port}/views", metrics=f"http://{host}:{port}/metrics")
    while not stop.is_set() and not service.wait(0):
        stop.wait(0.2)


def _draw(service: Service, stop: threading.Event, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, TaskID] = {}
        while not stop.is_set() and not service.wait(0) and not service.status().ready:
            for name, source in service.sources.items():
                if name not in bars:
                    bars[name] = progress.add_task(name, total=None, state="")
                done, target = source.progress
                status = source.status()
                progress.update(
                    bars[name], completed=done, total=target or None, state=f"{status.state} {status.reason}".strip()
                )
            time.sleep(0.1)


def _tell(service: Service, stop: threading.Event) -> None:
    said = time.monotonic()
    while not stop.is_set() and not service.wait(0) and not service.status().ready:
        stop.wait(0.02)
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            for name, source in service.sources.items():
                done, target = source.progress
                status = source.status()
                log.info(service.phase, source=name, state=status.state, reason=status.reason, records=done, of=target)
