"""The control API under /_sandbox/: what tests and the demo need to know that AWS would not tell.

GET  /_sandbox/health             {"status": "ready"}
GET  /_sandbox/journal?after=N    {"entries": [...], "next": M}
GET  /_sandbox/events?after=N     {"events": [...], "next": M}
GET  /_sandbox/faults             the present faults
POST /_sandbox/faults             set faults: what `Faults.update` takes
POST /_sandbox/faults/clear       back to a healthy day
POST /_sandbox/tick               apply what is due
POST /_sandbox/retention          {"autoscaling_group_name": ..., "terminate_hook_abandon":
"retain" | "terminate"}: an instance lifecycle policy, for
which old Terraform providers have no argument
POST /_sandbox/interruptions      {"instance_id": ..., "signal": "spot_interruption_warning" |
"rebalance_recommendation"}: {"instance_id", "signal"}; after a warning it dies within 120 s
POST /_sandbox/commands/fetch     {"instance_ids": [...]}: {"assignments": [...]}, what SSM has for
these instances' agents; each is in progress from now on
POST /_sandbox/commands/report    {"command_id", "instance_id", "report": {"exit_code", "output",
"error", "timed_out"}}: {"taken": whether somebody still waited for it}
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.wrappers import Request, Response

from sandbox.emulator.agents import Report
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.interruptions import reclaim, recommend
from sandbox.emulator.ssm.run_command import RunCommandBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.emulator.world import World

    Answer = dict[str, Any]
    WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]

PREFIX = "/_sandbox/"


class ControlAPI:
    """A WSGI application that answers under the prefix and leaves the rest to `behind`."""

    def __init__(self, world: World, behind: WSGI) -> None:
        self._world = world
        self._behind = behind
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
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

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        """Answer, or pass on."""
        if not environ.get("PATH_INFO", "").startswith(PREFIX):
            return self._behind(environ, start_response)
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        try:
            if route is None:
                raise NotFound(f"{request.method} {request.path}")
            answer, status = route(request), 200
        except HTTPException as error:
            answer, status = {"error": error.description}, error.code or 500
        except (ValueError, TypeError, KeyError) as error:
            answer, status = {"error": f"{type(error).__name__}: {error}"}, 400
        return Response(json.dumps(answer), status=status, mimetype="application/json")

    def _journal(self, request: Request) -> Answer:
        after = _position(request)
        self._world.tick()
        entries = self._world.journal_since(after)
        return {"entries": entries, "next": after + len(entries)}

    def _events(self, request: Request) -> Answer:
        after = _position(request)
        self._world.tick()
        events = list(self._world.events[after:])
        return {"events": events, "next": after + len(events)}

    def _set_faults(self, request: Request) -> Answer:
        with self._world.turn():
            self._world.faults.update(_body(request))
        return self._world.faults.as_dict()

    def _clear_faults(self, _request: Request) -> Answer:
        with self._world.turn():
            self._world.faults.clear()
        return self._world.faults.as_dict()

    def _tick(self, _request: Request) -> Answer:
        self._world.tick()
        return {"now": self._world.now}

    def _set_retention(self, request: Request) -> Answer:
        wanted = _body(request)
        name, action = wanted["autoscaling_group_name"], wanted["terminate_hook_abandon"]
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

    def _interrupt(self, request: Request) -> Answer:
        told = _body(request)
        notices = {"spot_interruption_warning": reclaim, "rebalance_recommendation": recommend}
        instance_id, notice = str(told["instance_id"]), notices[told["signal"]]
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
        return {"instance_id": instance_id, "signal": told["signal"]}

    def _fetch_commands(self, request: Request) -> Answer:
        instance_ids = [str(one) for one in _body(request)["instance_ids"]]
        with self._world.turn():
            assignments = [
                asdict(assignment)
                for backend in RunCommandBackend.all_of(self._world)
                for assignment in backend.fetch(instance_ids)
            ]
        return {"assignments": assignments}

    def _report_command(self, request: Request) -> Answer:
        told = _body(request)
        report = Report(**told["report"])
        with self._world.turn():
            taken = [
                backend.report(told["command_id"], told["instance_id"], report)
                for backend in RunCommandBackend.all_of(self._world)
            ]
        return {"taken": any(taken)}


def _position(request: Request) -> int:
    return int(request.args.get("after", "0"))


def _body(request: Request) -> dict[str, Any]:
    body = json.loads(request.get_data() or b"{}")
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body
