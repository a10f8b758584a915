"""The only reader of the environment: typed, bounded, frozen."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UndecodableSetting

from shared.errors import SettingsError
from shared.google_voices import GoogleVoiceName
from shared.models import LanguageTag, Quality
from shared.styletts2_model import StyleTTS2Parameters
from shared.voices import Gender
from shared.xtts_model import XttsParameters

MODELS = "models"
"""The name of the model folder in the state folder."""

Origin = Annotated[str, StringConstraints(pattern=r"^(?:\*|https?://[A-Za-z0-9.:\[\]-]+)$")]
Port = Annotated[int, Field(ge=1, le=65535)]
_ADMIN_KEY = re.compile(r"[\x21-\x7e]{32,512}")


def _check_admin_key(value: SecretStr) -> SecretStr:
    if not _ADMIN_KEY.fullmatch(value.get_secret_value()):
        raise ValueError("must be 32 or more visible ASCII characters")
    return value


def _check_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("must be visible ASCII characters")
    return value


def _place(location: tuple[int | str, ...]) -> str:
    """Give the variable that a finding of pydantic's is about, and what in its JSON."""
    variable, *inner = map(str, location)
    return ": ".join([variable, *([".".join(inner)] if inner else [])])


class Settings(BaseSettings):
    """Every setting of the farm; a field's alias is the environment variable that sets it."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    state_dir: Path = Field(
        Path("var"),
        alias="VOICEFARM_STATE_DIR",
        description="Folder of everything that `make up` keeps: database, embedded Redis, admin key.",
    )
    redis_host: str = Field("127.0.0.1", alias="REDIS_HOST", description="Redis of the audio cache.")
    redis_port: Port = Field(6379, alias="REDIS_PORT", description="Its port.")
    redis_voice_db: int = Field(2, ge=0, alias="REDIS_VOICE_DB", description="Its database number.")
    redis_password: SecretStr | None = Field(None, alias="REDIS_PASSWORD", description="Its password.")
    broker_url_setting: SecretStr | None = Field(
        None,
        alias="CELERY_BROKER_URL",
        description="Celery's broker. Default: database 0 of the Redis above.",
    )
    state_url_setting: SecretStr | None = Field(
        None,
        alias="VOICEFARM_STATE_URL",
        description="Redis of the ledger; must not evict. Default: database 1 of the Redis above.",
    )
    database_url_setting: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="SQLAlchemy URL. Default: from `DB_*`, else SQLite in the state folder.",
    )
    db_host: str | None = Field(None, alias="DB_HOST", description="PostgreSQL host.")
    db_port: Port = Field(5432, alias="DB_PORT", description="PostgreSQL port.")
    db_name: str = Field("voicefarm", alias="DB_NAME", description="PostgreSQL database.")
    db_user: str = Field("voicefarm", alias="DB_USER", description="PostgreSQL user.")
    db_password: SecretStr | None = Field(None, alias="DB_PASSWORD", description="PostgreSQL password.")
    samples_url_setting: SecretStr | None = Field(
        None,
        alias="VOICEFARM_SAMPLES_URL",
        description="Where voice samples are kept, as an fsspec URL such as `s3://bucket/samples`. Default: "
        "`samples` in the state folder.",
    )
    cache_ttl_days: float = Field(
        7.0,
        gt=0,
        le=3650,
        alias="VOICE_CACHE_TTL_DAYS",
        description="Days that audio stays in the cache.",
    )
    cache_max_size_mb: float = Field(
        10.0,
        gt=0,
        le=512,
        alias="VOICE_CACHE_MAX_SIZE_MB",
        description="Largest audio that is cached; above it the job alone keeps it.",
    )
    admin_key: Annotated[SecretStr, AfterValidator(_check_admin_key)] | None = Field(
        None,
        alias="VOICEFARM_ADMIN_KEY",
        description="The admin's API key, 32 or more visible ASCII characters; a changed value replaces the "
        "old one, and ends the page's sessions. Default: one is made in the state folder.",
    )
    providers: Annotated[tuple[str, ...], NoDecode] | None = Field(
        None,
        alias="VOICEFARM_PROVIDERS",
        description="Enabled providers, separated by commas. Default: those that are installed and have a "
        "voice or credentials.",
    )
    chains: dict[Quality, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        alias="VOICEFARM_CHAINS",
        description='JSON object that replaces chains, such as {"fast": ["espeak"]}.',
    )
    model_dir_setting: Path | None = Field(
        None,
        alias="VOICEFARM_MODEL_DIR",
        description="Folder of voices; Piper's are `piper/NAME.onnx` with `piper/NAME.onnx.json`. Default: "
        "`models` in the state folder.",
    )
    hub_url: str = Field(
        "https://huggingface.co",
        alias="HF_ENDPOINT",
        description="The hub that `voicefarm models pull` fetches from, or a mirror of it.",
    )
    piper_voices: dict[LanguageTag, dict[str, Gender | None]] = Field(
        default_factory=dict,
        alias="VOICEFARM_PIPER_VOICES",
        description="JSON object that replaces Piper's table of voices, such as "
        '{"en-US": {"en_US-amy-medium": "female"}}; the first voice of a language and gender speaks.',
    )
    piper_processes: int | None = Field(
        None,
        ge=1,
        le=256,
        alias="VOICEFARM_PIPER_PROCESSES",
        description="Processes of a Piper pool, each with one inference thread. Default: one a core.",
    )
    piper_resident_voices: int = Field(
        3,
        ge=1,
        alias="VOICEFARM_PIPER_RESIDENT_VOICES",
        description="Voices that each of them keeps in memory (about 300 MB a voice of medium quality).",
    )
    torch_device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$",
        alias="VOICEFARM_TORCH_DEVICE",
        description="What XTTS v2 and StyleTTS2 compute on: cpu, cuda, cuda:1, mps, or auto for the best "
        "that is there.",
    )
    torch_stall_seconds: int = Field(
        60,
        ge=1,
        alias="VOICEFARM_TORCH_STALL_SECONDS",
        description="Such a worker is started anew when its model has made no step for so long.",
    )
    torch_idle_seconds: int = Field(
        0,
        ge=0,
        alias="VOICEFARM_TORCH_IDLE_SECONDS",
        description="A model that nobody has needed for so long leaves the memory until it is needed again; "
        "0: it stays.",
    )
    torch_tasks_per_process: int = Field(
        1000,
        ge=0,
        alias="VOICEFARM_TORCH_TASKS_PER_PROCESS",
        description="After so many syntheses such a worker is started anew, because engines leak memory; 0: "
        "never.",
    )
    torch_resident_voices: int = Field(
        16,
        ge=1,
        alias="VOICEFARM_TORCH_RESIDENT_VOICES",
        description="Voice samples whose conditioning such a worker keeps in memory, each less than 1 MB.",
    )
    xtts: XttsParameters = Field(
        default_factory=XttsParameters,
        alias="VOICEFARM_XTTS",
        description='JSON object of how XTTS v2 speaks, such as {"temperature": 0.65}; what it leaves out '
        "keeps its default. `gpt_cond_len`, `gpt_cond_chunk_len` and `max_ref_length`, in seconds of the "
        "voice sample, are the checkpoint's own where they are not given.",
    )
    styletts2: StyleTTS2Parameters = Field(
        default_factory=StyleTTS2Parameters,
        alias="VOICEFARM_STYLETTS2",
        description='JSON object of how StyleTTS2 speaks, such as {"beta": 0.9}; what it leaves out keeps '
        "its default. `alpha` and `beta` are how much of timbre and prosody comes from the text, not from "
        "the voice sample.",
    )
    google_credentials: Path | None = Field(
        None,
        alias="GOOGLE_APPLICATION_CREDENTIALS",
        description="JSON file of the Google Cloud credentials that Text-to-Speech is paid with.",
    )
    google_voices: dict[LanguageTag, dict[GoogleVoiceName, Gender | None]] = Field(
        default_factory=dict,
        alias="VOICEFARM_GOOGLE_VOICES",
        description="JSON object that replaces Google's table of voices, such as "
        '{"en-US": {"en-US-Neural2-C": "female"}}; the first voice of a language and gender speaks.',
    )
    google_prices: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict,
        alias="VOICEFARM_GOOGLE_PRICES",
        description="JSON object with US dollars per million characters by class of voice, such as "
        '{"Neural2": 16}, where they are not Google\'s list prices.',
    )
    google_concurrency: int = Field(
        8,
        ge=1,
        le=256,
        alias="VOICEFARM_GOOGLE_CONCURRENCY",
        description="Requests that a Google pool has under way at once, each in a thread.",
    )
    google_timeout_seconds: float = Field(
        30.0,
        gt=0,
        le=600,
        alias="VOICEFARM_GOOGLE_TIMEOUT_SECONDS",
        description="How long Google may take for up to 5,000 bytes of text, all tries together.",
    )
    google_transport: str = Field(
        "grpc",
        pattern="^(grpc|rest)$",
        alias="VOICEFARM_GOOGLE_TRANSPORT",
        description="grpc or rest.",
    )
    google_endpoint: str = Field(
        "texttospeech.googleapis.com",
        pattern=r"^(?:http://)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?$",
        alias="VOICEFARM_GOOGLE_ENDPOINT",
        description="Google's host, such as `eu-texttospeech.googleapis.com`. With `http://HOST:PORT` the "
        "farm talks in plain text and without credentials: to a proxy, or an emulator.",
    )
    monthly_budgets_usd: dict[str, Annotated[Decimal, Field(ge=0)]] = Field(
        default_factory=dict,
        alias="VOICEFARM_MONTHLY_BUDGETS_USD",
        description="JSON object of what providers may cost in a month, in US dollars, such as "
        '{"google_tts": 50}; one that has spent it is left alone until the next month, by UTC.',
    )
    max_text_chars: int = Field(
        3000,
        ge=1,
        le=100_000,
        alias="VOICEFARM_MAX_TEXT_CHARS",
        description="Longest text of a request, in characters.",
    )
    max_backlog: int = Field(
        1000,
        ge=1,
        alias="VOICEFARM_MAX_BACKLOG",
        description="Syntheses that may wait for one provider; beyond it requests get 503 queue_full.",
    )
    front_memory_mb: int = Field(
        128,
        ge=0,
        le=65_536,
        alias="VOICEFARM_FRONT_MEMORY_MB",
        description="Audio that a front process keeps in its own memory, beside the cache; 0 for none.",
    )
    rate_limit_per_minute: int = Field(
        600,
        ge=0,
        alias="VOICEFARM_RATE_LIMIT_PER_MINUTE",
        description="New syntheses that one API key may begin in a minute; beyond it requests get 429 "
        "rate_limited. 0: as many as it likes.",
    )
    front_processes: int = Field(
        1,
        ge=1,
        le=256,
        alias="VOICEFARM_FRONT_PROCESSES",
        description="Processes that the front runs; they add up their metrics in the state folder.",
    )
    max_waiters: int = Field(
        32,
        ge=1,
        le=1000,
        alias="VOICEFARM_MAX_WAITERS",
        description="Requests that may wait for audio or follow a job in one front process; beyond it they "
        "get 202 or, for events, 503 at once.",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        alias="VOICEFARM_CORS_ORIGINS",
        description="Origins whose pages may call the API from a browser with a key of theirs, separated by "
        "commas, such as `https://app.example.com`; `*` for all. Default: none but the farm's own.",
    )
    suggestions: bool = Field(
        default=True,
        alias="VOICEFARM_SUGGESTIONS",
        description="Keep the texts that were missed most, for pre-warming to suggest, and those that each "
        "personality is asked for most, to make them anew when its voice changes; false: keep none.",
    )
    prewarm_at_start: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="VOICEFARM_PREWARM_AT_START",
        description="Lists of phrases that are made when the farm starts, separated by commas: names of "
        "those in `deploy/phrases`, such as `greetings-en`, or paths with a slash in them.",
    )
    prewarm_personalities: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="VOICEFARM_PREWARM_PERSONALITIES",
        description="Who speaks them, by name or ID, separated by commas. Default: the default personality.",
    )
    rewarm_seconds: int = Field(
        30,
        ge=1,
        le=3600,
        alias="VOICEFARM_REWARM_SECONDS",
        description="How often Celery beat has the farm look for cached audio that is still asked for while "
        "its time runs out, and for voices that have changed.",
    )
    rewarm_phrases: int = Field(
        100,
        ge=0,
        le=300,
        alias="VOICEFARM_REWARM_PHRASES",
        description="How much of what a personality is asked for most is made anew when its voice has "
        "changed; 0: nothing.",
    )
    job_deadline_seconds: int = Field(
        3600,
        ge=1,
        alias="VOICEFARM_JOB_DEADLINE_SECONDS",
        description="A job that has not ended by then fails with deadline_exceeded.",
    )
    job_ttl_seconds: int = Field(
        3600,
        ge=60,
        alias="VOICEFARM_JOB_TTL_SECONDS",
        description="How long a job and its audio are kept after its end.",
    )
    degraded_ttl_seconds: int = Field(
        300,
        ge=1,
        alias="VOICEFARM_DEGRADED_TTL_SECONDS",
        description="How long audio of a fallback provider gives hits.",
    )
    lease_seconds: float = Field(
        15.0,
        ge=0.5,
        le=600,
        alias="VOICEFARM_LEASE_SECONDS",
        description="A worker that has not renewed its claim for so long has lost it.",
    )
    synthesis_timeout_seconds: int = Field(
        120,
        ge=1,
        alias="VOICEFARM_SYNTHESIS_TIMEOUT_SECONDS",
        description="A synthesis that takes longer is ended, and the next provider speaks.",
    )
    flower_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(?:/[^\s?#]*)?$",
        alias="VOICEFARM_FLOWER_URL",
        description="Where admins find Flower, for the page's link. `make up` sets it to Flower's port.",
    )
    flower_sign_in: SecretStr | None = Field(
        None,
        alias="FLOWER_BASIC_AUTH",
        description="Flower's own `USER:PASSWORD`, for the page to show to admins, too. `make up` makes one.",
    )
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        alias="VOICEFARM_LOG_LEVEL",
        description="debug, info, warning or error.",
    )
    log_format: str = Field(
        "console",
        pattern="^(console|json)$",
        alias="VOICEFARM_LOG_FORMAT",
        description="console or json.",
    )
    url: str = Field(
        "http://127.0.0.1:8000",
        alias="VOICEFARM_URL",
        description="The farm that the `voicefarm` command talks to. Default: the one that was last run "
        "on the state folder, else this.",
    )
    key: Annotated[SecretStr, AfterValidator(_check_key)] | None = Field(
        None,
        alias="VOICEFARM_KEY",
        description="The API key that the `voicefarm` command sends. Default: the state folder's admin key.",
    )

    @field_validator("providers", "cors_origins", "prewarm_at_start", "prewarm_personalities", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; `overrides` (by environment name) win over it.

        Raises:
            SettingsError: naming every variable that cannot be used and why.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            problems = [
                f"{_place(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            ]
            raise SettingsError("; ".join(problems)) from error
        except UndecodableSetting as error:
            # It names the field in its text only.
            field = cls.model_fields[str(error).split('"')[1]]
            raise SettingsError(f"{field.alias}: is not valid JSON") from error

    def _redis_url(self, database: int) -> str:
        password = self.redis_password.get_secret_value() if self.redis_password else ""
        credentials = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{credentials}{self.redis_host}:{self.redis_port}/{database}"

    @cached_property
    def model_dir(self) -> Path:
        """The folder of voices."""
        return (self.model_dir_setting or self.state_dir / MODELS).absolute()

    @cached_property
    def broker_url(self) -> str:
        """Celery's broker."""
        return self.broker_url_setting.get_secret_value() if self.broker_url_setting else self._redis_url(0)

    @cached_property
    def state_url(self) -> str:
        """The Redis of the ledger."""
        return self.state_url_setting.get_secret_value() if self.state_url_setting else self._redis_url(1)

    @cached_property
    def audio_url(self) -> str:
        """The Redis of the audio cache."""
        return self._redis_url(self.redis_voice_db)

    @cached_property
    def state_db_beside_audio(self) -> str | None:
        """The number of the ledger's database, if that is on the server of the audio cache."""
        return _database_beside(self.state_url, self.audio_url)

    @cached_property
    def broker_db_beside_state(self) -> str | None:
        """The number of the broker's database, if that is on the server of the ledger."""
        return _database_beside(self.broker_url, self.state_url)

    @cached_property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        if self.database_url_setting:
            url = self.database_url_setting.get_secret_value()
            return re.sub(r"^postgres(?:ql)?://", "postgresql+psycopg2://", url)
        if self.db_host:
            password = self.db_password.get_secret_value() if self.db_password else ""
            credentials = quote(self.db_user, safe="") + (f":{quote(password, safe='')}" if password else "")
            return f"postgresql+psycopg2://{credentials}@{self.db_host}:{self.db_port}/{self.db_name}"
        return f"sqlite:///{self.state_dir.absolute() / 'voicefarm.sqlite3'}"

    @cached_property
    def samples_url(self) -> str:
        """The fsspec URL of the voice samples."""
        if self.samples_url_setting:
            return self.samples_url_setting.get_secret_value()
        return str(self.state_dir.absolute() / "samples")


def _database_beside(url: str, other_url: str) -> str | None:
    """Give the number of a Redis database, if its URL names the server that the other one names."""
    server, _, database = url.rpartition("/")
    return database if server == other_url.rpartition("/")[0] and database.isdecimal() else None
