"""Check every call against the policies of the role that makes it, as AWS does.

The root key may do everything: Terraform, the simulated fleet and the tests use it.
"""

import re
from dataclasses import dataclass, replace

from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse

from sandbox.emulator.faults import OperationFailure
from sandbox.emulator.iam.policies import Decision, Request, decide
from sandbox.emulator.iam.requests import permissions_behind, permissions_needed
from sandbox.emulator.iam.roles import Roles, Session

CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")

# The same refusal has a name of its own in each service's protocol.
DENIED = {
    "ec2": "UnauthorizedOperation",
    "servicediscovery": "AccessDeniedException",
    "ssm": "AccessDeniedException",
}
UNKNOWN_KEY = {
    "ec2": "AuthFailure",
    "servicediscovery": "UnrecognizedClientException",
    "ssm": "UnrecognizedClientException",
}


class CallRefusedError(ServiceException):
    """The caller is unknown or may not do this."""


@dataclass(frozen=True)
class Gatekeeper:
    """A gate for `installed` that knows the roles."""

    roles: Roles
    root_key: str

    def __call__(self, response: BaseResponse, action: str) -> OperationFailure | None:
        """Refuse the call, accept it, or accept it and let the operation that it starts fail."""
        access_key = _access_key(response)
        if access_key == self.root_key:
            return None
        service = str(response.service_name)
        session = self.roles.session(access_key)
        if session is None:
            code = UNKNOWN_KEY.get(service, "InvalidClientTokenId")
            raise CallRefusedError(code, "The security token included in the request is invalid.")
        for request in permissions_needed(response, action):
            denial = self._denial(session, request)
            if denial is not None:
                raise CallRefusedError(DENIED.get(service, "AccessDenied"), denial)
        for request in permissions_behind(response, action):
            denial = self._denial(session, request)
            if denial is not None:
                return OperationFailure("ACCESS_DENIED", denial, 1)
        return None

    def _denial(self, session: Session, request: Request) -> str | None:
        context = {**request.context, "lambda:SourceFunctionArn": [session.function_arn]}
        decision = decide(self.roles.policies(session), replace(request, context=context))
        if decision is Decision.ALLOWED:
            return None
        reason = (
            "with an explicit deny in an identity-based policy"
            if decision is Decision.EXPLICITLY_DENIED
            else f"because no identity-based policy allows the {request.action} action"
        )
        return (
            f"User: {session.arn} is not authorized to perform: {request.action}"
            f" on resource: {request.resource} {reason}"
        )


def _access_key(response: BaseResponse) -> str:
    found = CREDENTIAL.search(response.headers.get("Authorization", ""))
    return found[1] if found else ""
