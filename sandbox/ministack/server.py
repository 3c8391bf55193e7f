"""MiniStack: Lambda, SQS, EventBridge, S3, CloudWatch, SNS and IAM in one local process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.http import request
from sandbox.host.ports import LOOPBACK
from sandbox.host.processes import Process, Processes, clean_environment

PROJECT = Path(__file__).parents[2]
# Made by `make venv-ministack`; it pins an exact botocore and must not share an environment.
DEFAULT_PYTHON = PROJECT / ".venv-ministack" / "bin" / "python"
ENTRY = Path(__file__).parent / "plugins" / "entry.py"
READY_SECONDS = 60.0
ASK_SECONDS = 2.0


class MinistackMissingError(Exception):
    """Its environment has not been made yet."""


@dataclass(frozen=True)
class MinistackSettings:
    """Its port, account and folders, and the environment of its functions."""

    port: int
    work: Path
    account_id: str
    region: str
    root_key: str
    function_environment: Mapping[str, str]
    """Goes to every function: the endpoints of what MiniStack does not play."""
    python: Path = DEFAULT_PYTHON
    chaos_directory: Path | None = None
    """Where `plugins.chaos` notes and reads; None: nothing of the kind."""

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def temporary(self) -> Path:
        """Where it unpacks functions and starts them from."""
        return self.work / "tmp"


def start(settings: MinistackSettings, processes: Processes) -> Process:
    """Start it and wait until it answers."""
    if not settings.python.exists():
        raise MinistackMissingError(f"{settings.python} is missing: make venv-ministack sets it up")
    process = processes.start(
        "ministack", [str(settings.python), "-P", str(ENTRY)], environment=_environment(settings)
    )
    process.wait_until(lambda: is_ready(settings.address), seconds=READY_SECONDS)
    return process


def is_ready(address: str) -> bool:
    """Whether it answers its health check."""
    try:
        request("GET", f"{address}/_ministack/health", timeout=ASK_SECONDS)
    except OSError:
        return False
    return True


def _environment(settings: MinistackSettings) -> dict[str, str]:
    for folder in ("tmp", "state", "s3"):
        (settings.work / folder).mkdir(parents=True, exist_ok=True)
    chaos = settings.chaos_directory
    return {
        **clean_environment(),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": str(settings.port),
        "MINISTACK_ACCOUNT_ID": settings.account_id,
        "MINISTACK_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": settings.root_key,
        "AWS_SECRET_ACCESS_KEY": settings.root_key,
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        # Nothing survives a cloud, and nothing is written outside its folder.
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "TMPDIR": str(settings.temporary),
        "STATE_DIR": str(settings.work / "state"),
        "S3_DATA_DIR": str(settings.work / "s3"),
        **({"SANDBOX_CHAOS_DIRECTORY": str(chaos)} if chaos else {}),
        **settings.function_environment,
    }
