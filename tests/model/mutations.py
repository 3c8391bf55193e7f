"""Deliberate bugs, each of which some check must catch: the one that is named with it.

Most are caught by the unit test of the very decision; those marked MODEL by random histories,
without any example having been written for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MODEL = "tests/model/test_histories.py"
_VERDICT = "tests/unit/test_verdict.py"
_FLUSH_VERDICT = "tests/unit/test_flush_verdict.py"
_FLUSH_WAITER = "tests/unit/test_flush_waiter.py"
_BATCH = "tests/unit/test_batch.py"
_OPERATIONS = "tests/unit/test_operations.py"
_HANDLER = "tests/unit/test_lifecycle_handler.py"
_AUTOSCALING = "tests/unit/test_autoscaling.py"
_FAULTY_AWS = (
    "tests/integration/test_faulty_aws.py"
    "::test_a_drain_survives_a_call_that_fails[CompleteLifecycleAction-refuse]"
)
_RECONCILIATION = "tests/unit/test_reconciliation.py"
_LAST_AGGREGATOR = "tests/integration/test_last_aggregator.py"
_INTERRUPTIONS = "tests/unit/test_interruptions.py"
_INTERRUPTION_HANDLER = "tests/unit/test_interruption_handler.py"
_PROMETHEUS = "tests/unit/test_prometheus.py"
_WHOLE_ANSWERS = "tests/unit/test_whole_answers.py"
_COPIES = "tests/unit/test_copies.py"
_TARGETS = "tests/unit/test_targets.py"
_OBSERVING = (
    "tests/integration/test_reconciling.py::TestObserving"
    "::test_everything_is_reported_and_nothing_changed"
)
_DRAINING = (
    "tests/integration/test_draining.py::TestDiscovery"
    "::test_an_instance_that_somebody_registered_again_is_taken_out_again"
)


@dataclass(frozen=True)
class Mutation:
    """A bug: in ``path``, each text of ``changes`` is replaced by the one behind it.

    ``also`` is for a guard that stands twice. Histories may find a bug by any of their promises;
    ``breaks`` is the one that they must name.
    """

    name: str
    path: str
    changes: tuple[tuple[str, str], ...]
    caught_by: str
    breaks: str = ""
    also: "Mutation | None" = None

    def apply(self, root: Path) -> None:
        """Put the bug into a copy of the sources."""
        file = root / self.path
        text = file.read_text()
        for old, new in self.changes:
            assert text.count(old) == 1, f"{self.path} has {text.count(old)} times: {old}"
            text = text.replace(old, new)
        file.write_text(text)
        if self.also is not None:
            self.also.apply(root)


def _one(name: str, path: str, old: str, new: str, caught_by: str) -> Mutation:
    return Mutation(name, path, ((old, new),), caught_by)


def _breaking(promise: str, bug: Mutation, also: Mutation | None = None) -> Mutation:
    return replace(bug, breaks=promise, also=also)


def _verdicts() -> Iterator[Mutation]:
    buffers, evidence = "lifecycle/decisions/buffer.py", "lifecycle/decisions/evidence.py"
    yield Mutation(
        "a sum over all outputs instead of minimum and maximum",
        buffers,
        (
            ("        or _miscounted(evidence)\n", ""),
            (
                "        highest = max(value for _, value in evidence.window(series))\n",
                "        highest = sum(value for s in evidence.buffers"
                " for _, value in evidence.window(s))\n",
            ),
        ),
        _VERDICT,
    )
    yield Mutation(
        "only the maximum, so that a negative count hides bytes",
        buffers,
        (
            ("        if lowest < 0:\n", "        if lowest < -math.inf:\n"),
            ("        if newest != 0:\n", "        if newest > 0:\n"),
            ("        if highest != 0:\n", "        if highest > 0:\n"),
        ),
        _VERDICT,
    )
    yield _one(
        "an empty answer read as zero",
        buffers,
        '        return unknown(Reason.NO_SERIES, "no buffer_total_bytes series of this instance")\n',
        "        return _drained(evidence)\n",
        _VERDICT,
    )
    yield _one(
        "a window that may start before forwarders have let go",
        buffers,
        "        or _settling(evidence, deregistered_at)\n",
        "",
        _VERDICT,
    )
    yield Mutation(
        "`up` ignored",
        buffers,
        (
            ("        if up.newest != 1:\n", "        if False:\n"),
            (
                "        if any(value != 1 for _, value in evidence.window(up)):\n",
                "        if False:\n",
            ),
        ),
        _VERDICT,
    )
    yield Mutation(
        "staged and queued chunks without the total",
        buffers,
        (
            (
                '    ("buffer_total_bytes", Reason.IN_FLIGHT, "bytes in flight, or a drifted total"),\n',
                "",
            ),
            (
                "    for series in evidence.buffers:\n"
                "        highest = max(value for _, value in evidence.window(series))\n",
                "    for series in [s for m in BUFFER_METRICS[1:] for s in evidence.of(m)]:\n"
                "        highest = max(value for _, value in evidence.window(series))\n",
            ),
        ),
        _VERDICT,
    )
    yield _one(
        "the newest sample may be of any age",
        buffers,
        "        if abs(age) > evidence.rules.fresh_seconds:\n",
        "        if False:\n",
        _VERDICT,
    )
    yield _one(
        "an instant instead of a range",
        evidence,
        "        return self.now - self.rules.empty_for_seconds\n",
        "        return self.now - self.rules.scrape_interval_seconds\n",
        _VERDICT,
    )
    yield _one("emit_records ignored", buffers, "        or _receiving(evidence)\n", "", _VERDICT)
    yield _one(
        "a missing series ignored",
        buffers,
        "            if series.copy not in copies:\n",
        "            if False:\n",
        _VERDICT,
    )
    yield _one(
        "gaps ignored", buffers, "        if gap is not None:\n", "        if False:\n", _VERDICT
    )
    yield _one(
        "the heartbeat output ignored",
        buffers,
        "        or _frozen(evidence)\n",
        "",
        _VERDICT,
    )
    yield _one(
        "fewer outputs than expected accepted",
        buffers,
        "    if expected is not None and len(outputs) < expected:\n",
        "    if False:\n",
        _VERDICT,
    )
    yield _one(
        "one instance judged by another's series",
        "lifecycle/adapters/prometheus.py",
        "        if value in selection.values:\n"
        "            grouped.setdefault(value, []).append(one)\n",
        "        for value in selection.values:\n"
        "            grouped.setdefault(value, []).append(one)\n",
        _PROMETHEUS,
    )
    yield _one(
        "an answer that is none read as no series",
        "lifecycle/adapters/prometheus.py",
        '        raise PrometheusFailed(f"not a Prometheus answer ({type(error).__name__})") from error\n',
        "        return {}\n",
        _PROMETHEUS,
    )
    yield _one(
        "a redirect followed that repeats the credentials",
        "lifecycle/adapters/prometheus.py",
        '(self._are_in(target.encode()) or "@" in urlsplit(target).netloc)',
        '"@" in urlsplit(target).netloc',
        _PROMETHEUS,
    )


def _observers() -> Iterator[Mutation]:
    """Who observed, taken for what was observed, and the reverse."""
    buffers, evidence = "lifecycle/decisions/buffer.py", "lifecycle/decisions/evidence.py"
    targets = "lifecycle/decisions/targets.py"
    yield _one(
        "copies of an output counted as outputs",
        evidence,
        "        return {series.output for series in self.buffers}\n",
        "        return {series.copy for series in self.buffers}\n",
        _COPIES,
    )
    yield _one(
        "one copy of an output believed",
        evidence,
        "        return self.outputs.get(metric, [])\n",
        "        return list({s.output: s for s in self.outputs.get(metric, [])}.values())\n",
        _COPIES,
    )
    yield _one(
        "a heartbeat that any observer saw",
        buffers,
        "        moved = moved_at.get(evidence.scrape_of(series), -math.inf)\n",
        "        moved = max(moved_at.values(), default=-math.inf)\n",
        _COPIES,
    )
    yield _one(
        "an `up` of any target of the job believed",
        targets,
        "        and _named(up, _INSTANCE) == _named(series, _INSTANCE)\n"
        "        and all(series.get(name, value) == value for name, value in told(up).items())\n",
        "",
        _TARGETS,
    )
    yield _one(
        "the `up` of a server between Fluentd and its observer believed",
        targets,
        '_INSTANCE = re.compile(r"(exported_)*instance")\n',
        '_INSTANCE = re.compile(r"instance")\n',
        _TARGETS,
    )
    yield _one(
        "an `up` of one target enough for all",
        buffers,
        "        if not numbers:\n",
        "        if not evidence.up:\n",
        _COPIES,
    )
    yield _one(
        "a worker that hangs taken for another exporter",
        targets,
        "    return ups is None or fluentds is None or abs(ups - fluentds) <= FARTHEST_WORKER_PORT\n",
        "    return False\n",
        _TARGETS,
    )
    yield _one(
        "another exporter taken for a worker",
        targets,
        "    return ups is None or fluentds is None or abs(ups - fluentds) <= FARTHEST_WORKER_PORT\n",
        "    return True\n",
        _TARGETS,
    )


def _answers() -> Iterator[Mutation]:
    """A part of an answer taken for the whole."""
    prometheus = "lifecycle/adapters/prometheus.py"
    yield _one(
        "a field that is not known taken for harmless",
        prometheus,
        '        if name == "isPartial" or value is None or value in ("", [], {}):\n',
        '        if name != "warnings" or value is None or value in ("", [], {}):\n',
        _WHOLE_ANSWERS,
    )
    yield _one(
        "VictoriaMetrics' word for partial ignored",
        prometheus,
        '        if name == "isPartial" and value is not None and value is not False:\n',
        "        if False:\n",
        _WHOLE_ANSWERS,
    )
    yield _one(
        "what qualifies the data within it ignored",
        prometheus,
        " or _qualification(data, _DATA_FIELDS)\n",
        "\n",
        _WHOLE_ANSWERS,
    )
    yield _one(
        "an answer without success believed",
        prometheus,
        '    if answer.get("status") != "success":\n',
        '    if answer.get("status") == "error":\n',
        _WHOLE_ANSWERS,
    )
    yield _one(
        "one of two different series of the same name believed",
        prometheus,
        "        if labels in known:\n",
        "        if False:\n",
        _WHOLE_ANSWERS,
    )
    yield _breaking(
        "never released on a partial answer",
        _one(
            "the data taken for the whole answer",
            prometheus,
            '        self.hooks["response"].append(self._examine)\n',
            "",
            MODEL,
        ),
    )


def _flushes() -> Iterator[Mutation]:
    verdict = "lifecycle/decisions/flush.py"
    yield _one(
        "chunks set aside ignored",
        verdict,
        "    if report.set_aside:\n",
        "    if False:\n",
        _FLUSH_VERDICT,
    )
    yield _one(
        "chunk files ignored",
        verdict,
        "    if held or counted:\n",
        "    if False:\n",
        _FLUSH_VERDICT,
    )
    yield _one(
        "records that come in during a flush ignored",
        verdict,
        "    if not report.quiet:\n",
        "    if False:\n",
        _FLUSH_VERDICT,
    )
    yield _one(
        "a Fluentd that took no signal is flushed",
        verdict,
        '    if not report.signalled:\n        detail = f"{report.service} took no signal: it may not run"\n        return FlushState.UNKNOWN, FlushReason.NOT_SIGNALLED, detail\n    if not report.quiet:',
        "    if not report.quiet:",
        _FLUSH_VERDICT,
    )
    yield Mutation(
        "a flush before forwarders have let go",
        "lifecycle/flows/flush.py",
        (
            ("if self._settled_at(message) <= now\n", "if True\n"),
            ("if verdict is None or self._settled_at(message) > now:\n", "if verdict is None:\n"),
        ),
        _FLUSH_WAITER,
    )


def _batches() -> Iterator[Mutation]:
    batch = "lifecycle/flows/batch.py"
    yield _one(
        "an error of a check treated as drained",
        batch,
        '            reason = f"{type(error).__name__}: {error}"\n'
        "            self._log_error(LogEvent.CHECK_FAILED, message, reason=reason, exception=error)\n"
        "            self._wait(message, reason, None, error)\n",
        "            return\n",
        _BATCH,
    )
    yield _one(
        "a deadline that drops the message",
        batch,
        '            self._dead_letter(f"not done after {now - self._sent_at:.0f} s: {reason}", message)\n',
        "",
        MODEL,
    )
    yield _one(
        "a dead letter that fails silently",
        batch,
        "        self._stage.dead_letters.send_dead_letter(redrive_with or self._record.body, reason)\n",
        "        try:\n"
        "            self._stage.dead_letters.send_dead_letter(redrive_with or self._record.body, reason)\n"
        "        except Exception:\n"
        "            pass\n",
        _BATCH,
    )
    yield _one(
        "one malformed message crashes its batch",
        batch,
        "    except Malformed as error:\n        return error\n",
        "    except Malformed as error:\n        raise\n",
        _BATCH,
    )
    yield _one(
        "a heartbeat after the completion",
        batch,
        "            check(message)\n",
        "            check(message)\n"
        "            self._stage.autoscaling.record_heartbeat(message.action)\n",
        MODEL,
    )
    yield _one(
        "no heartbeat while it waits",
        batch,
        "        if not self._keep_alive(message):\n            return\n",
        "",
        _BATCH,
    )
    yield _one(
        "a failed heartbeat ends the wait",
        batch,
        "        if outcome is Heartbeat.FAILED:\n            return True\n",
        "        if outcome is Heartbeat.FAILED:\n            return False\n",
        _BATCH,
    )


def _exits() -> Iterator[Mutation]:
    drain, operations = "lifecycle/flows/release.py", "lifecycle/decisions/operation.py"
    yield _one(
        "acknowledged before it is completed",
        drain,
        '            completion = self.autoscaling.complete(action, "CONTINUE")\n',
        "            try:\n"
        '                completion = self.autoscaling.complete(action, "CONTINUE")\n'
        "            except Exception:\n"
        "                return\n",
        _FAULTY_AWS,
    )
    yield _one(
        "completed before the last stage",
        drain,
        "        elif self.next_stage is not None:\n",
        "        elif self.next_stage is not None and self.registration is None:\n",
        _FLUSH_WAITER,
    )
    yield _one(
        "completed without asking Cloud Map again",
        drain,
        "        if self.registration is not None and self.registration.cloud_map.is_registered(\n",
        "        if self.registration is None and self.registration.cloud_map.is_registered(\n",
        _DRAINING,
    )
    yield _one(
        "handed on without a message for the next stage",
        drain,
        "        self.queue.send(message)\n",
        "        message.model_dump_json()\n",
        MODEL,
    )
    yield _one(
        "SUCCESS believed without a look at the registration",
        operations,
        "    as_wanted = registered is (transition is Transition.LAUNCHING)\n",
        "    as_wanted = True\n",
        _OPERATIONS,
    )
    yield _one(
        "the operation of a DuplicateRequest taken for ours",
        operations,
        "    ours = operation is None or operation.type == WANTED_TYPE[transition]\n",
        "    ours = True\n",
        _OPERATIONS,
    )
    yield _one(
        "a failed operation taken for done",
        operations,
        "    failed = operation is not None and operation.status is OperationStatus.FAIL\n",
        "    failed = False\n",
        _OPERATIONS,
    )
    yield _one(
        "InstanceNotFound believed at once",
        operations,
        "    as_wanted = registered is (transition is Transition.LAUNCHING)\n",
        "    if operation is None:\n        return NextStep.GO_ON\n"
        "    as_wanted = registered is (transition is Transition.LAUNCHING)\n",
        _OPERATIONS,
    )
    yield _one(
        "an operation under way taken for done",
        operations,
        "        return NextStep.WAIT\n",
        "        return NextStep.GO_ON\n",
        _OPERATIONS,
    )


def _entrances() -> Iterator[Mutation]:
    pipeline = "lifecycle/flows/entrance.py"
    yield _one(
        "an instance registered though it is on its way out",
        pipeline,
        "        if not may_serve(state):\n",
        "        if False:\n",
        _HANDLER,
    )
    yield _one(
        "a working instance deregistered",
        pipeline,
        "        if not is_leaving(state):\n",
        "        if False:\n",
        _HANDLER,
    )
    yield _one(
        "an instance bound for the warm pool registered",
        "lifecycle/flows/lifecycle.py",
        "        elif lifecycle_event.destination is Location.WARM_POOL:\n",
        "        elif False:\n",
        _HANDLER,
    )
    yield _one(
        "any ValidationError taken for an ended action",
        "lifecycle/adapters/autoscaling.py",
        '    return details["Code"] == "ValidationError" and details.get("Message", "").startswith(\n'
        '        "No active Lifecycle Action found"\n'
        "    )\n",
        '    return details["Code"] == "ValidationError"\n',
        _AUTOSCALING,
    )
    yield _one(
        "an action that ended by itself taken for a release",
        "lifecycle/adapters/autoscaling.py",
        "    return has_left(state) or state == IN_SERVICE\n",
        "    return True\n",
        _AUTOSCALING,
    )


def _corrections() -> Iterator[Mutation]:
    reconciliation, interruptions = (
        "lifecycle/decisions/reconcile.py",
        "lifecycle/decisions/interruption.py",
    )
    yield _one(
        "a reconciler that does not look twice",
        reconciliation,
        "    return [one for one in corrections(second) if (one.kind, one.instance_id) in before]\n",
        "    return corrections(second)\n",
        _RECONCILIATION,
    )
    yield _one(
        "a reconciler that overlooks who is retained since an event was lost",
        reconciliation,
        "(look.is_waiting(subject) or _is_kept(subject))",
        "look.is_waiting(subject)",
        _RECONCILIATION,
    )
    yield _one(
        "a reconciler that calls again and again about who is retained with a proof",
        reconciliation,
        "-math.inf if subject.is_registered else math.inf",
        "-math.inf",
        _RECONCILIATION,
    )
    yield _one(
        "a reconciler that takes the last aggregator out",
        "lifecycle/flows/reconcile.py",
        "        if self._is_the_last(correction, subject):\n",
        "        if False:\n",
        f"{_LAST_AGGREGATOR}::test_one_that_is_retained_stays_registered_until_somebody_else_serves",
    )
    yield _one(
        "a late copy of a launch that takes the last aggregator out",
        "lifecycle/flows/operation.py",
        "        if self._must_stay(action):\n",
        "        if False:\n",
        f"{_LAST_AGGREGATOR}::test_a_late_copy_of_its_launch_does_not_take_the_last_one_out",
    )
    yield _one(
        "a reconciler that deregisters what EC2 does not know (yet)",
        reconciliation,
        "        is_unknown = subject.state is None and not subject.is_elsewhere\n",
        "        is_unknown = True\n",
        _RECONCILIATION,
    )
    yield _one(
        "a reconciler that starts again what is under way",
        reconciliation,
        " and not look.is_under_way(subject):\n",
        ":\n",
        _RECONCILIATION,
    )
    yield _one(
        "an observer that corrects",
        "lifecycle/flows/reconcile.py",
        "        if self.settings.reconcile_mode is ReconcileMode.OBSERVE:\n            return 0, 0\n",
        "",
        _OBSERVING,
    )
    yield _one(
        "the fullest shard chosen for who launches",
        "lifecycle/decisions/shards.py",
        "    fewest = min(len(instance_ids) for instance_ids in members.values())\n",
        "    fewest = max(len(instance_ids) for instance_ids in members.values())\n",
        "tests/unit/test_shards.py",
    )
    yield _one(
        "a working instance deregistered on EC2's word alone",
        "lifecycle/flows/interruption.py",
        "        if instance is not None and not instance.is_ending:\n",
        "        if False:\n",
        _INTERRUPTION_HANDLER,
    )
    yield _one(
        "the only trace that a killed instance had served removed",
        "lifecycle/flows/interruption.py",
        "        if instance.id in cloud_map.registered_instances():\n",
        "        if False:\n",
        "tests/integration/test_interruptions.py::TestKilled"
        "::test_one_of_an_adopted_fleet_that_no_hook_holds_is_counted_all_the_same",
    )
    yield _one(
        "a sudden end that nobody knows anything about counted as clean",
        interruptions,
        "        return Ending.UNKNOWN_TO_EC2\n",
        "        return Ending.PROVEN\n",
        _INTERRUPTIONS,
    )


def _promises() -> Iterator[Mutation]:
    """A whole guard left out: each shows that a promise of the histories can be broken at all."""
    yield _breaking(
        "never released while it holds a log",
        _one(
            "released whatever Prometheus shows",
            "lifecycle/flows/buffer.py",
            "        if verdict.state is not State.DRAINED:\n",
            "        if False:\n",
            MODEL,
        ),
    )
    yield _breaking(
        "never released while it receives",
        _one(
            "nobody waits until forwarders have let go, nor looks whether they have",
            "lifecycle/flows/flush.py",
            "        return message.deregistered_at + self.settings.settle_seconds\n",
            "        return message.deregistered_at\n",
            MODEL,
        ),
        also=_one(
            "nor looks whether they have",
            "lifecycle/decisions/flush.py",
            "    if not report.quiet:\n",
            "    if False:\n",
            MODEL,
        ),
    )
    yield _breaking(
        "never released while registered",
        _one(
            "nobody looks at the registration, neither before a drain nor after it",
            "lifecycle/decisions/operation.py",
            "    as_wanted = registered is (transition is Transition.LAUNCHING)\n",
            "    as_wanted = True\n",
            MODEL,
        ),
        also=_one(
            "nor after it",
            "lifecycle/flows/release.py",
            "        if self.registration is not None and self.registration.cloud_map.is_registered(\n",
            "        if self.registration is None and self.registration.cloud_map.is_registered(\n",
            MODEL,
        ),
    )
    yield _breaking(
        "the last of a service waits for a successor",
        _one(
            "nobody is the last aggregator",
            "lifecycle/flows/placement.py",
            "        return frozenset(vacancies_left_by(instance_id, self.members, successors))\n",
            "        return frozenset()\n",
            MODEL,
        ),
    )
    yield _breaking(
        "who is in service is registered",
        _one(
            "nobody who serves is registered afterwards",
            "lifecycle/decisions/reconcile.py",
            "        reason = _why_in(subject) if look.in_cloud_map else None\n",
            "        reason = None\n",
            MODEL,
        ),
    )


MUTATIONS = [
    *_verdicts(),
    *_observers(),
    *_answers(),
    *_flushes(),
    *_batches(),
    *_exits(),
    *_entrances(),
    *_corrections(),
    *_promises(),
]
