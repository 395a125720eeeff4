"""A TCP proxy before the broker that can be slow, silent or gone.

Always true: bytes come out in order and unchanged, or the connection ends. Faults hold for all connections at once.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Proxy:
    """Listens on a port of loopback and passes on to another; its event loop runs in a thread of its own.

    delay: seconds that each piece waits. silent: nothing passes, in either direction, until it is False again.
    """

    def __init__(self, port: int, target: int) -> None:
        self.delay = 0.0
        self.silent = False
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def listen() -> None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
            started.set()

        self._listening = self._loop.create_task(listen())
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise TimeoutError(f"the proxy does not listen on port {port}")

    def cut(self) -> None:
        """End every connection; new ones are taken."""
        self._loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in list(self._writers)])

    def heal(self) -> None:
        """Pass on at once again."""
        self.delay, self.silent = 0.0, False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            self._writers -= both

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.silent:
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
        writer.close()
