"""SSM's Run Command: strict, asynchronous, and really run by agents.

moto calls every command a success at once. Here SendCommand refuses what AWS refuses, and what it
accepts reaches the instance's agent, whose report decides how it ended. Instances are named by id
(`Targets` is refused), and documents are those of `sandbox.emulator.ssm.document`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random
from moto.ssm.exceptions import InvalidDocument, SSMException, ValidationException
from moto.ssm.models import Document, ssm_backends

from sandbox.emulator.agents import Assignment, Report
from sandbox.emulator.ssm.document import CommandDocument, InvalidParametersError
from sandbox.emulator.ssm.documents import COMMAND, CheckedDocumentsBackend
from sandbox.emulator.ssm.invocations import Invocation
from sandbox.emulator.world import World

SHORTEST_DELIVERY_SECONDS = 30
LONGEST_DELIVERY_SECONDS = 2_592_000
DEFAULT_DELIVERY_SECONDS = 3600
MOST_INSTANCES = 50
LONGEST_COMMENT = 100
# How much longer than its script may run an agent may take to report, before it counts as lost.
REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class SentCommand:
    """A command, and its invocation on each instance."""

    command_id: str
    document_name: str
    document_version: str
    parameters: Mapping[str, Any]
    comment: str
    delivery_seconds: int
    requested_at: float
    invocations: dict[str, Invocation] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        statuses = [one.status for one in self.invocations.values()]
        unfinished = [one for one in statuses if one in {"Pending", "InProgress"}]
        failed = [one for one in statuses if one in {"Failed", "TimedOut"}]
        status = (unfinished or failed or ["Success"])[0]
        return {
            "CommandId": self.command_id,
            "DocumentName": self.document_name,
            "DocumentVersion": self.document_version,
            "Comment": self.comment,
            "ExpiresAfter": self.requested_at + self.delivery_seconds,
            "Parameters": dict(self.parameters),
            "InstanceIds": list(self.invocations),
            "Targets": [],
            "RequestedDateTime": self.requested_at,
            "Status": status,
            "StatusDetails": status,
            "TargetCount": len(statuses),
            "CompletedCount": len(statuses) - len(unfinished),
            "ErrorCount": len(failed),
            "TimeoutSeconds": self.delivery_seconds,
        }


class RunCommandBackend(CheckedDocumentsBackend):
    """The API's operations. `world` is bound by a subclass for each emulated cloud."""

    world: ClassVar[World]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.sent_commands: dict[str, SentCommand] = {}

    @classmethod
    def all_of(cls, world: World) -> list["RunCommandBackend"]:
        backends = (backend for _, _, backend in ssm_backends.iter_backends())
        return [one for one in backends if isinstance(one, cls) and one.world is world]

    def instance_tags(self, instance_id: str) -> dict[str, str]:
        """The tags of an instance, known or not."""
        for instance in self._instances():
            if instance.id == instance_id:
                return {tag["key"]: tag["value"] for tag in instance.get_tags()}
        return {}

    def managed_instances(self) -> dict[str, bool]:
        """The running instances, and whether their agents are online."""
        faults = self.world.faults
        running = [one.id for one in self._instances() if one.state == "running"]
        return {name: not faults.concerns(faults.agents_off, name) for name in running}

    def send(self, request: Mapping[str, Any]) -> SentCommand:
        """SendCommand: refuse what is wrong, send the rest to the agents."""
        delivery_seconds = _require_limits(request)
        document = self.document_version(request["DocumentName"], request.get("DocumentVersion"))
        command, values = _prepared(document, request.get("Parameters") or {})
        self._require_agents(request["InstanceIds"])
        sent = SentCommand(
            command_id=str(mock_random.uuid4()),
            document_name=document.name,
            document_version=document.document_version,
            parameters=request.get("Parameters") or {},
            comment=request.get("Comment") or "",
            delivery_seconds=delivery_seconds,
            requested_at=self.world.now,
        )
        self.sent_commands[sent.command_id] = sent
        for instance_id in request["InstanceIds"]:
            self._dispatch(sent, instance_id, command, values)
        return sent

    def sent_command(self, command_id: str) -> SentCommand:
        sent = self.sent_commands.get(command_id)
        if sent is None:
            raise SSMException("InvalidCommandId", f"Command {command_id} does not exist.")
        return sent

    def invocation(self, command_id: str, instance_id: str, step: str | None) -> Invocation:
        """The invocation of a command on one instance, so far."""
        found = self.sent_command(command_id).invocations.get(instance_id)
        if found is None or self.world.now < found.known_from:
            raise SSMException("InvocationDoesNotExist", "The invocation does not exist.")
        if step is not None and step != found.assignment.step:
            raise SSMException("InvalidPluginName", f"The document has no step {step}.")
        return found

    def fetch(self, instance_ids: Iterable[str]) -> list[Assignment]:
        """The commands that wait for these instances' agents; they are in progress from now on."""
        waiting = [one for one in self._invocations() if one.is_waiting and self._has_arrived(one)]
        if not waiting:
            return []
        managed, wanted = self.managed_instances(), set(instance_ids)
        fetched = [
            one
            for one in waiting
            if one.assignment.instance_id in wanted and managed.get(one.assignment.instance_id)
        ]
        for invocation in fetched:
            self._begin(invocation)
        return [invocation.assignment for invocation in fetched]

    def report(self, command_id: str, instance_id: str, report: Report) -> bool:
        """Take an agent's report; False if the command has already ended."""
        sent = self.sent_commands.get(command_id)
        invocation = sent.invocations.get(instance_id) if sent else None
        if invocation is None or not invocation.is_running:
            return False
        self._end(invocation, report)
        return True

    def _instances(self) -> list[Any]:
        # Its own id and state: moto gives classes, but no types.
        return list(ec2_backends[self.account_id][self.region_name].all_instances())

    def _invocations(self) -> Iterator[Invocation]:
        for sent in self.sent_commands.values():
            yield from sent.invocations.values()

    def _require_agents(self, instance_ids: Iterable[str]) -> None:
        managed = self.managed_instances()
        missing = [one for one in instance_ids if not managed.get(one)]
        if missing:
            raise SSMException(
                "InvalidInstanceId",
                f"Instances [[{', '.join(missing)}]] not in a valid state for account",
            )

    def _dispatch(
        self,
        sent: SentCommand,
        instance_id: str,
        command: CommandDocument,
        values: Mapping[str, Any],
    ) -> None:
        """Schedule the delivery and the time-outs of a command on one instance."""
        faults = self.world.faults
        invocation = sent.invocations[instance_id] = Invocation(
            Assignment(
                sent.command_id, instance_id, sent.document_name, command.step, command.inputs,
                values,
            ),
            document_version=sent.document_version,
            comment=sent.comment,
            arrives_at=sent.requested_at + faults.delivery_seconds,
            known_from=sent.requested_at + faults.invocation_hidden_seconds,
            execution_seconds=command.render(values).timeout_seconds,
        )  # fmt: skip
        self._record("command_sent", invocation)
        self._later(
            invocation,
            sent.requested_at + sent.delivery_seconds,
            lambda: self._fail(invocation, "TimedOut", "DeliveryTimedOut"),
        )
        if faults.concerns(faults.undeliverable, instance_id):
            self._later(
                invocation,
                invocation.arrives_at,
                lambda: self._fail(invocation, "Failed", "Undeliverable"),
            )
        else:
            self._later(invocation, invocation.arrives_at, lambda: self._call(invocation))

    def _has_arrived(self, invocation: Invocation) -> bool:
        faults, instance_id = self.world.faults, invocation.assignment.instance_id
        lost = (faults.agents_silent, faults.undeliverable)
        held_back = any(faults.concerns(names, instance_id) for names in lost)
        return not held_back and self.world.now >= invocation.arrives_at

    def _call(self, invocation: Invocation) -> None:
        """Let the test's agent do it; without one, the command waits to be fetched."""
        agent = self.world.agent
        if agent is None or not self._has_arrived(invocation):
            return
        self._begin(invocation)
        report = agent(invocation.assignment)
        if report.seconds > invocation.execution_seconds:
            report = replace(report, timed_out=True)
        seconds = min(report.seconds, float(invocation.execution_seconds))
        self._later(invocation, self.world.now + seconds, lambda: self._end(invocation, report))

    def _begin(self, invocation: Invocation) -> None:
        invocation.begin(self.world.now)
        self._later(
            invocation,
            self.world.now + invocation.execution_seconds + REPORT_SECONDS,
            lambda: self._fail(invocation, "TimedOut", "ExecutionTimedOut"),
        )

    def _later(self, invocation: Invocation, due: float, action: Callable[[], None]) -> None:
        invocation.timers.append(self.world.call_at(due, action))

    def _end(self, invocation: Invocation, report: Report) -> None:
        invocation.end(self.world.now, report)
        self._record("command_ended", invocation)

    def _fail(self, invocation: Invocation, status: str, details: str) -> None:
        invocation.close(self.world.now, status, details)
        self._record("command_ended", invocation)

    def _record(self, event: str, invocation: Invocation) -> None:
        self.world.record(
            event,
            invocation.assignment.instance_id,
            command_id=invocation.assignment.command_id,
            document_name=invocation.assignment.document_name,
            status_details=invocation.details,
        )


def _prepared(
    document: Document, given: Mapping[str, Any]
) -> tuple[CommandDocument, dict[str, Any]]:
    """The document, and the value of each of its parameters."""
    if document.document_type != COMMAND:
        raise InvalidDocument(f"Document with name {document.name} does not exist.")
    command = CommandDocument.parse(document.content_json)
    try:
        values = command.resolve(given)
        command.render(values)
    except InvalidParametersError as error:
        raise SSMException("InvalidParameters", str(error)) from error
    return command, values


def _require_limits(request: Mapping[str, Any]) -> int:
    """Refuse what breaks the API's own limits; gives the seconds that delivery may take."""
    if request.get("Targets"):
        raise _invalid("'targets' is not emulated: name the instances")
    instance_ids = request.get("InstanceIds") or []
    if not 1 <= len(instance_ids) <= MOST_INSTANCES:
        raise _invalid(f"'instanceIds' must have 1 to {MOST_INSTANCES} members")
    if len(set(instance_ids)) < len(instance_ids):
        raise SSMException(
            "DuplicateInstanceId", "You can't specify an instance ID more than once."
        )
    if len(request.get("Comment") or "") > LONGEST_COMMENT:
        raise _invalid(f"'comment' must have {LONGEST_COMMENT} characters at most")
    seconds = request.get("TimeoutSeconds")
    seconds = DEFAULT_DELIVERY_SECONDS if seconds is None else int(seconds)
    shortest, longest = SHORTEST_DELIVERY_SECONDS, LONGEST_DELIVERY_SECONDS
    if not shortest <= seconds <= longest:
        raise _invalid(f"'timeoutSeconds' must be from {shortest} to {longest}")
    return seconds


def _invalid(reason: str) -> ValidationException:
    return ValidationException(f"1 validation error detected: {reason}")
