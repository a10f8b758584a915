"""Reading an upload: one audio file of a multipart form, never more of it than is taken."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, BinaryIO, cast

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from shared.errors import BadRequest, BodyTooLarge, FieldError, InvalidRequest, UnsupportedMediaType
from shared.samples.records import MAX_UPLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.datastructures import FileStorage, MultiDict

# What the form's other lines may come to.
_FORM_BYTES = 64 * 1024
_FIELDS = {"audio", "consent"}


def uploaded_sample() -> BinaryIO:
    """Give the form's `audio`; whoever speaks there has consented.

    The body is counted while it comes in, whatever its length is said to be; beyond half a megabyte it is
    kept in a temporary file.

    Raises:
        UnsupportedMediaType: the body is not declared as a multipart form.
        BodyTooLarge, RequestEntityTooLarge: it is larger than a form with a sample.
        BadRequest: it is no multipart form, or one whose end did not come.
        InvalidRequest: the form is not one `audio` file and `consent=true`.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the sample as 'Content-Type: multipart/form-data'.")
    request.form_data_parser_class = _FormParser
    request.max_content_length = MAX_UPLOAD_BYTES + _FORM_BYTES
    # A sample that is sent as a mere field is to be told so, not that it is too large.
    request.max_form_memory_size = request.max_content_length
    if errors := list(_errors()):
        raise InvalidRequest(errors)
    return cast("BinaryIO", request.files["audio"].stream)


class _FormParser(FormDataParser):
    """Says what is wrong with a form where Werkzeug would give an empty one, or call all of it too large."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        self.silent = False
        try:
            _, fields, files = super().parse(
                cast("IO[bytes]", _Body(stream)), mimetype, content_length, options
            )
        except ValueError as error:
            raise BadRequest(
                "The multipart form is broken or cut off; send it as a whole, with the boundary that its "
                "Content-Type names."
            ) from error
        except RequestEntityTooLarge as error:
            raise InvalidRequest(
                [FieldError("", f"the form has more than {self.max_form_parts} parts")]
            ) from error
        if None in {*fields, *files}:
            raise BadRequest("A part of the multipart form has no name.")
        return stream, fields, files


class _Body:
    """What comes in, whose excess is told apart from that of the form's parts."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Give so many bytes, or fewer at the end."""
        try:
            return self._stream.read(size)
        except RequestEntityTooLarge as error:
            raise BodyTooLarge from error


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
