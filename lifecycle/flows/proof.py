"""Asks the evidence function about instances: the same way for each purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.answers import MOST_INSTANCES, Purpose, Question, Subject
from lifecycle.decisions.buffer import Reason, Verdict, unknown
from lifecycle.decisions.evidence import Rules
from lifecycle.settings import IdentifyBy, ProofSettings
from lifecycle.telemetry import LogEvent, Runtime

# After so long no further question is begun: the asking function has other things to do.
_LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What counts as proof, and whom to ask for it."""

    settings: ProofSettings
    instances: Instances
    evidence: EvidenceFunction
    runtime: Runtime

    @property
    def rules(self) -> Rules:
        """What the answers are judged by."""
        settings = self.settings
        return Rules(
            empty_for_seconds=settings.empty_for_seconds,
            settle_seconds=settings.settle_seconds,
            scrape_interval_seconds=settings.prometheus_scrape_interval_seconds,
            metric_prefix=settings.prometheus_metric_prefix,
            expected_buffered_outputs=settings.prometheus_expected_buffered_outputs,
            heartbeat_plugin_id=settings.prometheus_heartbeat_plugin_id,
        )

    def ask(
        self, deregistered_at: Mapping[str, float], purpose: Purpose = Purpose.PROOF
    ) -> dict[str, Verdict]:
        """Return a verdict for each instance, given when it left service discovery.

        As few questions as possible, in the order given. Whatever goes wrong is UNKNOWN, for the
        instances of that question; so is what there is no time left to ask.
        """
        ids, begun = list(deregistered_at), self.runtime.clock()
        verdicts: dict[str, Verdict] = {}
        for first in range(0, len(ids), MOST_INSTANCES):
            asked = {one: deregistered_at[one] for one in ids[first : first + MOST_INSTANCES]}
            if self.runtime.clock() - begun > _LONGEST_SECONDS:
                reason = f"the answers for {first} instances took all the time that there is"
                self.runtime.telemetry.warning(
                    LogEvent.EVIDENCE_FAILED, reason=reason, not_asked=len(ids) - first
                )
                return verdicts | dict.fromkeys(ids[first:], unknown(Reason.NOT_ASKED, reason))
            try:
                verdicts |= self._verdicts(asked, purpose)
            except Exception as error:  # noqa: BLE001 (one failure must not crash the batch)
                reason = f"{type(error).__name__}: {error}"
                self.runtime.telemetry.error(LogEvent.EVIDENCE_FAILED, reason=reason)
                verdicts |= dict.fromkeys(asked, unknown(Reason.EVIDENCE_FAILED, reason))
        return verdicts

    def _verdicts(
        self, deregistered_at: Mapping[str, float], purpose: Purpose
    ) -> dict[str, Verdict]:
        subjects = {
            instance_id: Subject(label_value=value, deregistered_at=deregistered_at[instance_id])
            for instance_id, value in self._label_values(sorted(deregistered_at)).items()
        }
        nameless = unknown(Reason.INSTANCE_NOT_IDENTIFIED, "EC2 knows no private address")
        verdicts = dict.fromkeys(deregistered_at, nameless)
        if not subjects:
            return verdicts
        question = Question(
            version=1,
            instances=subjects,
            instance_label=self.settings.prometheus_instance_label,
            rules=self.rules,
            purpose=purpose,
        )
        own_events = self.settings.prometheus_own_events_output
        if purpose is Purpose.STANDING and own_events is not None:
            question = question.model_copy(update={"own_events_output": own_events})
        return verdicts | dict(self.evidence.ask(question))

    def _label_values(self, instance_ids: Sequence[str]) -> dict[str, str]:
        """Return, by instance id, the value that the instance's Prometheus label holds."""
        if self.settings.prometheus_identify_by is IdentifyBy.INSTANCE_ID:
            return {instance_id: instance_id for instance_id in instance_ids}
        described = self.instances.describe(instance_ids)
        return {one.id: one.address.private_ip_address for one in described.values() if one.address}
