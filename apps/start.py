"""The first module of a command: what comes before anything else is imported."""

import signal
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run a command line as `apps.cli.main` does.

    Until that takes signals, which is after a moment of imports, Ctrl-C ends this process as it
    ends any other program: without Python's traceback.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from apps import cli

    cli.main(sys.argv[1:] if arguments is None else arguments)
