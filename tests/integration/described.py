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
        operations = self.operations(answer.request.url.path)
        if operations is None:
            return
        operation = operations.get(answer.request.method.lower())
        if operation is None:
            self._check_undescribed(answer, operations)
            return
        described = operation["responses"]
        assert str(answer.status_code) in described, f"{answer.request.url} answered {answer.status_code}"
        content = described[str(answer.status_code)]["content"]
        answer.read()
        if not content:
            assert answer.content == b""
            assert not {"content-type", "content-length"} & answer.headers.keys()
        elif answer.request.method != "HEAD":
            self._check_body(answer, content)

    def _check_body(self, answer, content) -> None:
        media_type = answer.headers["Content-Type"].partition(";")[0]
        assert media_type in content
        if "schema" in content[media_type]:
            schema = content[media_type]["schema"] | {"components": self.document["components"]}
            Draft202012Validator(schema).validate(answer.json())

    def _check_undescribed(self, answer, operations) -> None:
        """Assert that a method without a description of its own is answered as the document says of all."""
        answer.read()
        if answer.request.method == "HEAD":
            assert (answer.status_code == 405) == ("get" not in operations)
            assert answer.content == b""
        elif answer.request.method == "OPTIONS":
            assert answer.status_code == 200
            assert operations.keys() <= {each.strip().lower() for each in answer.headers["Allow"].split(",")}
        else:
            assert answer.status_code == 405
            self._check_body(answer, next(iter(operations.values()))["responses"]["default"]["content"])

    def operations(self, path):
        """Give what is described for a path, by method; None where nothing is."""
        found = (operations for pattern, operations in self._paths if pattern.fullmatch(path))
        return next(found, None)
