"""The role behind an access key, and the policies of that role.

The Lambda emulator keeps functions, roles and policies; it gives every function a session of its
execution role. No API call returns the role of an access key, so the keys are computed here as
MiniStack makes them. If a later version makes them differently, every call of a function is refused
with an unknown key.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from mypy_boto3_iam import IAMClient
from mypy_boto3_lambda import LambdaClient

from sandbox.emulator.iam.policies import Document

REMEMBERED_SECONDS = 5.0


@dataclass(frozen=True)
class Session:
    """A role that a function has assumed."""

    role_name: str
    arn: str
    function_arn: str


@dataclass
class Roles:
    """The roles of the deployed functions, remembered for a few seconds."""

    functions: LambdaClient
    iam: IAMClient
    _sessions: dict[str, Session] = field(default_factory=dict)
    _policies: dict[str, tuple[float, list[Document]]] = field(default_factory=dict)

    def session(self, access_key: str) -> Session | None:
        """The session that the key belongs to; None for an unknown key."""
        if access_key not in self._sessions:
            self._sessions = dict(self._all_sessions())
        return self._sessions.get(access_key)

    def policies(self, session: Session) -> list[Document]:
        """All policies of the role, inline and attached."""
        read_at, documents = self._policies.get(session.role_name, (float("-inf"), []))
        if time.monotonic() - read_at > REMEMBERED_SECONDS:
            documents = list(self._read_policies(session.role_name))
            self._policies[session.role_name] = (time.monotonic(), documents)
        return documents

    def _all_sessions(self) -> Iterator[tuple[str, Session]]:
        for page in self.functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                arn, role_arn = function["FunctionArn"], function["Role"]
                digest = hashlib.sha256(f"{arn}:{role_arn}".encode()).hexdigest()
                role_name = role_arn.rsplit("/", 1)[-1]
                account_id = role_arn.split(":")[4]
                assumed = f"assumed-role/{role_name}/{function['FunctionName']}"
                session = Session(role_name, f"arn:aws:sts::{account_id}:{assumed}", arn)
                yield f"ASIA{digest[:16].upper()}", session

    def _read_policies(self, role_name: str) -> Iterator[Document]:
        for name in self.iam.list_role_policies(RoleName=role_name)["PolicyNames"]:
            inline = self.iam.get_role_policy(RoleName=role_name, PolicyName=name)
            yield _document(inline["PolicyDocument"])
        attached = self.iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
        for policy in attached:
            arn = policy["PolicyArn"]
            version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            described = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
            yield _document(described["PolicyVersion"]["Document"])


def _document(received: Any) -> Document:  # noqa: ANN401 - botocore decodes it, or does not
    document: Document = json.loads(unquote(received)) if isinstance(received, str) else received
    return document
