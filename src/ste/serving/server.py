"""The process: a socket, uvicorn on it, and an end that answers what is in flight."""

import errno
import logging
import os
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from ste.config.serve_settings import ServeSettings
from ste.errors import ConfigError
from ste.serving.http_protocol import protocol_class


class Server(uvicorn.Server):
    """uvicorn's, which tells the application as soon as it is asked to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has begun, and end."""
        self._stopping()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: the address is not this machine's, or taken.
    """
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return socket.create_server(address[:2], family=family, backlog=2048)
    except socket.gaierror as error:
        raise ConfigError(f"host={host}: is no address ({error.strerror}). Try host=127.0.0.1.") from None
    except OSError as error:
        hint = f"Try port={port + 1}." if error.errno == errno.EADDRINUSE else "Try host=127.0.0.1 port=8000."
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"port={port}: cannot listen on {host} ({reason}). {hint}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    return host in ("localhost", "::1") or host.startswith("127.")


def serve(app: FastAPI, settings: ServeSettings, listening: socket.socket) -> None:
    """Answer requests until told to stop by SIGTERM or SIGINT, which ends the process as that signal does."""

    def stopping() -> None:
        app.state.stopping = True

    limits = settings.limits
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol_class(limits, app.state.metrics.refused),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # seconds; fractions work
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    Server(config, stopping).run(sockets=[listening])
