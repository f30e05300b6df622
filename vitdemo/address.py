"""Where the page is to be found: told before anything is built whether that is possible."""

import socket

from vitdemo.errors import VitdemoError


def check(host: str | None, port: int | None) -> None:
    """Raises VitdemoError where the port is none, or somebody else's, or the address is not this machine's."""
    if port is not None and not 0 < port < 65536:
        raise VitdemoError(f"--port is {port}; allowed: 1 to 65535.")
    place = host or "127.0.0.1"
    try:
        kind, _, _, _, where = socket.getaddrinfo(place, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except socket.gaierror:
        raise VitdemoError(f"--host is {place!r}, which is no address; allowed: one of this machine's.") from None
    except PermissionError:
        raise VitdemoError(f"Port {port} may not be used without further rights; allowed: 1024 and above.") from None
    except OSError as error:
        if error.errno is not None and port is not None and _is_local(place):
            raise VitdemoError(f"Port {port} of {place} is in use; choose another with --port.") from None
        raise VitdemoError(f"--host is {place!r}, which is not an address of this machine.") from None


def _is_local(place: str) -> bool:
    """Whether some port of the address can be had."""
    try:
        kind, _, _, _, where = socket.getaddrinfo(place, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as tried:
            tried.bind(where)
        return True
    except OSError:
        return False
