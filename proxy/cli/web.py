"""``kmux web``: the address of the status page and of the HTTP API."""

from __future__ import annotations

import json
import time
import webbrowser

import click

from proxy.daemon import client, web_place
from proxy.daemon.web_place import WebPlace
from proxy.errors import ConfigError
from proxy.settings import load

WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.02


@click.command("web")
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--read-only", is_flag=True, help="An address by which one may look, and not touch.")
@click.option("--json", "as_json", is_flag=True, help="For programs: url, token, page.")
def command(opens: bool, read_only: bool, as_json: bool) -> None:
    """Print where the daemon serves HTTP: a status page, and Jupyter's API.

    The address has the token in it, so keep it to yourself.

    \b
    Example:
      kmux web --open
      curl "$(kmux web --json | jq -r .url)api/kernels?token=..."
    """
    place = _served()
    page = place.read_only_page if read_only else place.page
    if as_json:
        token = place.read_only_token if read_only else place.token
        click.echo(json.dumps({"url": place.url, "token": token, "page": page}))
    else:
        click.echo(page)
    if opens and not webbrowser.open(page):
        raise ConfigError("there is no browser to open it in; copy the address")


def _served() -> WebPlace:
    """Return where it is. A daemon that has just begun needs a moment for it."""
    daemon = client.running()
    if not load().web:
        raise ConfigError("the daemon serves no HTTP; set web = true, and restart it")
    deadline = time.monotonic() + WAIT_SECONDS
    while not (status := daemon.status()).url:
        if status.problem or time.monotonic() > deadline:
            raise ConfigError(status.problem or "the daemon serves no HTTP yet; see its log")
        time.sleep(LOOK_SECONDS)
    return web_place.read()
