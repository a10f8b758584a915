"""Makes `.venv` (`setup.py base`, `test`) or `.venv-torch` (`torch`) hold what its lock names.

`setup.py lock` renews the locks.

Runs on the machine's own Python, so it imports the standard library only. pip does nothing but fetch uv into
`.tools`: with `--target` it works where Debian refuses to install (PEP 668) and where `ensurepip` is missing.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "deploy" / "requirements"
TOOLS = ROOT / ".tools"
LOG = TOOLS / "setup.log"

_BASE = (
    "pyproject.toml",
    *("--extra", "espeak", "--extra", "google", "--extra", "piper"),
    *("--group", "build"),
)
_TORCH = (
    "pyproject.toml",
    *("--extra", "styletts2", "--extra", "xtts"),
    *("--group", "build", "--group", "torch-dev"),
)
LOCKED_FROM = {
    "base": _BASE,
    "test": (*_BASE, "--extra", "s3", "--group", "dev", "--constraints", "deploy/requirements/base.txt"),
    "torch-cpu": (*_TORCH, "deploy/requirements/torch-cpu.in"),
    "torch-cuda": (*_TORCH, "deploy/requirements/torch-cuda.in"),
    "uv": ("--group", "uv"),
}
FOLDERS = {
    "base": ROOT / ".venv",
    "test": ROOT / ".venv",
    "torch-cpu": ROOT / ".venv-torch",
    "torch-cuda": ROOT / ".venv-torch",
}
"""Where what a lock names is installed."""

ENOUGH_FOR = {"base": ("base", "test")}
"""The locks that will do where one is asked for, where it is not the one alone."""

# Wheels for Linux on x86-64 are all that there is of PyTorch without CUDA under a version of its own.
_CPU_TORCH = "torch-*+cpu-*.whl"
_CPU_PLATFORM = "x86_64-manylinux_2_28"

# pip's option, uv's variable for it, what separates several values there.
_UV_VARIABLES = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("no-index", "UV_NO_INDEX", " "),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("cert", "SSL_CERT_FILE", " "),
    ("proxy", "ALL_PROXY", " "),
)


def main(goal: str) -> None:
    """Set up the environment `goal`, or renew the locks.

    Raises:
        SystemExit: with one line that says what went wrong.
    """
    TOOLS.mkdir(exist_ok=True)
    with _alone():
        if goal == "lock":
            install_uv()
            renew_locks()
            return
        lock = torch_lock() if goal == "torch" else goal
        if not is_installed(lock):
            install_uv()
            install(lock)


def torch_lock() -> str:
    """Choose the build of PyTorch: for CUDA, unless there is no such device and pip's wheels are for CPUs.

    What the registry has for Linux is built for CUDA, and runs without it.
    """
    if Path("/proc/driver/nvidia").exists() or not _folders_with_cpu_torch():
        return "torch-cuda"
    return "torch-cpu"


def _folders_with_cpu_torch() -> list[str]:
    links = _configured_for_pip().get("UV_FIND_LINKS", "").split(",")
    return [link for link in links if link and any(Path(link).glob(_CPU_TORCH))]


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other set-up of this checkout runs."""
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_installed(lock: str) -> bool:
    """Tell whether the lock's folder holds what it names now."""
    python = FOLDERS[lock] / "bin" / "python"  # a link; broken where the machine's Python was removed
    return python.exists() and any(_stamp(name).exists() for name in ENOUGH_FOR.get(lock, (lock,)))


def _stamp(lock: str) -> Path:
    # The folder counts, because an environment does not survive being moved.
    folder = FOLDERS[lock]
    return folder / f".{lock}-{_digest(folder, LOCKS / f'{lock}.txt', ROOT / 'pyproject.toml')}"


def _digest(folder: Path, *files: Path) -> str:
    digest = hashlib.sha256(os.fsencode(folder))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def install_uv() -> None:
    """Fetch the pinned uv, unless it is here."""
    lock = LOCKS / "uv.txt"
    stamp = TOOLS / f".uv-{_digest(TOOLS, lock)}"
    if stamp.exists():
        return
    if find_spec("pip") is None:
        raise SystemExit("voicefarm: pip for python3.11 is missing (Debian: apt-get install python3-pip)")
    _say("Installing uv")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    source = ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--retries", "2", "-r", str(lock)]
    into_a_folder = {"PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0"}
    _run([*pip, *source, "--upgrade", "--target", str(TOOLS)], os.environ | into_a_folder)
    stamp.touch()


def install(lock: str) -> None:
    """Bring the lock's folder to what it names, and install the farm itself there, editable."""
    file, folder = LOCKS / f"{lock}.txt", FOLDERS[lock]
    _say(f"Installing what {file.relative_to(ROOT)} names")
    if lock != "test" or not is_installed("base"):
        _uv("venv", "--no-project", "--clear", "--python", sys.executable, str(folder))
    python = ("--python", str(folder / "bin" / "python"))
    # Where Python may not write byte code, every process would compile its libraries anew, for seconds.
    _uv("pip", "sync", "--require-hashes", "--compile-bytecode", *python, str(file))
    # Without isolation it builds with the lock's setuptools: nothing comes here without a hash.
    _uv("pip", "install", "--no-deps", "--no-build-isolation", *python, "--editable", str(ROOT))
    _stamp(lock).touch()


def renew_locks() -> None:
    """Resolve pyproject's requirements anew; what is pinned already stays where it still fits."""
    for name, sources in LOCKED_FROM.items():
        if name == "torch-cpu" and not _folders_with_cpu_torch():
            _say(f"Leaving {name}.txt as it is: none of pip's folders of wheels holds that build")
            continue
        _say(f"Locking deploy/requirements/{name}.txt")
        how = ("--python-version", "3.11", "--generate-hashes", "--no-emit-find-links")
        which = ("--python-platform", _CPU_PLATFORM) if name == "torch-cpu" else ("--universal",)
        output = ("--custom-compile-command", "make lock", "--output-file", f"deploy/requirements/{name}.txt")
        # Side indexes may hold one platform's files only; a lock needs the hash of every file.
        one_platforms = ("UV_INDEX",) if name == "torch-cpu" else ("UV_INDEX", "UV_FIND_LINKS")
        _uv("pip", "compile", *how, *which, *sources, *output, without=one_platforms)


def _uv(*arguments: str, without: tuple[str, ...] = ()) -> None:
    settings = {name: value for name, value in _configured_for_pip().items() if name not in without}
    ours = {
        "UV_SYSTEM_CERTS": "true",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # safe here: the locks' hashes decide which file is right
    }
    _run([str(TOOLS / "bin" / "uv"), "--quiet", *arguments], settings | ours | os.environ)


@cache
def _configured_for_pip() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    return uv_settings(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def uv_settings(pip_config: str) -> dict[str, str]:
    """Give uv's variables for the output of `pip config list`; uv does not read pip's configuration."""
    options: dict[str, list[str]] = {}
    # pip's own order: its command's section wins over the global one, the environment over both.
    for section in ("global.", "install.", ":env:."):
        for line in pip_config.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                options[name.removeprefix(section)] = ast.literal_eval(value).split()
    # pip passes over folders that are not there; uv stops.
    links = options.get("find-links", [])
    options["find-links"] = [link for link in links if "://" in link or Path(link).is_dir()]
    return {variable: by.join(options[name]) for name, variable, by in _UV_VARIABLES if options.get(name)}


def _run(command: list[str], env: Mapping[str, str]) -> None:
    with LOG.open("w") as log:
        outcome = subprocess.run(command, env=env, cwd=ROOT, stdout=log, stderr=log, check=False)
    if outcome.returncode != 0:
        problem = f"cannot install: {_last_line(LOG.read_text())}"
        raise SystemExit(f"voicefarm: {problem}; can the package registry be reached? More in {LOG}")


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ").removeprefix("cause: ") if lines else "the installer was killed"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
