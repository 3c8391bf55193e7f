"""Lambda's limits of a synchronous invocation, and its condition key, which MiniStack leaves out.

A request may have 6 MiB and an answer 100 bytes more; what is larger is an error of the caller
(413) or of the function (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). The
credentials of a function carry its ARN, for `lambda:SourceFunctionArn` in policies of its role
(docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html).

Runs in MiniStack's own environment, inside its process; `entry` registers it.
"""

import json
from typing import Any

from ministack.core import (  # type: ignore[import-not-found] # in its own environment
    iam_evaluator,
    lambda_runtime,
    responses,
)
from ministack.services import lambda_svc  # type: ignore[import-not-found] # the same

Answer = tuple[int, dict[str, str], bytes]

MOST_REQUEST_BYTES = 6 * 1024 * 1024
MOST_ANSWER_BYTES = MOST_REQUEST_BYTES + 100

# There is no public way to add to it, so all that is private is named here, once.
handle = lambda_svc.handle_request
credentials_of = lambda_runtime.execution_credentials
keys_of = iam_evaluator._principal_keys  # noqa: SLF001

_functions: dict[str, str] = {}
"""The ARN of the function that was given an access key."""


def register() -> None:
    """Take the place of MiniStack's own."""
    lambda_svc.handle_request = handle_within_limits
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = give_credentials
    iam_evaluator._principal_keys = keys_with_function  # noqa: SLF001


async def handle_within_limits(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Answer:
    """Any request to Lambda; of a synchronous invocation the payloads are measured."""
    kind = {k.lower(): v for k, v in headers.items()}.get("x-amz-invocation-type")
    is_synchronous = path.endswith("/invocations") and kind in {None, "RequestResponse"}
    if is_synchronous and len(body) > MOST_REQUEST_BYTES:
        limit = f"the RequestResponse invocation type (limit {MOST_REQUEST_BYTES} bytes)"
        message = f"{len(body)} byte payload is too large for {limit}"
        refused: Answer = responses.error_response_json(
            "RequestEntityTooLargeException", message, 413
        )
        return refused
    answer: Answer = await handle(method, path, headers, body, query)
    status, said, payload = answer
    if not is_synchronous or len(payload) <= MOST_ANSWER_BYTES:
        return answer
    limit = f"maximum allowed payload size ({MOST_ANSWER_BYTES} bytes)"
    message = f"Response payload size exceeded {limit}."
    error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
    return status, {**said, "X-Amz-Function-Error": "Unhandled"}, json.dumps(error).encode()


def give_credentials(config: dict[str, Any]) -> dict[str, str]:
    """A session of the execution role, and whose it is."""
    given: dict[str, str] = credentials_of(config)
    _functions[given["AWS_ACCESS_KEY_ID"]] = config.get("FunctionArn", "")
    return given


def keys_with_function(credential: Any) -> dict[str, Any]:  # noqa: ANN401 - MiniStack's own
    """The condition keys that describe a caller; names are in lower case there."""
    keys: dict[str, Any] = keys_of(credential)
    function = _functions.get(credential.access_key_id)
    return {**keys, "lambda:sourcefunctionarn": function} if function else keys
