"""Train in a process of its own: `python -m benchmarks.fit_worker ours|bare FOLDER`.

A request has `overrides` of a training command and `epochs`; the answer has the examples of each split and the seconds
of one fit. A request with `describe` is answered by a description of the tables, which Qlib's worker needs.
"""

import argparse
import logging
from pathlib import Path

from benchmarks.worker_process import JsonObject, answer_requests
from ste.config.fast_imports import set_before


def main() -> None:
    """Answer requests until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("ours", "bare"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.kind == "ours":
        set_before()  # before torch is imported, as the commands do
    from benchmarks.fits import bare_seconds, describe, fit_seconds, open_data, settings_from

    logging.disable(logging.WARNING)

    def answer(request: JsonObject) -> JsonObject:
        tables = [*request["overrides"], f"paths.data={arguments.folder / 'data'}"]
        settings = settings_from([*tables, f"trainer.max_epochs={request.get('epochs', 1)}"])
        data = open_data(settings)
        if request.get("describe"):
            return describe(settings, data)
        if arguments.kind == "ours":
            seconds = fit_seconds(settings, data, arguments.folder, track=True)
        else:
            seconds = bare_seconds(settings, data)
        return {"examples": {name: len(split) for name, split in data.datasets.items()}, "seconds": seconds}

    answer_requests(answer)


if __name__ == "__main__":
    main()
