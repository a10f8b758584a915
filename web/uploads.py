"""Reading an upload: one audio file of a multipart form, never more of it than is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from flask import request

from shared.errors import FieldError, InvalidRequest, UnsupportedMediaType
from shared.samples.records import MAX_UPLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the form's other lines may come to.
_FORM_BYTES = 64 * 1024
_FIELDS = {"audio", "consent"}


def uploaded_sample() -> BinaryIO:
    """Give the form's `audio`; whoever speaks there has consented.

    The body is counted while it comes in, whatever its length is said to be; beyond half a megabyte it is
    kept in a temporary file.

    Raises:
        UnsupportedMediaType: the body is not declared as a multipart form.
        RequestEntityTooLarge: it is larger than a form with a sample.
        InvalidRequest: the form is not one `audio` file and `consent=true`.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the sample as 'Content-Type: multipart/form-data'.")
    request.max_content_length = MAX_UPLOAD_BYTES + _FORM_BYTES
    if errors := list(_errors()):
        raise InvalidRequest(errors)
    return cast("BinaryIO", request.files["audio"].stream)


def _errors() -> Iterator[FieldError]:
    files, fields = request.files, request.form
    if "audio" in fields:
        yield FieldError("audio", "must be a file, with a file name")
    elif len(files.getlist("audio")) != 1:
        yield FieldError("audio", "must be one file")
    if fields.getlist("consent") != ["true"] or "consent" in files:
        yield FieldError("consent", "must be 'true': whoever speaks in the sample agrees to its use")
    for name in sorted({*files, *fields} - _FIELDS):
        yield FieldError(name, "is no field of this form")
