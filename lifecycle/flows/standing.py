"""Asks at each run of the reconciler whether each instance in service could be proven empty today.

A wrong label, a missing worker, an expired token or an agent without a permission is found then,
not at the first scale-in. Nothing is changed but a tag of its own, so an observer does it as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.instances import Instances
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.answers import Purpose
from lifecycle.decisions.flush import FlushReason
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.standing import (
    NOT_IN_THIS_RUN,
    Flaw,
    flaw_of_evidence,
    flaw_of_look,
    in_turn,
    is_lasting,
    is_of_this_run,
    is_settled,
)
from lifecycle.flows.commands import Commands
from lifecycle.flows.proof import Proof
from lifecycle.telemetry import LogEvent, Metric, Runtime

# A run looks at no more instances, and waits no longer for them.
_MOST_LOOKS = 50
_LOOK_SECONDS = 60.0
# So many tags are written one by one if they cannot be written at once.
_MOST_SINGLE_TAGS = 50

Fleet = Mapping[str, Instance | None]
Flaws = dict[str, Flaw]


@dataclass(frozen=True, slots=True)
class StandingCheck:
    """Everything the check touches; ``proof`` and ``look`` are None for a stage not in use."""

    autoscaling_group_name: str
    instances: Instances
    proof: Proof | None
    look: RunCommand | None
    runtime: Runtime

    def run(self, in_service: Fleet) -> None:
        """Report each instance that could not be proven, count those that last. Never raises."""
        now, found = self.runtime.clock(), self._flaws(in_service)
        flaws = {one: flaw for one, flaw in found.items() if is_of_this_run(flaw)}
        checked = {one: it for one, it in in_service.items() if one in flaws or one not in found}
        forgotten = self._remember_flaws(checked, flaws, now)
        # One that was passed over counts if it did before: unknown is not mended.
        counted = forgotten | {
            one for one in found if is_lasting(in_service[one], now, self._window_seconds)
        }
        for instance_id, (reason, detail) in found.items():
            if instance_id in flaws or instance_id in counted:
                self.runtime.telemetry.warning(
                    LogEvent.INSTANCE_NOT_PROVABLE,
                    autoscaling_group_name=self.autoscaling_group_name,
                    instance_id=instance_id,
                    reason=reason,
                    detail=detail,
                    is_counted=instance_id in counted,
                )
        self.runtime.telemetry.measure(Metric.INSTANCES_NOT_PROVABLE, len(counted))

    @property
    def _window_seconds(self) -> float:
        return self.proof.rules.range_seconds if self.proof else 0.0

    def _flaws(self, in_service: Fleet) -> Flaws:
        """Return a flaw of each instance that has one, or that one of the checks passed over."""
        both = [self._found(find, in_service) for find in (self._agents, self._evidence)]
        flaws = {one: flaw for found in both for one, flaw in found.items()}
        found_now = {one: f for found in both for one, f in found.items() if is_of_this_run(f)}
        return flaws | found_now

    def _remember_flaws(self, checked: Fleet, flaws: Flaws, now: float) -> set[str]:
        """Write on instances since when they have a flaw, or that they have none any more.

        Returns the flawed ones that take no tag: the next run knows nothing of their flaws.
        """
        known = {one: instance for one, instance in checked.items() if instance is not None}
        flawed = {one for one, instance in known.items() if instance.not_provable}
        forgotten = self._write(sorted(flaws.keys() & known.keys() - flawed), now)
        self._write(sorted(flawed - flaws.keys()), None)
        return forgotten

    def _write(self, instance_ids: Sequence[str], since: float | None) -> set[str]:
        """Write that tag; return those that do not take it, which must not cost the others theirs.

        AWS refuses the whole call for one of them: it has too many tags, or has left the group.
        """
        try:
            self.instances.mark_not_provable(instance_ids, since)
        except Exception as error:  # noqa: BLE001 (one by one; what fails then is counted)
            if len(instance_ids) > 1:
                singly, rest = instance_ids[:_MOST_SINGLE_TAGS], instance_ids[_MOST_SINGLE_TAGS:]
                return set(rest).union(*(self._write([one], since) for one in singly))
            for one in instance_ids:
                self.runtime.telemetry.warning(
                    LogEvent.MARK_FAILED, instance_id=one, mark="not-provable", reason=str(error)
                )
            return set(instance_ids)
        return set()

    def _found(self, find: Callable[[Fleet], Flaws], in_service: Fleet) -> Flaws:
        try:
            return find(in_service)
        except Exception as error:  # noqa: BLE001 (unknown, and the rest of the run goes on)
            flaw = ("check_failed", f"{type(error).__name__}: {error}")
            return dict.fromkeys(in_service, flaw)

    def _evidence(self, in_service: Fleet) -> Flaws:
        """Ask the evidence function; the age of an instance excuses what is not there yet."""
        if self.proof is None or not in_service:
            return {}
        now, window = self.runtime.clock(), self._window_seconds
        verdicts = self.proof.ask(dict.fromkeys(in_turn(in_service, now), now), Purpose.STANDING)
        flaws = {
            one: flaw_of_evidence(verdict, in_service[one], now=now, window_seconds=window)
            for one, verdict in verdicts.items()
        }
        return {one: flaw for one, flaw in sorted(flaws.items()) if flaw is not None}

    def _agents(self, in_service: Fleet) -> Flaws:
        """Ask SSM for the agents, and the instances not looked at yet for what they can see."""
        now = self.runtime.clock()
        settled = [one for one, instance in in_service.items() if is_settled(instance, now)]
        if self.look is None or not settled:
            return {}
        online = self.look.online(settled)
        offline = (FlushReason.AGENT_NOT_REACHABLE, "SSM knows no agent on it that is online")
        return dict.fromkeys(set(settled) - online, offline) | self._looks(
            [one for one in settled if one in online and not _is_looked_at(in_service[one])]
        )

    def _looks(self, instance_ids: list[str]) -> Flaws:
        """Look at instances; one without a flaw is looked at once, another at each run."""
        assert self.look is not None
        commands = Commands(self.look, _LOOK_SECONDS, LogEvent.LOOK_REQUESTED, self.runtime)
        turns = in_turn(instance_ids, self.runtime.clock())
        flaws = dict.fromkeys(turns[_MOST_LOOKS:], NOT_IN_THIS_RUN)
        for instance_id, verdict in commands.run(turns[:_MOST_LOOKS]).items():
            flaw = flaw_of_look(verdict)
            if flaw is None:
                self._remember(instance_id)
            else:
                flaws[instance_id] = flaw
        return flaws

    def _remember(self, instance_id: str) -> None:
        try:
            self.instances.mark_looked_at(instance_id, self.runtime.clock())
        except Exception as error:  # noqa: BLE001 (the next run looks again)
            self.runtime.telemetry.warning(
                LogEvent.MARK_FAILED, instance_id=instance_id, mark="looked", reason=str(error)
            )


def _is_looked_at(instance: Instance | None) -> bool:
    return instance is not None and instance.is_looked_at
