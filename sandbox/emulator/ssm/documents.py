"""SSM's documents, on top of moto's: their content is checked as Run Command needs it."""

import json
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]  # it comes with moto
from moto.ssm.exceptions import InvalidDocument, InvalidDocumentContent, InvalidDocumentVersion
from moto.ssm.models import Document, Documents, SimpleSystemManagerBackend

from sandbox.emulator.ssm.document import CommandDocument, InvalidContentError

COMMAND = "Command"
PLATFORMS = ["Linux", "MacOS"]
# Every account has it, and it runs whatever its caller says.
RUN_SHELL_SCRIPT = {
    "schemaVersion": "2.2",
    "description": "Run a shell script or specify the commands to run.",
    "parameters": {
        "commands": {"type": "StringList", "minItems": 1},
        "workingDirectory": {"type": "String", "default": ""},
        "executionTimeout": {"type": "String", "default": "3600", "allowedPattern": "^[0-9]+$"},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "runShellScript",
            "inputs": {
                "timeoutSeconds": "{{ executionTimeout }}",
                "runCommand": "{{ commands }}",
                "workingDirectory": "{{ workingDirectory }}",
            },
        }
    ],
}


class CheckedDocumentsBackend(SimpleSystemManagerBackend):
    """moto's documents; those for Run Command must be ones that agents could run."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._amazons = {"AWS-RunShellScript": _amazons("AWS-RunShellScript", RUN_SHELL_SCRIPT)}

    def require_runnable(self, content: str, document_format: str, document_type: str) -> None:
        """Refuse the content of a command document that no agent could run."""
        if document_type != COMMAND:
            return
        try:
            CommandDocument.parse(
                json.loads(content) if document_format == "JSON" else yaml.safe_load(content)
            )
        except (InvalidContentError, ValueError, yaml.YAMLError) as error:
            raise InvalidDocumentContent(str(error)) from error

    def document_type(self, name: str) -> str:
        """What kind of document it is; nothing for an unknown one."""
        documents = self._documents.get(name)
        return documents.get_default_version().document_type if documents else ""

    def get_document(
        self, name: str, document_version: str, version_name: str, document_format: str
    ) -> dict[str, Any]:
        version = _stored(document_version)
        return super().get_document(name, version, version_name, document_format)

    def describe_document(
        self, name: str, document_version: str, version_name: str
    ) -> dict[str, Any]:
        described = super().describe_document(name, _stored(document_version), version_name)
        return {**described, "PlatformTypes": PLATFORMS}

    def document_version(self, name: str, version: str | None) -> Document:
        """The version of a document, by name or ARN, that a command is to run."""
        documents = self._documents.get(name.rsplit("/", 1)[-1]) or self._amazons.get(name)
        if documents is None:
            raise InvalidDocument(f"Document with name {name} does not exist.")
        if version in {None, "", "$DEFAULT"}:
            return documents.get_default_version()
        if version == "$LATEST":
            return documents.get_latest_version()
        found = documents.find_by_version(str(version))
        if found is None:
            raise InvalidDocumentVersion(f"The document version {version} does not exist.")
        return found

    def document_arn(self, name: str) -> str:
        """The ARN of a document, known or not; Amazon's own belong to no account."""
        bare = name.rsplit("/", 1)[-1]
        owner = "" if bare.startswith("AWS-") else self.account_id
        return f"arn:{self.partition}:ssm:{self.region_name}:{owner}:document/{bare}"

    def document_tags(self, name: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self._get_documents_tags(name)}


def _stored(version: str) -> str:
    """The version as moto looks it up, by its number; no number means the default one."""
    return "" if version == "$DEFAULT" else version


def _amazons(name: str, content: Mapping[str, Any]) -> Documents:
    document = Document(  # type: ignore[abstract]  # moto makes them, too
        account_id="Amazon",
        name=name,
        version_name="",
        content=content,  # type: ignore[arg-type]  # moto takes it parsed, too
        document_type=COMMAND,
        document_format="JSON",
        requires=[],
        attachments=[],
        target_type="/AWS::EC2::Instance",
    )
    return Documents(document)
