"""Fluentd's configuration in a state: the documented text, with what the state changes in it.

The text is taken from the document itself, so what users copy is what runs here. A change whose
place is not there any more is an error. Times are compressed; the destination is Fluentd's own
`out_http`, which needs no AWS and no further plugin.
"""

import re
from collections.abc import Iterable
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "fluentd.md"
OUTPUT = "out_s3"
HEARTBEAT = "lifecycle_heartbeat"
OWN_EVENTS = "own_events"
MONITOR_SECONDS = 1
DESTINATION_PORT = 8080

Change = tuple[str, str]

INTERVAL = "flush_mode interval\nflush_interval 1s"
IMMEDIATE: Change = (INTERVAL, "flush_mode immediate")
HOURLY: Change = (INTERVAL, "flush_mode lazy")
MEMORY: Change = ("@type file", "@type memory")
NO_LABEL: Change = ("<label @FLUENT_LOG>", "<label @ELSEWHERE>")
NO_OWN_OUTPUT: Change = (f"@id {OWN_EVENTS}", "#")
LIMITED: Change = ("retry_forever true", "retry_forever false\nretry_max_times 1")
SECONDARY: tuple[Change, ...] = (
    ("retry_forever true", "retry_forever false\nretry_timeout 4s"),
    ("  </buffer>", "</buffer>\n<secondary>\n@type secondary_file\n{directory}\n</secondary>"),
    ("{directory}", "directory {root}/failed\nbasename ${chunk_id}"),
)
# Without an id, or without root_dir, a file buffer needs a path of its own.
PATH: Change = (MEMORY[0], "@type file\npath {root}/buffer.path")
NO_ID: tuple[Change, ...] = ((f"@id {OUTPUT}", "#"), PATH)
NO_ROOT: tuple[Change, ...] = (("root_dir", "# root_dir"), PATH)


class ConfigurationError(Exception):
    """The document no longer has what a state changes."""


def documented() -> str:
    """The aggregators' configuration, as the document prints it."""
    blocks: list[str] = re.findall(
        r"^```apache\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    return next((block for block in blocks if f"@id {OUTPUT}" in block), "")


def changed(text: str, changes: Iterable[Change]) -> str:
    """The text with each change made, wherever its place is found."""
    for before, after in changes:
        if before not in text:
            raise ConfigurationError(f"{DOCUMENT.name} does not have: {before}")
        text = text.replace(before, after)
    return text


def configuration(address: str, root: Path, workers: int, changes: Iterable[Change]) -> str:
    """What a Fluentd with this address and folder is started with."""
    endpoint = f"http://{address}:{DESTINATION_PORT}/"
    here: tuple[Change, ...] = (
        ("workers 1", f"workers {workers}"),
        ("root_dir /var/log/fluentd", f"root_dir {root}"),
        ("bind 0.0.0.0", f"bind {address}"),
        ("bind 127.0.0.1", f"bind {address}"),
        ("interval 5", f"interval {MONITOR_SECONDS}"),
        ("@type s3", f"@type http\nendpoint {endpoint}\nretryable_response_codes 503"),
        ("s3_object_key_format", "# s3_object_key_format"),
        ("# ...", "<format>\n@type json\n</format>"),
        ("timekey 3600", f"timekey 3600\n{INTERVAL}"),
        ("retry_max_interval 60s", "retry_max_interval 2s\nretry_wait 1s"),
    )
    text = changed(documented(), (*here, *changes))
    return text.replace("{root}", str(root))
