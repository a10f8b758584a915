"""`voicefarm models`: the checkpoints and voices in the model folder, and those that can be had."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.tables import echo_table, size
from shared.settings import Settings
from shared.weights.catalog import CHECKPOINTS, HUB, PIPER, find_model
from shared.weights.folder import FolderSource
from shared.weights.installation import Completeness, Installation, installations
from shared.weights.pull import accept
from shared.weights.pull import pull as pull_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shared.weights.catalog import Model, ModelFile
    from shared.weights.sources import Offer, Source


@click.group()
def models() -> None:
    """List, pull and verify what the engines speak with: XTTS v2, StyleTTS2, and Piper's voices.

    They are kept in VOICEFARM_MODEL_DIR; by default that is 'models' in VOICEFARM_STATE_DIR.
    """


@models.command("list")
def list_command() -> None:
    """List the models, those that are installed and those that can be pulled.

    Piper has more voices than the farm knows by name: each that is published can be pulled, too.
    """
    folder = Settings.load().model_dir
    echo_table(("NAME", "STATE", "SIZE", "SOURCE", "LICENCE"), [_row(one) for one in installations(folder)])
    click.echo(f"They are kept in {folder}. Piper's other voices: {HUB}/rhasspy/piper-voices", err=True)


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--accept-licence", is_flag=True, help="You agree to the licences that ask for it; it is recorded."
)
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Copy them from this folder, which holds the files as their repository or a model folder does; "
    "needs no network.",
)
def pull(names: tuple[str, ...], *, accept_licence: bool, folder: Path | None) -> None:
    """Fetch models by NAME, such as xtts_v2, styletts2 or en_US-amy-medium, and verify them.

    They come from the hub that HF_ENDPOINT names, by default https://huggingface.co. What broke off goes on
    where it stopped when it is pulled again.
    """
    settings = Settings.load()
    wanted = [Installation(_model(name), settings.model_dir) for name in dict.fromkeys(names)]
    for installation in wanted:
        _check_licence(installation, is_accepted=accept_licence)
    source = partial(_open_folder, folder) if folder else partial(_open_hub, settings.hub_url)
    changed = [installation.model for installation in wanted if _bring(installation, source)]
    if changed:
        click.echo(f"Start the farm, anew if it runs already: {_start(changed)}")


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.pass_context
def verify(context: click.Context, names: tuple[str, ...]) -> None:
    """Read all files of the models by NAME, or of all that are here, and compare them with what was pulled.

    Ends with exit code 1 if anything is missing or damaged.
    """
    folder = Settings.load().model_dir
    here = {
        one.model.name: one for one in installations(folder) if one.completeness is not Completeness.ABSENT
    }
    looked_at = [
        here.get(name) or Installation(_model(name), folder) for name in dict.fromkeys(names or here)
    ]
    if not looked_at:
        click.echo(f"There is no model in {folder}; 'voicefarm models list' shows what can be pulled.")
    broken = [problem for installation in looked_at for problem in _verify(installation)]
    context.exit(1 if broken else 0)


def _model(name: str) -> Model:
    found = find_model(name)
    if found is None:
        named = ", ".join(model.name for model in CHECKPOINTS)
        raise click.ClickException(
            f"There is no model {name!r}; there are {named}, and Piper's voices, which are named like "
            "en_US-amy-medium. 'voicefarm models list' shows them."
        )
    return found


def _row(installation: Installation) -> tuple[str, ...]:
    model, completeness = installation.model, installation.completeness
    published = model.repository or ""
    if completeness is Completeness.ABSENT:
        about = f"about {size(model.size_bytes)}" if model.size_bytes else ""
        return model.name, completeness, about, published, _licence(model)
    state = str(completeness)
    if completeness is Completeness.INCOMPLETE:
        state += f": no whole {', '.join(file.name for file in installation.lacking)}"
    source = installation.manifest.source if installation.manifest else "put there by hand"
    return model.name, state, size(installation.size_bytes), source, _licence(model)


def _licence(model: Model) -> str:
    if model.licence is None:
        return "unknown"
    return f"{model.licence.name}{' (must be accepted)' if model.licence.must_be_accepted else ''}"


def _check_licence(installation: Installation, *, is_accepted: bool) -> None:
    """Let nothing be fetched whose licence nobody has agreed to."""
    licence = installation.model.licence
    if licence is None or not licence.must_be_accepted or installation.has_accepted(licence):
        return
    if not is_accepted:
        raise click.ClickException(
            f"{installation.model.name} is under the {licence.name}: {licence.url}\n{licence.terms}\n"
            "If you agree to it, add --accept-licence."
        )
    accept(installation, licence)


def _bring(installation: Installation, source: Callable[[Model], Source]) -> bool:
    """Pull one model and say what came of it; tells whether anything was fetched."""
    model = installation.model
    fetched = pull_model(installation, partial(source, installation.pinned), _tell)
    if not fetched:
        click.echo(f"{model.name} is complete and undamaged in {installation.folder}; nothing was fetched.")
        return False
    click.echo(
        f"{model.name} is complete in {installation.folder}, {size(installation.size_bytes)}, checksums "
        "verified."
    )
    if model.licence and not model.licence.must_be_accepted:
        click.echo(f"Its licence: {model.licence.name}, {model.licence.url} {model.licence.terms}".rstrip())
    return True


def _open_folder(folder: Path, model: Model) -> Source:
    return FolderSource(folder, model)


def _open_hub(hub_url: str, model: Model) -> Source:
    from shared.weights.hub import HubSource  # noqa: PLC0415  it takes more than a second to import

    return HubSource(model, hub_url)


def _tell(offer: Offer) -> None:
    about = f" ({size(offer.size_bytes)})" if offer.size_bytes is not None else ""
    click.echo(f"Fetching {offer.file.kept}{about}")


def _start(changed: Sequence[Model]) -> str:
    engines = " ".join(dict.fromkeys(model.provider for model in changed if model.provider != PIPER))
    return f'make up ENGINES="{engines}"' if engines else "make up"


def _verify(installation: Installation) -> Iterator[str]:
    """Look at one model and say what there is to say of it; gives what is missing or damaged."""
    model = installation.model
    if installation.completeness is Completeness.ABSENT:
        problems = [f"{model.name} is not installed."]
    else:
        problems = list(filter(None, (_problem(installation, file) for file in model.files)))
    for problem in problems:
        click.echo(f"{click.style('broken', fg='red')}  {problem} {model.remedy}")
    if not problems and installation.manifest:
        click.echo(f"{click.style('ok', fg='green')}      {model.name}")
    elif not problems:
        unknown = "was put there by hand: there is no checksum to compare it with."
        click.echo(f"{click.style('unknown', fg='yellow')} {model.name} {unknown}")
    yield from problems


def _problem(installation: Installation, file: ModelFile) -> str | None:
    """Tell what is wrong with a file, as far as can be known."""
    path = installation.path(file)
    if file not in installation.there:
        return f"{path} is missing."
    if installation.manifest is None:
        return None
    try:
        return None if installation.is_intact(file) else f"{path} is damaged."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
