"""Every command that a message prints can be typed as it is printed."""

import pytest

from tests.printed_commands import parse_command, printed_commands

COMMANDS = printed_commands()


def test_the_sources_are_found_to_print_commands() -> None:
    commands = [command for _, command in COMMANDS]
    assert "appline vision predict INPUT --run 1a2b3c4d" in commands
    assert "appline runs" in commands
    assert "appline ui --port 5001" in commands
    assert len(commands) > 12


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_a_printed_command_parses(where: str, command: str) -> None:
    parse_command(command)
