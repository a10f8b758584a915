"""The folder through which the processes of one front add up what they count: prometheus_client's files."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric


class SharedCounts(Collector):
    """One file a kind of metric and process, {kind}_{pid}.db; the dead have {kind}_dead.db together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Enclose the making of this process's metrics.

        What an earlier run of the front left is deleted; what processes of this run had counted before they
        died stays, in one file of each kind.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_EX):
            if self.pids():
                self._add_up_the_dead()
            else:
                for file in self._files():
                    file.unlink()
            yield

    def pids(self) -> set[int]:
        """Give the processes that count here and live."""
        return {pid for file in self._files() if (pid := _living_owner(file)) is not None}

    def collect(self) -> Iterable[Metric]:
        """Give the sums."""
        with self._locked(fcntl.LOCK_SH):
            return list(MultiProcessCollector(None, str(self._folder)).collect())

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.db"))

    def _add_up_the_dead(self) -> None:
        for file in self._files():
            kind, _, owner = file.stem.partition("_")
            if owner == "dead" or _living_owner(file) is not None:
                continue
            if file.stat().st_size:  # else it was killed while it made the file
                total = MmapedDict(str(self._folder / f"{kind}_dead.db"))
                for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                    total.write_value(key, total.read_value(key)[0] + value, 0.0)
                total.close()
            file.unlink()

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Keep files from being added up while they are read."""
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, how)
            yield


def _living_owner(file: Path) -> int | None:
    """Give the process that writes a file, unless it is dead or its number has gone to another since."""
    owner = file.stem.rpartition("_")[2]
    try:
        is_alive = psutil.Process(int(owner)).create_time() <= file.stat().st_mtime
    except (ValueError, psutil.NoSuchProcess):
        return None
    return int(owner) if is_alive else None
