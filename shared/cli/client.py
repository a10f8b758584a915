"""A running farm, as the commands talk to it: over its HTTP API, with a key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import httpx

from shared.errors import FieldError, SettingsError, Unauthorized, VoicefarmError
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WAIT_S = 110
_MAX_PAUSE_S = 5.0
_NOT_WITH_THIS_KEY = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}


class FarmRefused(VoicefarmError):
    """The farm did not do as it was asked."""

    code = "farm_refused"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        self.errors = tuple(errors)
        """What the farm said of single fields of the request."""
        super().__init__(detail)


class FarmClient:
    """Speaks to the farm at VOICEFARM_URL with VOICEFARM_KEY, or the admin's key of the state folder."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url.rstrip("/")
        self._key_source, key = _key(settings)
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(10, read=WAIT_S + 20),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request.

        Raises:
            FarmRefused: there is no farm, or it answered with a problem, whose detail the message has.
        """
        try:
            answer = self._http.request(method, path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise no_farm_at(self.url) from error
        except httpx.HTTPError as error:
            reason = str(error) or "the connection broke off"
            raise FarmRefused(f"No answer from {self.url}: {reason}") from error
        except UnicodeEncodeError as error:
            raise FarmRefused(f"{error.object!r} is not valid UTF-8") from error
        if answer.status_code in _NOT_WITH_THIS_KEY:
            why = _detail(answer).replace(Unauthorized().detail, "It has no such API key.")
            raise FarmRefused(
                f"The farm at {self.url} refuses the key from {self._key_source}: {why} Set VOICEFARM_KEY to "
                "another key of that farm, VOICEFARM_STATE_DIR to its state folder, or VOICEFARM_URL to "
                "another farm."
            )
        if answer.is_error:
            raise FarmRefused(_detail(answer), _errors(answer))
        return answer

    def speak(self, body: dict[str, Any]) -> httpx.Response:
        """Ask for speech and wait until it is there.

        Raises:
            FarmRefused: it cannot be had; the message says why.
        """
        answer = self.request(
            "POST", "/api/voice/synthesize", json=body, headers={"Prefer": f"wait={WAIT_S}"}
        )
        if answer.status_code == httpx.codes.ACCEPTED:
            cache_status = answer.headers["X-Cache-Status"]
            answer = self.request("GET", self._await(answer.headers["Location"]))
            answer.headers["X-Cache-Status"] = cache_status
        return answer

    def _await(self, job_url: str) -> str:
        """Give the address of a job's audio, once there is some."""
        pause_s = 0.5
        while True:
            job = self.request("GET", job_url).json()
            if job["status"] not in {"queued", "running"}:
                break
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _MAX_PAUSE_S)
        if job["status"] != "succeeded":
            raise FarmRefused(job["error"]["detail"] if job["error"] else f"The job was {job['status']}.")
        return str(job["audio"]["url"])

    def personality_id(self, name_or_id: str) -> str:
        """Give the ID of the personality that is called so, in whatever case; its ID is a name, too.

        Raises:
            FarmRefused: there is none, or more than one; the message names those to choose from.
        """
        everyone = list(self.items("/api/voice/personalities"))
        wanted = name_or_id.casefold()
        by_rank = (
            [one for one in everyone if name_or_id == one["name"]],
            [one for one in everyone if wanted in {one["id"], one["name"].casefold()}],
            [one for one in everyone if wanted == one["personality_name"].casefold()],
        )
        found = next(filter(None, by_rank), [])
        if len(found) == 1:
            return str(found[0]["id"])
        names = ", ".join(sorted(one["name"] for one in found or everyone))
        if found:
            raise FarmRefused(f"More than one personality is called {name_or_id!r}; choose from {names}.")
        raise FarmRefused(f"There is no personality {name_or_id!r}; there are {names}.")

    def items(self, path: str) -> Iterator[dict[str, Any]]:
        """Give everything that a list of the API holds, page by page.

        Raises:
            FarmRefused: as `request`.
        """
        for page in self.pages(path):
            yield from page["items"]

    def pages(self, path: str, **asked: str) -> Iterator[dict[str, Any]]:
        """Give the pages of a list of the API, at least one.

        Raises:
            FarmRefused: as `request`.
        """
        cursor: str | None = ""
        while cursor is not None:
            page = self.request("GET", path, params={"limit": 200, "cursor": cursor, **asked}).json()
            yield page
            cursor = page["next_cursor"]


def farm_answers(url: str) -> bool:
    """Tell whether a farm listens at this address, able to speak or not."""
    try:
        return httpx.get(f"{url.rstrip('/')}/healthz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def no_farm_at(url: str) -> FarmRefused:
    """Make the error for an address at which nobody listens."""
    return FarmRefused(f"No farm answers at {url}; start one with 'make up', or set VOICEFARM_URL")


def _key(settings: Settings) -> tuple[str, str]:
    """Give where the key comes from, and the key."""
    if settings.key:
        return "VOICEFARM_KEY", settings.key.get_secret_value()
    file = settings.state_dir / "admin.key"
    try:
        key = file.read_text("ascii").strip()
        Settings.load(VOICEFARM_KEY=key)
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        raise FarmRefused(
            f"There is no key in {file}; set VOICEFARM_KEY, or VOICEFARM_STATE_DIR to the farm's state folder"
        ) from error
    return str(file), key


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answered {answer.status_code}; is this a voicefarm?"
    attempts = problem.get("attempts", [])
    return " ".join([detail, *(f"{tried['provider']}: {tried['detail']}" for tried in attempts)])


def _errors(answer: httpx.Response) -> list[FieldError]:
    try:
        return [FieldError(each["field"], each["message"]) for each in answer.json()["errors"]]
    except (ValueError, KeyError, TypeError):
        return []
