"""What the runbook asks the operator to type: move the dead letters back to their queue."""

import json
import time
from typing import Any

from sandbox.host.waiting import CheckFailed, wait_until

_TASK_SECONDS = 30.0
_REPLAY_SECONDS = 90.0
_PAUSE_SECONDS = 1.0


def redrive(sqs: Any, source_arn: str, destination_arn: str) -> int:  # noqa: ANN401 - boto3 client
    """Move all messages of a dead-letter queue to a queue; return how many were moved.

    The same two calls as in docs/runbooks/buffer-dlq.md: start-message-move-task with the
    destination named, since the waiter itself (not SQS's redrive policy) sent the messages there,
    and list-message-move-tasks until the task is done.
    """
    sqs.start_message_move_task(SourceArn=source_arn, DestinationArn=destination_arn)

    def ended() -> Any:  # noqa: ANN401 - boto3
        task = sqs.list_message_move_tasks(SourceArn=source_arn)["Results"][0]
        return None if task["Status"] == "RUNNING" else task

    task = wait_until(f"the end of the message move task of {source_arn}", ended, _TASK_SECONDS)
    if task["Status"] != "COMPLETED":
        raise CheckFailed(f"The message move task of {source_arn} is {task['Status']}.")
    return int(task["ApproximateNumberOfMessagesMoved"])


def replay(sqs: Any, functions: Any, queue_url: str, function_name: str) -> int:  # noqa: ANN401
    """Send a function its dead-lettered events again; return how many it took.

    As in docs/runbooks/lifecycle-dlq.md: SQS cannot redrive what Lambda put there. A record that
    the function refuses again stays where it is, and is tried once more when the queue shows it.
    """
    taken, refused = 0, dict[str, str]()
    deadline = time.monotonic() + _REPLAY_SECONDS
    while time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1)
        for message in answer.get("Messages", []):
            payload = json.dumps(json.loads(message["Body"])["requestPayload"]).encode()
            said = functions.invoke(FunctionName=function_name, Payload=payload)
            if "FunctionError" in said:
                refused[message["MessageId"]] = said["Payload"].read().decode()
                continue
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            refused.pop(message["MessageId"], None)
            taken += 1
        if not answer.get("Messages"):
            if not refused:
                return taken
            time.sleep(_PAUSE_SECONDS)
    raise CheckFailed(
        f"{function_name} refused: {'; '.join(refused.values()) or 'nothing, slowly'}"
    )
