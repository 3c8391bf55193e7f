"""The operator who follows a runbook: types its blocks, at a desk and on instances."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sandbox.cloud import REGION
from sandbox.demo import set_up as demo
from tests.support import runbooks
from tests.support.aws_cli import AwsCli
from tests.support.runbook_scene import Scene
from tests.support.runbooks import ON_INSTANCE, Block
from tests.support.terminal import Terminal, edited

INTERACTIVE = "opens an interactive session: simulated instances have no Session Manager"
NO_JOURNAL = "reads systemd's journal: a simulated instance has none"


@dataclass
class Walk:
    """The operator who types the blocks of one runbook, each as it stands.

    What was typed is noted, so that a block that is not typed cannot hide (``finish``).
    """

    scene: Scene
    runbook: str
    environment: dict[str, str]
    desk: Terminal
    sessions: ExitStack
    session: Terminal | None = None
    typed: set[str] = field(default_factory=set)

    def type(
        self, name: str, *, fails_with: str | None = None, edits: Mapping[str, str] | None = None
    ) -> str:
        """Type a block. It must write no error, or the one that the page calls good or expected.

        ``edits`` are values of its variables for what is elsewhere on a simulated instance.
        """
        block = self._block(name)
        values = {"NAME": demo.NAME, "AWS_REGION": REGION} if name == "set-up" else edits or {}
        terminal = self.desk
        if block.place == ON_INSTANCE:
            assert self.session is not None, "no session is open on the instance"
            terminal = self.session
        done = terminal.type(edited(block.text, values))
        self.typed.add(name)
        if fails_with is None:
            assert done.errors == "", f"{block}:\n{done.errors}\n{done.output}"
        else:
            assert fails_with in done.errors, f"{block}:\n{done.errors}\n{done.output}"
        return done.output

    def set(self, name: str, value: str) -> None:
        assert self.desk.type(f"export {name}={value}").errors == ""

    def show(self, name: str) -> str:
        return self.desk.type(f'printf %s "${name}"').output

    def open_session(self, instance_id: str) -> None:
        """Be on an instance, its variables set as the block ``variables`` has them edited."""
        folder = self.desk.folder.with_name(f"{self.runbook}-{instance_id}")
        terminal = Terminal(folder, self.environment)
        self.session = self.sessions.enter_context(terminal)
        address = self.scene.address(instance_id)
        here = {
            "INSTANCE": instance_id,
            "ROOT": str(self.scene.fluentd_root(instance_id)),
            "ASIDE": f'"$ROOT/backup {self.scene.disk(instance_id)}/tmp/fluent"',
            "MONITOR": f"http://{address}:24220",
            "EXPORTER": f"http://{address}:24231",
            "BUCKET": self.scene.bucket,
        }
        block = self._block("variables")
        present = {name: value for name, value in here.items() if f"export {name}=" in block.text}
        assert self.session.type(edited(block.text, present)).errors == ""
        self.typed.add("variables")

    def finish(self, not_typed: Mapping[str, str]) -> None:
        """Every block was typed, or stands with its reason in a list that is not stale."""
        names = {block.name for block in runbooks.blocks(self.runbook)}
        assert self.typed | set(not_typed) == names
        assert self.typed & set(not_typed) == set(), "it can be typed, so it needs no excuse"

    def _block(self, name: str) -> Block:
        found = [block for block in runbooks.blocks(self.runbook) if block.name == name]
        assert len(found) == 1, f"{self.runbook} has no block {name}"
        return found[0]


@contextmanager
def walk(scene: Scene, runbook: str) -> Iterator[Walk]:
    """Sit down with a runbook; ends every terminal."""
    with ExitStack() as sessions:
        environment = {
            **scene.cloud.environment,
            **sessions.enter_context(AwsCli()).environment,
            "HOME": str(scene.folder),
        }
        desk = sessions.enter_context(Terminal(scene.folder / "desk" / runbook, environment))
        yield Walk(scene, runbook, environment, desk, sessions)
