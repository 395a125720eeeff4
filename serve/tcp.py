"""A listening socket: what both doors begin with."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen, without blocking; port 0 takes a free one. OSError when it cannot be."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1024)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound
