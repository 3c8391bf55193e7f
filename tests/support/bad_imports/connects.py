"""Does what no module of the product may do; the guard has to notice."""

import contextlib
import socket

with contextlib.suppress(Exception):
    socket.create_connection(("127.0.0.1", 9), timeout=1)
