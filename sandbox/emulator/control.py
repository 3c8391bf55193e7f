"""The control API under /_sandbox/: what tests and the demo need and AWS has no API for.

GET  /_sandbox/health             {"status": "ready"}
GET  /_sandbox/journal?after=N    {"entries": [...], "next": M}
GET  /_sandbox/events?after=N     {"events": [...], "next": M}
GET  /_sandbox/faults             the present faults
POST /_sandbox/faults             set faults: what `Faults.update` takes
POST /_sandbox/faults/clear       remove all faults
POST /_sandbox/tick               apply what is due
POST /_sandbox/retention          {"autoscaling_group_name": ..., "terminate_hook_abandon":
"retain" | "terminate"}: an instance lifecycle policy, for
which old Terraform providers have no argument
POST /_sandbox/interruptions      {"instance_id": ..., "signal": "spot_interruption_warning" |
"rebalance_recommendation"}: {"instance_id", "signal"}; after a warning it dies within 120 s
POST /_sandbox/commands/fetch     {"instance_ids": [...]}: {"assignments": [...]}, what SSM has for
these instances' agents; each is in progress from now on
POST /_sandbox/commands/report    {"command_id", "instance_id", "report": {"exit_code", "output",
"error", "timed_out"}}: {"taken": whether the command was still running}
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import BadRequest, NotFound

from sandbox.emulator.agents import Report
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.interruptions import reclaim, recommend
from sandbox.emulator.ssm.run_command import RunCommandBackend
from sandbox.emulator.world import World
from sandbox.host.http import Route, routed

Answer = dict[str, Any]

Body = dict[str, Any]

PREFIX = "/_sandbox/"


class ControlAPI:
    """A WSGI application that answers under the prefix and leaves the rest to `behind`."""

    def __init__(self, world: World, behind: WSGIApplication) -> None:
        self._world = world
        self._behind = behind
        routes: dict[tuple[str, str], Route] = {
            ("GET", "health"): lambda _: {"status": "ready"},
            ("GET", "journal"): self._journal,
            ("GET", "events"): self._events,
            ("GET", "faults"): lambda _: world.faults.as_dict(),
            ("POST", "faults"): self._set_faults,
            ("POST", "faults/clear"): self._clear_faults,
            ("POST", "tick"): self._tick,
            ("POST", "retention"): self._set_retention,
            ("POST", "interruptions"): self._interrupt,
            ("POST", "commands/fetch"): self._fetch_commands,
            ("POST", "commands/report"): self._report_command,
        }
        self._control = routed(
            {(method, f"{PREFIX}{path}"): route for (method, path), route in routes.items()}
        )

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer, or pass on."""
        is_ours = environ.get("PATH_INFO", "").startswith(PREFIX)
        return (self._control if is_ours else self._behind)(environ, start)

    def _journal(self, query: Body) -> Answer:
        after = int(query.get("after", 0))
        self._world.tick()
        entries = self._world.journal_since(after)
        return {"entries": entries, "next": after + len(entries)}

    def _events(self, query: Body) -> Answer:
        after = int(query.get("after", 0))
        self._world.tick()
        events = list(self._world.events[after:])
        return {"events": events, "next": after + len(events)}

    def _set_faults(self, body: Body) -> Answer:
        with self._world.turn():
            self._world.faults.update(body)
        return self._world.faults.as_dict()

    def _clear_faults(self, _body: Body) -> Answer:
        with self._world.turn():
            self._world.faults.clear()
        return self._world.faults.as_dict()

    def _tick(self, _body: Body) -> Answer:
        self._world.tick()
        return {"now": self._world.now}

    def _set_retention(self, body: Body) -> Answer:
        name, action = body["autoscaling_group_name"], body["terminate_hook_abandon"]
        if action not in {"retain", "terminate"}:
            raise BadRequest("terminate_hook_abandon must be retain or terminate")
        policy = {"RetentionTriggers": {"TerminateHookAbandon": action}}
        with self._world.turn():
            found = [
                backend.group(name)
                for backend in WaitingAutoScalingBackend.all_of(self._world)
                if name in backend.autoscaling_groups
            ]
            for group in found:
                group.instance_lifecycle_policy = policy
        if not found:
            raise NotFound(f"there is no Auto Scaling group {name}")
        return {"autoscaling_group_name": name, "InstanceLifecyclePolicy": policy}

    def _interrupt(self, body: Body) -> Answer:
        notices = {"spot_interruption_warning": reclaim, "rebalance_recommendation": recommend}
        instance_id, notice = str(body["instance_id"]), notices[body["signal"]]
        with self._world.turn():
            found = [
                backend
                for backend in WaitingAutoScalingBackend.all_of(self._world)
                if backend.ec2_backend.get_instance_by_id(instance_id)
            ]
            for backend in found:
                notice(backend, instance_id)
        if not found:
            raise NotFound(f"there is no instance {instance_id}")
        return {"instance_id": instance_id, "signal": body["signal"]}

    def _fetch_commands(self, body: Body) -> Answer:
        instance_ids = [str(one) for one in body["instance_ids"]]
        with self._world.turn():
            assignments = [
                asdict(assignment)
                for backend in RunCommandBackend.all_of(self._world)
                for assignment in backend.fetch(instance_ids)
            ]
        return {"assignments": assignments}

    def _report_command(self, body: Body) -> Answer:
        report = Report(**body["report"])
        with self._world.turn():
            taken = [
                backend.report(body["command_id"], body["instance_id"], report)
                for backend in RunCommandBackend.all_of(self._world)
            ]
        return {"taken": any(taken)}
