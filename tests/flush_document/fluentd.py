"""A process that plays Fluentd: it buffers in files, takes SIGUSR1, and serves its counters.

    fluentd.py '{"buffer": "/DIR", "at_flush": "send"}'

`at_flush` is what it does on the signal to flush: `send` its chunks after `seconds`, `keep` them
(it is in back-off), `set_aside` in `backup`; send them and have more come in, which it buffers
(`restage`, a record `seconds` later) or sends at once (`emit`, a record whenever monitor_agent is
asked); be `replaced` by `successor` in the unit of the file `replaces`, its chunks gone; or `end`.
It loads the chunk files that are below `buffer` when it starts, and holds them open, as Fluentd
does; with `worker` another process does, one that systemd does not know. `plugins` is what
monitor_agent shows rather than the truth, `root_dir` what it names. The first line of output is
`ready PORT`.
"""

import http.server
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

BEATS_A_SECOND = 1000


class Fluentd:
    """One output, its buffer, its monitor_agent and RPC on one port."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.buffer = Path(settings["buffer"])
        self.backup = Path(settings.get("backup", "/nowhere"))
        self.at_flush = settings.get("at_flush", "send")
        self.seconds = settings.get("seconds", 0.0)
        self.shown: list[dict[str, object]] | None = settings.get("plugins")
        self.emitted = 7
        self.unit = Path(settings.get("replaces", "/nowhere"))
        self.successor = settings.get("successor", "")
        self.root_dir = settings.get("root_dir", "")
        self.loaded: dict[Path, IO[bytes]] = {
            path: path.open("rb") for path in self.buffer.rglob("*.[bq]*.*")
        }

    def chunks(self) -> list[Path]:
        return sorted(path for path in self.loaded if path.suffix != ".meta")

    def flush(self) -> None:
        if self.at_flush == "end":
            os._exit(1)
        elif self.at_flush == "set_aside":
            self.backup.mkdir(parents=True, exist_ok=True)
            for chunk in self.chunks():
                chunk.rename(self.backup / f"{chunk.name.split('.')[1][1:]}.log")
                self.loaded.pop(chunk).close()
        elif self.at_flush in {"send", "emit"}:
            time.sleep(self.seconds)
            self.send()
        elif self.at_flush == "restage":
            self.send()
            time.sleep(self.seconds)
            chunk = self.buffer / f"buffer.b{'5' * 32}.log"
            self.loaded[chunk] = chunk.open("w+b", buffering=0)
            self.loaded[chunk].write(b"one more\n")
        elif self.at_flush == "replaced":
            self.unit.write_text(self.successor)
            self.send()

    def send(self) -> None:
        for chunk in self.chunks():
            Path(f"{chunk}.meta").unlink(missing_ok=True)
            chunk.unlink()
            self.loaded.pop(chunk).close()

    def plugins(self) -> list[dict[str, object]]:
        if self.shown is not None:
            return self.shown
        if self.at_flush == "emit":
            self.emitted += 1
        heartbeats = int(time.monotonic() * BEATS_A_SECOND)
        chunks = self.chunks()
        return [
            {"plugin_id": "monitor", "type": "monitor_agent"},
            {"plugin_id": "heartbeat", "type": "null", "emit_records": heartbeats},
            {
                "plugin_id": "out_s3",
                "type": "s3",
                "buffer_stage_length": len(chunks),
                "buffer_queue_length": 0,
                "buffer_total_queued_size": sum(chunk.stat().st_size for chunk in chunks),
                "emit_records": self.emitted,
                "retry": {},
            },
        ]

    def listen(self) -> int:
        """Serve monitor_agent and RPC; the port."""
        fluentd = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/api/plugins":
                    self.answer("".join(line(plugin) for plugin in fluentd.plugins()))
                elif self.path == "/api/plugins.json":
                    self.answer(json.dumps({"plugins": fluentd.plugins()}))
                elif self.path == "/api/config":
                    self.answer(line({"pid": os.getpid(), "root_dir": fluentd.root_dir}))
                elif self.path == "/api/plugins.flushBuffers":
                    threading.Thread(target=fluentd.flush).start()
                    self.answer(json.dumps({"ok": True}))
                else:
                    self.send_error(404)

            def answer(self, body: str) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port


def line(fields: Mapping[str, object]) -> str:
    """A line as monitor_agent writes it: objects are left out."""
    shown = {name: value for name, value in fields.items() if not isinstance(value, dict)}
    return "\t".join(f"{name}:{value}" for name, value in shown.items()) + "\n"


def tell_ready(port: int) -> None:
    sys.stdout.write(f"ready {port}\n")
    sys.stdout.flush()


def main() -> None:
    settings = json.loads(sys.argv[1])
    fluentd = Fluentd(settings)
    supervisor = os.getpid()
    if settings.get("worker") and os.fork() == 0:
        # SIGUSR1 would end it: only its supervisor may be signalled. One that `takes` it goes on.
        if settings["worker"] == "takes":
            signal.signal(signal.SIGUSR1, lambda *_: None)
        tell_ready(0)
        while os.getppid() == supervisor:
            time.sleep(0.05)
        return
    if settings.get("worker"):
        for file in fluentd.loaded.values():
            file.close()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    port = fluentd.listen()
    if not settings.get("worker"):
        tell_ready(port)
    while True:
        signal.sigwait({signal.SIGUSR1})
        fluentd.flush()


if __name__ == "__main__":
    main()
