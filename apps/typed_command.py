"""A command as a person would type it, for the lines that say what to do next."""

import shlex
from collections.abc import Collection
from pathlib import Path

import click
from click.core import ParameterSource

from pipelines.config.options import Options

# Flags that say how a command prints or where it stops, not what it does.
LEFT_OUT = ("json", "quiet", "verbose", "dry_run", "help_set", "strict", "fix")


def train_command(
    context: click.Context, options_type: type[Options], clean: Path | None = None
) -> str:
    """Return the command that trains with the flags that this command was given.

    A `clean` copy stands in for the data that it was given, in columns and folders of other names.
    """
    left_out = set(LEFT_OUT)
    if clean:
        left_out |= {name for name in _names(context) if name.endswith("_column")}
        left_out |= {"image_root", "label_pattern"}
    words = typed_flags(context, left_out)
    if clean:
        words[words.index("--data") + 1] = str(clean)
    return shlex.join(["appline", options_type.domain, "train", *words])


def check_command(context: click.Context, options_type: type[Options]) -> str:
    """Return the command that checks the data of this command."""
    left_out = set(_names(context)) - set(options_type.option_names())
    words = typed_flags(context, left_out)
    return shlex.join(["appline", options_type.domain, "check", *words])


def piped_command(context: click.Context, options_type: type[Options]) -> str:
    """Return the command that answers words on standard input, "" where a model answers none."""
    if not options_type.answers_words:
        return ""
    words = ["appline", options_type.domain, "predict", "-"]
    for flag in ("run", "model"):
        if context.params[flag]:
            words += [f"--{flag}", str(context.params[flag])]
    return shlex.join(words)


def _names(context: click.Context) -> list[str]:
    return [param.name or "" for param in context.command.params]


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
