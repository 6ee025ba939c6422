"""Run the application under uvicorn, with a graceful shutdown."""

import errno
import logging
import os
import socket
from functools import partial

import uvicorn
from fastapi import FastAPI

from ste.config.serve_settings import ServeSettings
from ste.errors import ConfigError
from ste.serving.http_protocol import LimitedProtocol


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        ConfigError: the address is invalid or in use.
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
    """Serve requests until SIGTERM or SIGINT, which then ends the process."""
    limits = settings.limits
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(LimitedProtocol, limits=limits, on_refusal=app.state.metrics.observe_refusal),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.idle_timeout,  # type: ignore[arg-type]  # float seconds work
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uvicorn.Server(config).run(sockets=[listening])
