"""`python -m ste` lists every command."""

import pytest

from ste.__main__ import COMMANDS, main, summary


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_short_summary(command: str):
    assert 10 < len(summary(command)) <= 64


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]):
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(COMMANDS) + 2
    assert all(len(line) <= 80 for line in lines)
