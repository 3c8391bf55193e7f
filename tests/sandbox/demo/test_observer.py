"""What the observer makes of log lines and of messages from SNS."""

import json

from sandbox.demo.model import Notification
from sandbox.demo.observer import Pages, latest_verdicts, notifications


def verdict(
    instance_id: str, state: str, reason: str, stage: str = "buffer", at: str = ""
) -> dict[str, object]:
    return {
        "message": f"{stage}_verdict",
        "timestamp": at,
        "instance_id": instance_id,
        "verdict": state,
        "reason": reason,
    }


def test_the_newest_verdict_of_each_instance_counts() -> None:
    lines = [
        verdict("i-1", "DRAINING", "staged"),
        verdict("i-2", "UNKNOWN", "gap"),
        verdict("i-1", "DRAINED", "proven_empty"),
    ]
    assert latest_verdicts(lines) == {"i-1": ("DRAINED", "proven_empty"), "i-2": ("UNKNOWN", "gap")}


def test_other_log_lines_are_no_verdicts() -> None:
    assert latest_verdicts([{"message": "check_message_enqueued", "instance_id": "i-1"}, {}]) == {}


def test_a_notification_is_read_out_of_the_envelopes_of_sqs_and_sns() -> None:
    alarm = {"AlarmName": "demo-buffer-dlq", "NewStateValue": "ALARM", "AlarmDescription": None}
    message = {"Body": json.dumps({"Type": "Notification", "Message": json.dumps(alarm)})}
    (notification,) = notifications([message], 12.5)
    assert (notification.alarm, notification.state) == ("demo-buffer-dlq", "ALARM")
    assert (notification.at, notification.description) == (12.5, "")


def test_a_new_alarm_that_finds_nothing_wrong_notifies_no_operator() -> None:
    assert Pages().among([Notification(1.0, "a", "OK", "")]) == ()


def test_the_end_of_an_alarm_that_went_off_is_told() -> None:
    calls = Pages()
    calls.among([Notification(1.0, "a", "ALARM", ""), Notification(1.0, "b", "OK", "")])
    assert [told.alarm for told in calls.among([Notification(2.0, "a", "OK", "")])] == ["a"]
