"""`voicefarm link`: another way into the dashboard, beside the one that `voicefarm up` prints."""

from __future__ import annotations

import click

from shared.cli.client import FarmRefused, farm_answers, no_farm_at
from shared.cli.state_folder import farm_settings, names_redis
from shared.connections import front_client
from shared.errors import StateUnavailable
from shared.sessions import issue_code


@click.command()
def link() -> None:
    """Print a new link that opens the dashboard, signed in, once.

    It is good for a day; whoever opens it stays signed in for 30 days, as the farm's admin. Run it where the
    farm runs: it is found by VOICEFARM_STATE_DIR, or by VOICEFARM_URL and REDIS_HOST.
    """
    settings = farm_settings()
    folder = settings.state_dir.absolute()
    if not names_redis(settings) and settings.state_url_setting is None:
        raise FarmRefused(
            f"No farm has run on {folder}; start one with 'make up', or set VOICEFARM_STATE_DIR to the state "
            "folder of one"
        )
    url = settings.url.rstrip("/")
    if not farm_answers(url):
        raise no_farm_at(url)
    try:
        code = issue_code(front_client(settings.state_url))
    except StateUnavailable as error:
        raise FarmRefused(
            f"The farm at {url} answers, but the Redis that {folder} or REDIS_HOST names does not; set "
            "VOICEFARM_STATE_DIR to the farm's state folder, or REDIS_HOST and REDIS_PORT to its Redis"
        ) from error
    click.echo(f"{url}/?code={code}")
