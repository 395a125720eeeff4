"""`headwater run`: logging, signals, the progress a person sees, and the exit status."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO, cast

import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from headwater.app import Service
from headwater.check import Checked
from headwater.early import EarlyCheck
from headwater.errors import HeadwaterError

log = structlog.get_logger(__name__)

PROGRESS_SECONDS = 5.0
"""How often hydration says in the log how far it is, where there is no terminal to draw a bar on."""


class _Stderr:
    """Standard error as it is when a line is written: while a progress bar is drawn, lines belong above it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


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
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )


def run_service(
    checked: Checked, early: EarlyCheck | None, level: str, form: str, asked: Callable[[], bool] = lambda: False
) -> int:
    """Run until a signal or a failure; the process's exit status. asked: whether a signal came before this was called."""
    set_up_logging(level, form)
    stop = threading.Event()
    service = Service(checked, early)
    stop_on_signals(stop, service)
    status = 0
    if asked():
        log.info("stopped before the start", status=status)
        return status
    try:
        service.start()
        gc.freeze()  # what was made so far stays
        gc.enable()
        follow(service, stop)
    except HeadwaterError as error:
        if not stop.is_set():
            log.error("cannot start", reason=str(error))
            status = 1
    finally:
        if stop.is_set():
            log.info("stopping")
        service.stop()
    if service.failure is not None:
        status = 1
    log.info("stopped", status=status)
    if service.left_behind:
        # A thread inside a call of the Kafka client cannot be told to leave, and the interpreter would wait for it.
        log.warning("left without waiting for the Kafka client", threads=service.left_behind)
        sys.stderr.flush()
        os._exit(status)
    return status


def stop_on_signals(stop: threading.Event, service: Service) -> None:
    """SIGTERM and Ctrl-C set `stop` and end whatever `service` waits for.

    A handler interrupts the main thread anywhere, also where it holds the lock of an event: setting that event must be
    another thread's work.
    """

    def leave() -> None:
        stop.set()
        service.leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=leave, name="signal", daemon=True).start())


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
        TaskProgressColumn(),
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
                status = source.status()
                done, target = status.hydration
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
                status = source.status()
                done, total = status.hydration
                log.info(
                    service.phase,
                    source=name,
                    state=status.state,
                    reason=status.reason,
                    offsets=done,
                    of=total,
                    percent=round(100 * done / max(total, 1), 1),
                )
