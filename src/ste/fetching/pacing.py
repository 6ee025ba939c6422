"""Ask a service for one ticker or series after the other, at its pace, and record what fails."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ste.config.progress import ProgressStep, step
from ste.fetching.fetch_report import FetchedItem, FetchReport


class ServiceError(Exception):
    """One ticker or series cannot be fetched; the text is the reason."""


class TooManyRequestsError(Exception):
    """The service refuses requests for a while."""


@dataclass(frozen=True)
class Pace:
    """How often a service is asked.

    Attributes:
        pause: seconds between two tickers or series.
        backoff: seconds of the first wait after a refusal; each further one is twice as long.
        retries: waits before the service is given up.
    """

    pause: float
    backoff: float
    retries: int


def fetch_each(names: Iterable[str], fetch: Callable[[str], FetchedItem], pace: Pace, report: FetchReport) -> None:
    """Fetch tickers or series one after the other, and add them to the report.

    A failure of one is recorded and the next one is fetched. Where the service refuses requests for good, the rest is
    recorded as not asked for.

    Args:
        names: tickers or series.
        fetch: fetches and stores one of them; raises `ServiceError` or `TooManyRequestsError`.
        pace: of the requests.
        report: to extend.
    """
    queue = list(names)
    with step("fetching", total=len(queue)) as progress:
        for number, name in enumerate(queue):
            progress.update(number, name)
            if number:
                time.sleep(pace.pause)
            try:
                report.items.append(_with_backoff(name, fetch, pace, progress))
            except ServiceError as error:
                report.failures[name] = str(error)
            except TooManyRequestsError:
                report.failures[name] = "the service answers that there were too many requests; try again later"
                report.failures |= dict.fromkeys(queue[number + 1 :], "not asked for, as the service refuses requests")
                break
            progress.update(number + 1)


def _with_backoff(name: str, fetch: Callable[[str], FetchedItem], pace: Pace, progress: ProgressStep) -> FetchedItem:
    for attempt in range(pace.retries):
        try:
            return fetch(name)
        except TooManyRequestsError:
            seconds = pace.backoff * 2**attempt
            progress.update(progress.done, f"{name}, too many requests: waiting {seconds:g} s")
            time.sleep(seconds)
    return fetch(name)
