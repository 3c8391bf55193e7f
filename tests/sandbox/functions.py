"""A function for MiniStack that does what its event says, with no more than MiniStack has."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from sandbox.cloud import LocalCloud

# {"service", "operation", "parameters"} is called, {"returns": 9} returns a text of so many bytes
# of JSON; anything else is only logged.
SOURCE = """
import json, os
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

def handler(event, context):
    if "returns" in event:
        return "x" * (event["returns"] - 2)
    print(json.dumps({"message": "received", "event": event}))
    if "service" not in event:
        return {"received": True}
    client = botocore.session.Session().create_client(
        event["service"], config=Config(retries={"total_max_attempts": 1})
    )
    try:
        answer = client._make_api_call(event["operation"], event["parameters"])
    except ClientError as error:
        return {"error": error.response["Error"]}
    answer.pop("ResponseMetadata")
    return {"answer": json.loads(json.dumps(answer, default=str))}
"""


@dataclass(frozen=True)
class Function:
    """A deployed function and its role."""

    cloud: LocalCloud
    name: str
    arn: str

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        event = {"service": service, "operation": operation, "parameters": parameters}
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.name, Payload=json.dumps(event).encode()
        )
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        return result

    def error_code(self, service: str, operation: str, **parameters: Any) -> str:
        code: str = self.call(service, operation, **parameters)["error"]["Code"]
        return code


def deploy(cloud: LocalCloud, name: str, *statements: dict[str, Any]) -> Function:
    """A function whose role may do what the statements say."""
    iam = cloud.client("iam")
    trust = _policy({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=_policy(*statements))
    created = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role["Arn"],
        Handler="f.handler",
        Code={"ZipFile": _zipped()},
        Timeout=30,
    )
    return Function(cloud, name, created["FunctionArn"])


def _policy(*statements: dict[str, Any]) -> str:
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", SOURCE)
    return packed.getvalue()
