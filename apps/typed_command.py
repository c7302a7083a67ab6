"""A command as a person would type it, for the lines that say what to do next."""

import shlex

import click
from click.core import ParameterSource

from pipelines.config.options import Options

# Flags that say how a command prints or where it stops, not what it does.
LEFT_OUT = ("json", "quiet", "verbose", "dry_run", "help_set")


def train_command(context: click.Context, options_type: type[Options]) -> str:
    """Return the command that trains with the flags that this command was given."""
    words = ["appline", options_type.domain, "train", *typed_flags(context)]
    return shlex.join(words)


def typed_flags(context: click.Context) -> list[str]:
    """Return the flags on the command line, as words, in the order of `--help`."""
    words: list[str] = []
    for param in context.command.params:
        is_typed = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if not is_typed or not isinstance(param, click.Option) or param.name in LEFT_OUT:
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
