"""A command as a person would type it, for the lines that say what to do next."""

import shlex
from collections.abc import Collection
from pathlib import Path

import click
from click.core import ParameterSource

from pipelines.config.options import Options

# Flags that say how a command prints or where it stops, not what it does.
LEFT_OUT = ("json", "quiet", "verbose", "dry_run", "help_set", "strict", "fix")


def typed_command(
    context: click.Context, options_type: type[Options], verb: str, data: Path | None = None
) -> str:
    """Return the command of this verb with the flags that this command was given.

    A clean copy `data` stands in for the data that it was given, in columns of other names.
    """
    if data:
        names = [param.name or "" for param in context.command.params]
        of_reading = [name for name in names if name.endswith("_column")]
        words = typed_flags(context, left_out=(*LEFT_OUT, "image_root", *of_reading))
        words[words.index("--data") + 1] = str(data)
    else:
        words = typed_flags(context)
    return shlex.join(["appline", options_type.domain, verb, *words])


def typed_flags(context: click.Context, left_out: Collection[str] = LEFT_OUT) -> list[str]:
    """Return the flags on the command line, as words, in the order of `--help`."""
    words: list[str] = []
    for param in context.command.params:
        is_typed = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if not is_typed or not isinstance(param, click.Option) or param.name in left_out:
            continue
        value = context.params[param.name]
        if param.is_flag:
            opposite = param.secondary_opts or param.opts
            words.append((param.opts if value else opposite)[0])
            continue
        for single in value if isinstance(value, tuple) else (value,):
            words += [param.opts[0], str(single)]
    if "--data" not in words:
        words = ["--data", str(context.params["data"]), *words]
    return words
