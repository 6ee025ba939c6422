"""Arguments of a command: options of Hydra and overrides in any order, and what a mistake prints."""

import pytest

from ste.config.arguments import Arguments
from ste.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "options", "overrides"),
    [
        ("model=lstm", "", "model=lstm"),
        ("a=1 -m b=2,3", "--multirun", "a=1 b=2,3"),
        ("-m a=1 --multirun b=2", "--multirun", "a=1 b=2"),
        ("a=1 --cfg job b=2", "--cfg job", "a=1 b=2"),
        ("--cfg=job a=1", "--cfg job", "a=1"),
        ("--config-dir conf a=1 -cn own", "--config-dir conf --config-name own", "a=1"),
        ("--info defaults a=1", "--info defaults", "a=1"),
        ("--info a=1", "--info", "a=1"),
        ("~data +x=1 ++y=2", "", "~data +x=1 ++y=2"),
        ("--help data=market", "--help", "data=market"),
    ],
)
def test_options_and_overrides_may_stand_in_any_order(typed: str, options: str, overrides: str):
    found = Arguments.parse(typed.split(), "ste.train")
    assert (" ".join(found.options), " ".join(found.overrides)) == (options, overrides)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("--model lstm", "Try python -m ste.train model=lstm."),
        ("--model=lstm", "Try python -m ste.train model=lstm."),
        ("--max-epochs 3", "Try python -m ste.train max_epochs=3."),
        ("-x", "Try python -m ste.train x=VALUE."),
    ],
)
def test_a_setting_typed_as_an_option_is_answered_with_the_setting(typed: str, hint: str):
    with pytest.raises(ConfigError, match="no such option") as error:
        Arguments.parse(typed.split(), "ste.train")
    assert str(error.value).endswith(hint)


@pytest.mark.parametrize(
    ("command", "typed", "message"),
    [
        ("train", ["--model", "lstm"], "--model: no such option."),
        ("train", ["model=lstm,mlp", "seed=1"], "Try python -m ste.train -m model=lstm,mlp seed=1."),
        ("report", ["run=a,b"], "run=a,b: expected one value. Give a list as run=[a,b]"),
        ("__main__", ["train", "model=lstm"], "train: each command is a module. Try python -m ste.train model=lstm."),
    ],
)
def test_a_mistake_is_one_line_with_what_to_type(call, command: str, typed: list[str], message: str):
    code, output, errors = call(command, *typed)
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 1
    assert message in errors
