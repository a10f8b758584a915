"""`voicefarm up`: the whole farm on this machine, in the foreground."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from honcho.environ import parse_procfile

from shared.catalog import CATALOG
from shared.cli import embedded_redis
from shared.cli.errors import CannotStart, EndedTooSoon
from shared.cli.greeting import greeting, wait_until_ready
from shared.cli.interrupted_make import interrupted_make
from shared.cli.ports import HOST, is_free, try_port
from shared.cli.state_folder import StateFolder, names_redis, open_state_folder
from shared.cli.supervisor import Supervisor
from shared.connections import front_client
from shared.environments import PROJECT, Environment
from shared.errors import SettingsError
from shared.phrases import find_list
from shared.prewarm.start import read_start_lists
from shared.routing import Router
from shared.sessions import issue_code
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping

    from shared.cli.embedded_redis import EmbeddedRedis

FLOWER_USER = "admin"
TORCH_ENGINES = tuple(name for name, spec in CATALOG.items() if spec.environment is Environment.TORCH)
FIRST_PORT, LAST_PORT = 8000, 65535

# Whether it can be used is found out when it is opened.
Folder = click.Path(readable=False, path_type=Path)


def _port(_: click.Context, option: click.Parameter, given: str) -> int:
    # Not click.IntRange: whoever types `make up` is told in one line, and by the variable that they set.
    if re.fullmatch(r"[0-9]{1,5}", given) and 1 <= int(given) <= LAST_PORT:
        return int(given)
    raise CannotStart(f"{option.envvar} must be a number from 1 to {LAST_PORT}, is {given!r}")


def _torch_engines(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given.replace(",", " ").split()))
    if names == ("all",):
        return TORCH_ENGINES
    if unknown := [name for name in names if name not in TORCH_ENGINES]:
        there_are = ", ".join((*TORCH_ENGINES, "all"))
        raise CannotStart(f"ENGINES has no {', '.join(unknown)}; there are {there_are}")
    return names


def _install_torch() -> None:
    """Set up the environment of the engines on PyTorch; a moment where it is set up already."""
    outcome = subprocess.run(["sh", PROJECT / "deploy" / "setup", "torch"], check=False)
    if outcome.returncode:  # it has told why
        raise SystemExit(outcome.returncode)


@click.command(context_settings={"show_default": True})
@click.option(
    "--port", callback=_port, metavar="N", envvar="PORT", default="8000", help="Port of the API and the page."
)
@click.option(
    "--flower-port", callback=_port, metavar="N", envvar="FLOWER_PORT", default="5555", help="Port of Flower."
)
@click.option("--state", type=Folder, envvar="STATE", default="var", help="Folder of all that it keeps.")
@click.option(
    "--engines",
    callback=_torch_engines,
    metavar="NAMES",
    envvar="ENGINES",
    default="",
    help=f"Engines on PyTorch to install first, if they are not, and to run: {', '.join(TORCH_ENGINES)}; or "
    "all. Default: to run those that are installed.",
)
def up(port: int, flower_port: int, state: Path, engines: tuple[str, ...]) -> None:
    """Run the farm here until Ctrl-C.

    Starts the API with its page, the worker pools that can run here, Celery beat, Flower, and a Redis unless
    REDIS_HOST names one. Two farms run side by side on ports and state folders of their own.
    """
    if engines:
        _install_torch()
    given = Settings.load(VOICEFARM_STATE_DIR=str(state))
    wanted = _wanted(given, engines)
    router = Router.from_settings(given)
    read_start_lists(given)
    programs = _programs(router, wanted)
    idle = _idle(router, wanted)
    if not state.exists():  # a start that fails leaves no folder behind
        _check_machine(port, flower_port)
    with open_state_folder(state) as folder:
        _check_machine(port, flower_port)
        folder.remember(port=port)
        redis = None if names_redis(given) else embedded_redis.prepare(folder)
        ours = _settings(folder, given, redis)
        flower_url = f"http://{HOST}:{flower_port}"
        if engines:  # the front must not wait for those that are not to run
            pools, _ = programs
            ours["VOICEFARM_PROVIDERS"] = ",".join(sorted({*pools, *(given.providers or ())}))
        tools = {
            "HOST": HOST,
            "PORT": str(port),
            "FLOWER_PORT": str(flower_port),
            "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{folder.secret('flower.password')}",
            "VOICEFARM_FLOWER_URL": given.flower_url or flower_url,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "PYTHONUNBUFFERED": "1",
        }
        supervisor = Supervisor(PROJECT, os.environ | ours | tools)
        settings = Settings.load(**ours)
        asyncio.run(_run(supervisor, settings, redis, programs, idle, port=port, flower_url=flower_url))


def _wanted(given: Settings, engines: Collection[str]) -> frozenset[str]:
    """Give the providers that are to run if they can; where engines are named, no other one on PyTorch."""
    if given.providers is not None:
        return frozenset(given.providers) | set(engines)
    return frozenset(CATALOG) - (set(TORCH_ENGINES) - set(engines) if engines else set())


def _programs(router: Router, wanted: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give the Procfile's lines: the pools that can run here, and what is no pool."""
    lines: dict[str, str] = parse_procfile((PROJECT / "Procfile").read_text()).processes
    runnable = {name for name in wanted if router.equipment[name].problem is None}
    pools = {name: line for name, line in lines.items() if name in runnable}
    if not pools:
        raise CannotStart("No enabled provider can run here; 'voicefarm doctor' tells why")
    return pools, {name: line for name, line in lines.items() if name not in CATALOG}


def _idle(router: Router, wanted: Collection[str]) -> list[str]:
    """Give a line for each provider that has no pool here: why not, and what helps."""
    lacking = ((name, router.equipment[name]) for name in CATALOG if name in wanted)
    return [
        f"{name} does not run: {found.problem} {found.remedy}" for name, found in lacking if found.problem
    ]


def _check_machine(port: int, flower_port: int) -> None:
    if shutil.which("setpriv") is None:
        raise CannotStart("setpriv is missing; install util-linux")
    if port == flower_port:
        raise CannotStart(f"Port {port} cannot be both PORT and FLOWER_PORT")
    for variable, number, other in (("PORT", port, flower_port), ("FLOWER_PORT", flower_port, port)):
        try:
            try_port(number)
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            remedy = f"make up {variable}={_free_port_near(number, other)}"
            raise CannotStart(f"Port {number} {reason}; choose another: {remedy}") from error


def _free_port_near(number: int, other: int) -> int:
    nearest = max(number, FIRST_PORT)
    candidates = chain(range(nearest, LAST_PORT + 1), range(FIRST_PORT, nearest))
    return next(port for port in candidates if port != other and is_free(port))


def _settings(folder: StateFolder, given: Settings, redis: EmbeddedRedis | None) -> dict[str, str]:
    """Give the settings, by environment name, that come from the state folder."""
    settings = {
        "VOICEFARM_STATE_DIR": str(folder.path),
        "VOICEFARM_ADMIN_KEY": _admin_key(folder, given),
        # The programs run elsewhere than where a relative path was given.
        "VOICEFARM_MODEL_DIR": str(given.model_dir),
    }
    if given.prewarm_at_start:
        lists = (str(find_list(name).absolute()) for name in given.prewarm_at_start)
        settings["VOICEFARM_PREWARM_AT_START"] = ",".join(lists)
    if given.google_credentials:
        settings["GOOGLE_APPLICATION_CREDENTIALS"] = str(given.google_credentials.absolute())
    if redis:
        settings |= {"REDIS_HOST": HOST, "REDIS_PORT": str(redis.port), "REDIS_PASSWORD": redis.password}
    return settings


def _admin_key(folder: StateFolder, given: Settings) -> str:
    """Give the admin's key; the folder holds the one in force, for `voicefarm say` and the curl line."""
    if given.admin_key:
        folder.write_private("admin.key", given.admin_key.get_secret_value() + "\n")
    key = folder.secret("admin.key", prefix="vf_")
    try:
        Settings.load(VOICEFARM_ADMIN_KEY=key)
    except SettingsError as error:
        raise folder.unusable_secret("admin.key") from error
    return key


async def _run(
    supervisor: Supervisor,
    settings: Settings,
    redis: EmbeddedRedis | None,
    programs: tuple[Mapping[str, str], Mapping[str, str]],
    idle: Iterable[str],
    *,
    port: int,
    flower_url: str,
) -> None:
    _end_on_signals(cast("asyncio.Task[None]", asyncio.current_task()), supervisor)
    for line in idle:
        supervisor.say(line)
    url = f"http://{HOST}:{port}"
    pools, others = programs
    with suppress(asyncio.CancelledError):
        async with AsyncExitStack() as farm:
            if redis:
                await farm.enter_async_context(_running_redis(supervisor, redis))
            # Pools need no tables, so they start meanwhile; they end after what gives them work.
            await farm.enter_async_context(supervisor.running(pools))
            await asyncio.to_thread(_migrate, settings)
            await farm.enter_async_context(supervisor.running(others))
            await wait_until_ready(url, supervisor.say)
            code = issue_code(front_client(settings.state_url))
            supervisor.show(greeting(url, flower_url, settings.state_dir, code))
            await interrupted_make()


@asynccontextmanager
async def _running_redis(supervisor: Supervisor, redis: EmbeddedRedis) -> AsyncIterator[None]:
    try:
        async with supervisor.running({"redis": redis.command}, redis.wait_until_ready()):
            yield
    except EndedTooSoon as error:
        raise CannotStart(f"The embedded Redis does not start: it {error.fate}; see {redis.log}") from error


def _migrate(settings: Settings) -> None:
    # Importing SQLAlchemy takes longest of all; whoever cannot start is told so before.
    from shared.cli.migrate import migrate  # noqa: PLC0415

    migrate(settings)


def _end_on_signals(farm: asyncio.Task[None], supervisor: Supervisor) -> None:
    def end() -> None:
        if not farm.cancelling():
            supervisor.say("stopping; Ctrl-C again to hurry")
            farm.cancel()

    def end_or_hurry() -> None:
        if farm.cancelling():
            supervisor.hurry()
        end()

    loop = farm.get_loop()
    loop.add_signal_handler(signal.SIGINT, end_or_hurry)
    loop.add_signal_handler(signal.SIGTERM, end)  # may come twice: to the group, and from make
    loop.add_signal_handler(signal.SIGHUP, end)
