"""The command line and the wiring: builds every room, owns the tick loop, start and shutdown."""

__version__ = "0.1.0"
