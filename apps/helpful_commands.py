"""Groups and commands of click that know what a person meant who typed something else."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

import click

from apps import other_names, saved_runs
from apps.click_options import plain_reason
from pipelines import DOMAINS, options_class
from pipelines.config.search_space import hyperparameters, meant_by
from pipelines.errors import ApplineError, shorten, suggest

SHOWN_KEYS = 3


class HelpfulCommand(click.Command):
    """A command that knows the flags of other tools, and where a path belongs."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            rest = super().parse_args(context, args)
            self._require_single_values(context, given)
            return rest
        except click.NoSuchOption as error:
            name = _whole_word(error.option_name, given)
            message = f"No such option {name!r}.{self._flag_hint(name, context, given)}"
            raise click.UsageError(message, context) from None
        except click.MissingParameter:
            raise
        except click.BadParameter as error:
            raise click.BadParameter(plain_reason(error), context, error.param) from None
        except click.UsageError:
            extra = self._extra_words(context, given)
            if not extra:
                raise
            raise click.UsageError(self._where_to(context, given, extra), context) from None

    def _require_single_values(self, context: click.Context, given: list[str]) -> None:
        """Refuse a flag that is given twice and takes one value: the first would be lost."""
        _, _, order = self.make_parser(context).parse_args(list(given))
        for param, count in Counter(order).items():
            takes_value = isinstance(param, click.Option) and not param.is_flag
            if takes_value and not param.multiple and count > 1:
                raise click.UsageError(
                    f"{param.opts[0]} takes one value. Received: {count}", context
                )

    def _flags(self) -> set[str]:
        return {flag for param in self.params for flag in param.opts}

    def _flag_hint(self, name: str, context: click.Context, given: Sequence[str]) -> str:
        """Return the flag of this command that was meant by `name`, as a sentence, "" for none.

        It is what another tool calls so, `--set` for a hyperparameter, or the nearest one.
        """
        plain = name.lstrip("-").lower().replace("_", "-")
        if plain in other_names.OF_DEVICES:
            return other_names.ABOUT_DEVICES
        flags = sorted(self._flags())
        if plain in other_names.OF_PARTS and "--label-column" in flags and "--part" not in flags:
            return other_names.ABOUT_PARTS
        begun = [flag for flag in flags if flag.startswith(f"--{plain}")]
        names = (f"--{plain}", *other_names.FLAGS.get(plain, ()))
        known = [flag for flag in names if flag in flags]
        hyperparameter = "" if known else _as_hyperparameter(name, context, given)
        if hyperparameter and "--set" in flags:
            return hyperparameter
        for flag in (*known, *begun):
            return f" Did you mean {flag!r}?"
        return suggest(f"--{plain}", flags)

    def _extra_words(self, context: click.Context, given: list[str]) -> list[str]:
        """Return the words that are neither a flag nor a flag's value nor an argument's."""
        if any(isinstance(param, click.Argument) for param in self.params):
            return []
        _, extra, _ = self.make_parser(context).parse_args(list(given))
        return [str(word) for word in extra]

    def _where_to(self, context: click.Context, given: list[str], extra: list[str]) -> str:
        """Return what the extra words probably mean, with the command to type."""
        listed = " ".join(map(shlex.quote, extra))
        flags = self._flags()
        if "--set" in flags and all("=" in word for word in extra):
            words = _with_flag(given, extra, "--set")
            return f"{listed}: a value stands behind --set: {_typed(context, *words)}"
        if "--folder" in flags:
            words = _with_flag(given, extra, "--folder")
            return f"{listed}: a folder stands behind --folder: {_typed(context, *words)}"
        if "--data" not in flags:
            return f"{listed}: {context.command_path} takes no such words. See: --help"
        if "--data" in given:
            return (
                f"{listed}: one word too many. --data takes one file or folder; "
                "a name with blanks stands in quotes"
            )
        if len(extra) > 1:
            whole = _typed(context, "--data", " ".join(extra))
            return (
                f"{listed}: --data takes one file or folder; "
                f"a name with blanks stands in quotes: {whole}"
            )
        words = _with_flag(given, extra, "--data")
        return f"{listed}: the data stands behind --data: {_typed(context, *words)}"


class Application(click.Group):
    """The commands of one application; for a wrong name, the one that was meant is suggested."""

    command_class = HelpfulCommand
    verbs: ClassVar[Mapping[str, str]] = other_names.VERBS

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message}{self.hint(context, args)}", context) from None

    def hint(self, context: click.Context, args: list[str]) -> str:
        """Return what `args` should probably begin with, as a sentence; empty where unknown."""
        if args[0].lower() == "help":
            return f" Help is a flag: {_typed(context, *args[1:], '--help')}"
        meant = self.verbs.get(args[0].lower())
        if meant:
            return f" It is called {meant} here: {_typed(context, meant, *args[1:])}"
        if Path(args[0]).exists():
            return f" A path stands behind --data: {_typed(context, 'train', '--data', *args)}"
        names = self.list_commands(context)
        return suggest(args[0].lower(), names) or f" Expected one of: {', '.join(names)}"


class Applications(Application):
    """The applications by name, and the commands beside them."""

    verbs: ClassVar[Mapping[str, str]] = {**other_names.DOMAINS, **other_names.GLOBAL_VERBS}

    def hint(self, context: click.Context, args: list[str]) -> str:
        name = args[0].lower()
        if name == "version":
            return f" It is a flag: {_typed(context, '--version')}"
        verb = other_names.VERBS.get(name, name)
        domains = ", ".join(DOMAINS)
        if verb in other_names.VERBS.values() and name not in self.verbs:
            named = next((word for word in args[1:] if word in DOMAINS), "")
            domain = named or _domain_of_model(args[1:]) or next(iter(DOMAINS))
            rest = [word for word in args[1:] if word not in DOMAINS]
            if verb != "predict" and rest and not rest[0].startswith("-"):
                rest.insert(0, "--data")
            command = _typed(context, domain, verb, *rest)
            return f" The application comes first ({domains}): {command}"
        if name not in self.verbs and Path(args[0]).exists():
            command = _typed(context, next(iter(DOMAINS)), "train", "--data", *args)
            return f" Name an application ({domains}) and a command: {command}"
        return super().hint(context, args)


def _domain_of_model(words: Sequence[str]) -> str:
    """Return the application of the model that words name by its run or file, "" where unknown."""
    from pipelines.model_file import domain_of

    given = {}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        given[flag] = value if equals else following
    run = given.get("--run") or given.get("--resume")
    with suppress(ApplineError):
        if run:
            return saved_runs.find(run, given.get("--tracking-uri", "")).domain
        if "--model" in given:
            return domain_of(Path(given["--model"]))
    return ""


def _as_hyperparameter(name: str, context: click.Context, given: Sequence[str]) -> str:
    """Return how the hyperparameter is set that a flag would name, "" where it names none."""
    domain = context.parent.info_name if context.parent else None
    if domain not in DOMAINS:
        return ""
    known = hyperparameters(options_class(domain).spec_type)
    keys = meant_by(known, name.lstrip("-"))
    if not keys:
        return ""
    flag = "--set"
    value = _value_of(name, given) or str(known[keys[0]].default)
    if context.info_name == "tune" and ("," in value or ".." in value):
        flag = "--search"
    others = f" (or one of {shorten(keys[1:], SHOWN_KEYS)})" if len(keys) > 1 else ""
    return f" Hyperparameters stand behind {flag}: {flag} {keys[0]}={shlex.quote(value)}{others}"


def _value_of(name: str, given: Sequence[str]) -> str:
    """Return what was typed behind a flag, "" for nothing."""
    for word, following in zip_longest(given, given[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        if flag == name:
            return value if equals or following.startswith("--") else following
    return ""


def _typed(context: click.Context, *words: str) -> str:
    return f"{context.command_path} {shlex.join(words)}"


def _whole_word(name: str, given: Iterable[str]) -> str:
    """Return the flag as it was typed: click takes `-lr` for the flag `-l`."""
    if not name.startswith("--"):
        for word in given:
            if word.startswith(name):
                return word.partition("=")[0]
    return name


def _with_flag(given: list[str], extra: list[str], flag: str) -> list[str]:
    """Return the words of a command with `flag` before each of the extra ones."""
    words = []
    for word in given:
        if word in extra:
            words.append(flag)
        words.append(word)
    return words
