"""The page of `--help`: 80 columns, and a meaning for every setting."""

import re
from itertools import pairwise

import pytest

import ste
from docs.settings_reference import settings_page
from ste.__main__ import COMMANDS
from ste.config.config_files import group_choices
from ste.config.help_page import WIDTH, help_page

COLUMN = " " * 30
SETTING = re.compile(r" *[\w/]+: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_has_a_meaning_within_80_columns(command: str):
    lines = help_page(command, []).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    settings = lines[lines.index("Settings:") + 1 :]
    bare = [
        line
        for line, following in pairwise(settings)
        if SETTING.match(line) and not line[30:].strip() and not following.startswith(COLUMN)
    ]
    assert bare == []


@pytest.mark.parametrize("command", ["__main__", "train", "serve"])
def test_the_version_is_printed(call, command: str):
    assert call(command, "--version") == (0, f"ste {ste.__version__}\n", "")


def test_only_the_settings_of_the_command_are_shown():
    page = help_page("serve", [])
    assert "max_body_bytes" in page
    assert "max_epochs" not in page


def test_the_meaning_follows_the_choice_of_a_group():
    assert "decoupled weight decay" in help_page("train", ["optimizer=adamw"])
    assert "bars: ''                    daily bars in any usual shape:" in help_page("train", ["data=market"])


@pytest.mark.slow
def test_the_reference_has_a_line_with_a_meaning_for_every_setting_of_every_choice():
    page = settings_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []
    for group in ("model", "data", "validation", "trainer"):
        for name in group_choices("train", group):
            assert f"### train: {group}={name}\n" in page
    assert "| `model.hidden_size` | `64` |" in page
    assert "| `data.signal` | `0.4` | a finite number, 0 or more, 1 or less |" in page
    assert "| `limits.max_body_bytes` |" in page
