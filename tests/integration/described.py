"""Answers against the OpenAPI document that the farm publishes."""

from __future__ import annotations

import re

from jsonschema import Draft202012Validator


class Described:
    """An OpenAPI document, as something to hold answers to."""

    def __init__(self, document) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations)
            for path, operations in document["paths"].items()
        ]

    def check(self, answer) -> None:
        """Assert that status, content type and body are what is described for this path and method."""
        operation = self.operation(answer.request)
        if operation is None:
            return
        described = operation["responses"]
        assert str(answer.status_code) in described, f"{answer.request.url} answered {answer.status_code}"
        content = described[str(answer.status_code)]["content"]
        answer.read()
        if answer.request.method == "HEAD" or not content:
            return
        media_type = answer.headers["Content-Type"].partition(";")[0]
        assert media_type in content
        if "schema" in content[media_type]:
            schema = content[media_type]["schema"] | {"components": self.document["components"]}
            Draft202012Validator(schema).validate(answer.json())

    def operation(self, request):
        """Give what is described for a request; None where nothing is."""
        method = {"HEAD": "get"}.get(request.method, request.method.lower())
        for pattern, operations in self._paths:
            if pattern.fullmatch(request.url.path):
                return operations.get(method)
        return None
