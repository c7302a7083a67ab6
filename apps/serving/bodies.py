"""What a request holds: JSON, a table or a picture, to what a model's pipeline reads."""

import dataclasses
import json
import math
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from pipelines.config.options import Explain, PredictOptions
from pipelines.errors import ApplineError, suggest
from pipelines.io.standard_input import STEM
from pipelines.io.temporary import temporary_folder
from pipelines.pipeline import RawInput, RawRequest, RequestForm

if TYPE_CHECKING:
    import pandas as pd

JSON = "application/json"
CSV = "text/csv"
INSTANCES = "instances"
PARAMS = "params"
FLAG = re.compile(r"--([a-z][a-z-]*)")
# The end of a sentence that names what to type: ". Train one that ranks: appline recommend train".
COMMAND = re.compile(r"(?:^|[.;]?\s+)[^.;:\n]*: appline [^\n]*")
MOST_DEPTH = 20  # of lists and objects in each other: an image is three


# What JSON calls a value, by its type in Python.
KINDS: Mapping[type, str] = {
    list: "a list",
    dict: "an object",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}


def _kind(value: Any) -> str:
    return KINDS[type(value)]


class Refused(ApplineError):
    """A request that is none: the status, and the field that is to blame."""

    def __init__(self, status: int, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.field = field


@dataclasses.dataclass(frozen=True)
class Bodies:
    """Reads what requests to one model hold."""

    form: RequestForm
    example: "pd.DataFrame"
    options_type: type[PredictOptions]

    @property
    def content_types(self) -> tuple[str, ...]:
        """What a body may be."""
        return (JSON, "image/*") if self.form.kind == "image" else (JSON, CSV)

    @contextmanager
    def read(self, body: bytes, content_type: str) -> Iterator[RawRequest]:
        """Yield the request in a body; what it holds in files lasts as long as the block.

        Raises:
            Refused: it is none; the message says what was expected.
        """
        import pandas as pd

        kind = content_type.partition(";")[0].strip().lower() or JSON
        if kind == JSON:
            yield self._of_json(body)
        elif kind.startswith("image/") and self.form.kind == "image":
            yield self._request(pd.DataFrame({self.form.field: [body]}))
        elif kind == CSV and self.form.kind != "image":
            if not body.strip():
                raise Refused(400, "The body is empty. Expected a table with a header")
            with temporary_folder() as folder:
                path = folder / f"{STEM}.csv"
                path.write_bytes(body)
                request = self._request(path)
                try:
                    yield request
                except ApplineError as error:
                    raise type(error)(_without_path(str(error), path)) from None
                request.notes[:] = [_without_path(note, path) for note in request.notes]
        else:
            raise Refused(
                415,
                f"Content-Type {kind}: expected {' or '.join(self.content_types)}",
                "Content-Type",
            )

    def _request(self, source: RawInput, options: PredictOptions | None = None) -> RawRequest:
        return RawRequest(source=source, options=options or self.options_type(), is_remote=True)

    def _of_json(self, body: bytes) -> RawRequest:
        import pandas as pd

        try:
            content = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            reason = error if isinstance(error, ValueError) else "it is nested too deeply"
            raise Refused(400, f"The body is no JSON: {reason}. {self._expected()}") from None
        if not isinstance(content, Mapping):
            raise Refused(400, f"The body is {_kind(content)}. {self._expected()}")
        known = (INSTANCES, PARAMS)
        for name in content:
            if name not in known:
                raise Refused(
                    400, f"{name!r} is unknown.{suggest(name, known)} {self._expected()}", name
                )
        rows = self._rows(content.get(INSTANCES))
        options = self._options(content.get(PARAMS) or {})
        return self._request(pd.DataFrame(rows), options)

    def _rows(self, rows: Any) -> list[dict[str, Any]]:
        if not isinstance(rows, list) or not rows:
            found = "an empty list" if rows == [] else _kind(rows)
            raise Refused(400, f"{INSTANCES}: {found}. {self._expected()}", INSTANCES)
        for number, row in enumerate(rows):
            field = f"{INSTANCES}[{number}]"
            if not isinstance(row, dict) or not row:
                raise Refused(400, f"{field} is no object. {self._expected()}", field)
            if _depth(row) > MOST_DEPTH:
                raise Refused(400, f"{field} is nested too deeply", field)
        return rows

    def _expected(self) -> str:
        names = ", ".join(f'"{name}": ...' for name in list(self.example.columns)[:4])
        return f'Expected {{"{INSTANCES}": [{{{names}}}, ...]}}'

    def _options(self, given: Any) -> PredictOptions:
        if not isinstance(given, dict):
            raise Refused(400, f"{PARAMS}: expected an object such as {{}}", PARAMS)
        known = self.options_type.of_requests
        for name in given:
            if name not in known:
                raise Refused(
                    400,
                    f"{PARAMS}.{name} is unknown.{suggest(name, known)} Known: {', '.join(known)}",
                    f"{PARAMS}.{name}",
                )
        try:
            values = self._params_model.model_validate(given).model_dump(exclude_unset=True)
            options = self.options_type(**values)
            options.check((), force=False)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join([PARAMS, *map(str, first["loc"])])
            raise Refused(
                400, f"{field}: {first['msg']}. Received: {first['input']!r}", field
            ) from None
        except ApplineError as error:
            raise Refused(400, str(error), PARAMS) from None
        return options

    @property
    def _params_model(self) -> Any:
        fields = {field.name: field for field in dataclasses.fields(self.options_type)}
        hints = _hints(self.options_type)
        declared: dict[str, Any] = {}
        for name in self.options_type.of_requests:
            declared[name] = (hints[name], fields[name].default)
            if hints[name] == Explain:
                # A request names no folder of the server: it gets the columns alone.
                declared[name] = (bool, False)
        return create_model("Params", __config__=ConfigDict(extra="forbid"), **declared)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a request: the columns of the example, and the options."""
        params = self._params_model.model_json_schema()
        helps = {f.name: f.metadata["help"] for f in dataclasses.fields(self.options_type)}
        for name, entry in params["properties"].items():
            entry["description"] = helps[name]
        row = {"type": "object", "properties": self._columns(), "additionalProperties": True}
        return {
            "type": "object",
            "required": [INSTANCES],
            "additionalProperties": False,
            "properties": {
                INSTANCES: {"type": "array", "minItems": 1, "items": row},
                PARAMS: params,
            },
            "examples": [{INSTANCES: self.example_rows()}],
        }

    def _columns(self) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for name, value in self.example_rows()[0].items():
            kind = TypeAdapter(type(value)).json_schema() if value is not None else {}
            names[name] = {"type": kind["type"]} if "type" in kind else {}
        return names

    def example_rows(self) -> list[dict[str, Any]]:
        """Return the example as the rows of a request."""
        rows: list[dict[str, Any]] = json.loads(self.example.to_json(orient="records"))
        return rows


def answer_as_json(answers: "pd.DataFrame", notes: Sequence[str]) -> bytes:
    """Return answers as `predict --json` writes them, with what was said about them."""
    records = answers.to_json(orient="records", date_format="iso")
    return f'{{"predictions": {records}, "notes": {json.dumps(list(notes))}}}'.encode()


def error_as_json(message: str, field: str = "") -> dict[str, Any]:
    """Return what a client reads of an error; `field` is the one to blame, "" where none is."""
    return {"error": {"message": message, "field": field or None}}


def in_words_of_requests(message: str, options_type: type[PredictOptions]) -> str:
    """Return a message of `predict` as who sends requests reads it.

    `--skip-unreadable` is `params.skip_unreadable`. Flags that a request has not are options of the
    training. Commands to type are left out.
    """

    def as_param(flag: re.Match[str]) -> str:
        name = flag[1].replace("-", "_")
        known = name in options_type.of_requests
        return f"{PARAMS}.{name}" if known else f"the option {name}"

    return FLAG.sub(as_param, COMMAND.sub("", message))


def blamed_field(message: str) -> str:
    """Return the field of a request that a message of `predict` is about."""
    row = re.search(r"\brow (\d+)\b", message)
    return f"{INSTANCES}[{int(row[1]) - 1}]" if row else INSTANCES


def _without_path(text: str, path: Path) -> str:
    return text.replace(str(path), "the table").replace(path.name, "the table")


def _hints(options_type: type[PredictOptions]) -> dict[str, Any]:
    return typing.get_type_hints(options_type, include_extras=True)


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON; null stands for a missing value")


def _depth(value: Any, depth: int = 0) -> float:
    """Return how many lists and objects are in each other; infinity above `MOST_DEPTH`."""
    if depth > MOST_DEPTH:
        return math.inf
    if isinstance(value, dict):
        return max((_depth(inner, depth + 1) for inner in value.values()), default=depth)
    if isinstance(value, list):
        if value and not isinstance(value[0], list | dict):
            return depth + 1
        return max((_depth(inner, depth + 1) for inner in value), default=depth)
    return depth
