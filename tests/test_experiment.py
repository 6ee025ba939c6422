"""A run's parts: what selects the epoch, what is predicted again, and what its log file holds."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra.core.utils import configure_log
from omegaconf import open_dict

from ste.config.load import compose_command
from ste.experiment.run import split_settings, train
from ste.experiment.run_parts import RunParts
from ste.training.fit import Fitted
from ste.training.module import TrendModule


def fitted(parts: RunParts, folder: Path) -> Fitted:
    data = parts.data.holdout()
    return parts.fitter.fit(parts.builder.build(data), data, folder)


def test_no_test_label_selects_an_epoch_or_changes_a_weight(small, tmp_path: Path):
    settings, _ = small("trainer.max_epochs=5", "optimizer.lr=0.02")
    plain, flipped = split_settings(settings), split_settings(settings)
    panel = flipped.data.panel
    labels, test = panel.store.label.clone(), torch.from_numpy(panel.row_split == 2)
    assert int(test.sum()) > 20
    labels[test] = torch.where(labels[test] >= 0, (labels[test] + 1) % 3, labels[test])
    vars(flipped.data)["panel"] = replace(panel, store=replace(panel.store, label=labels))
    one, other = fitted(plain, tmp_path / "plain"), fitted(flipped, tmp_path / "flipped")
    assert isinstance(one.model, TrendModule)
    assert isinstance(other.model, TrendModule)
    assert (one.best_epoch, one.monitored, one.epochs) == (other.best_epoch, other.monitored, other.epochs)
    a, b = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    validation = min(range(len(one.history)), key=lambda epoch: one.history[epoch]["val/log_loss"])
    assert one.best_epoch == validation


@pytest.fixture
def log_file(folder: Path):
    """The log file of a command, as `conf/hydra_defaults.yaml` sets it up."""
    config = compose_command("train", [], with_hydra=True)
    with open_dict(config):
        config.hydra.runtime.output_dir, config.hydra.job.name = str(folder), "train"
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_log(config.hydra.job_logging)
    yield folder / "train.log"
    for logger in (root, logging.getLogger("ste.run_log")):
        for handler in logger.handlers:
            handler.close()
        logger.handlers = []
    root.handlers, root.level = before
    logging.getLogger("ste.run_log").propagate = True


def test_a_runs_log_file_holds_its_progress_and_the_console_does_not_repeat_it(small, log_file: Path, capfd):
    settings, values = small("model=logistic")
    result = train(settings, values, Path("run"), "a run")
    assert result is not None
    text = log_file.read_text()
    assert f"data {result.data_digest}, rows: train " in text
    assert all(line in text for line in result.lines)
    assert f"verdict: {result.verdict.summary}" in text
    assert f"run {result.run_id}" in text
    out, err = capfd.readouterr()
    assert "verdict:" not in out + err
