"""Who asks: an API key in the header, or the dashboard's session cookie."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec
from urllib.parse import urlsplit

from flask import g, request

from shared import sessions
from shared.errors import Forbidden, Unauthorized
from shared.keys import ADMIN_ID, ApiKey
from shared.scopes import Scope
from web.context import EPOCH, farm
from web.queries import check_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

P = ParamSpec("P")

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# The dashboard belongs to whoever started the farm.
_DASHBOARD = ApiKey(ADMIN_ID, "dashboard", Scope.ADMIN)


def requires(
    scope: Scope, *, to_be_spoken: bool = False
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Guard a view: sets `g.caller` and `g.epoch`; for what may have `to_be_spoken`, `g.roll_call`, too.

    Raises:
        Unauthorized: no valid key or session.
        Forbidden: its scope is too small, or another site's page sent the dashboard's cookie.
        InvalidRequest: who may ask does so with a parameter that the view does not know.
    """

    def guard(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if to_be_spoken:
                g.epoch, g.roll_call = farm().look_around()
            else:
                g.epoch = farm().directory.read_epoch()
            request.environ[EPOCH] = g.epoch
            g.caller = _caller(g.epoch)
            if not g.caller.scope.allows(scope):
                raise Forbidden(f"This needs a key of scope {scope}; yours is {g.caller.scope}.")
            check_query()
            return view(*args, **kwargs)

        return guarded

    return guard


def _caller(epoch: bytes) -> ApiKey:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            raise Unauthorized
        return farm().directory.authenticate(epoch, secret.strip())
    token = request.cookies.get(cookie_name())
    if token is None or not sessions.is_open(farm().state, token):
        raise Unauthorized
    if request.method not in _SAFE_METHODS and not _is_same_origin():
        raise Forbidden("Another site's page sent this request.")
    return _DASHBOARD


def cookie_name() -> str:
    """Name the session cookie by the port: browsers share cookies between the ports of one host."""
    return f"voicefarm_{urlsplit(request.host_url).port or request.scheme}"


def _is_same_origin() -> bool:
    """Tell whether the page that sent this is ours; what says neither way comes from no browser.

    `SameSite` does not tell it: another port of this host is the same site, and so gets the cookie sent.
    """
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return False
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
