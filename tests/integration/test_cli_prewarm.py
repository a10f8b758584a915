"""`voicefarm prewarm`, as somebody at a terminal uses it beside a running farm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_contract import fresh, speak
from tests.servers import clean_environment

VOICEFARM = Path(sys.executable).with_name("voicefarm")


@pytest.fixture
def prewarm(farm, tmp_path):
    """Run the command in an empty folder against the farm, with these phrases on standard input."""

    def run(*arguments, phrases=""):
        env = {"VOICEFARM_URL": farm.url, "VOICEFARM_KEY": farm.admin_key}
        return subprocess.run(
            [VOICEFARM, "prewarm", *arguments],
            cwd=tmp_path, env=clean_environment() | env, input=phrases,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_every_line_is_made_once_and_is_a_hit_then(prewarm, http, tmp_path):
    first, second = fresh("First"), fresh("Second")
    (tmp_path / "phrases.txt").write_text(f"{first}\n\n  {second}  \n{first}\n")
    done = prewarm("phrases.txt", "--quality", "fast", "--format", "mp3", "--format", "wav")
    assert done.returncode == 0, done.stderr
    assert "4 of 4 are there, 0 of them were before; 0 failed" in done.stdout
    for text in (first, second):
        assert speak(http, text, quality="fast", format="mp3").headers["X-Cache-Status"] == "HIT"
    again = prewarm("phrases.txt", "--quality", "fast", "--format", "mp3")
    assert "2 of 2 are there, 2 of them were before" in again.stdout


def test_phrases_come_from_standard_input_and_personalities_by_name(prewarm, http):
    text = fresh()
    done = prewarm("-", "--quality", "fast", "--personality", "shante", "--language", "en", phrases=text)
    assert "1 of 1 are there" in done.stdout, done.stderr
    personalities = http.get("/api/voice/personalities").json()["items"]
    [shante] = [one["id"] for one in personalities if one["name"] == "shante"]
    hit = speak(http, text, quality="fast", personality_id=shante, language="en")
    assert hit.headers["X-Cache-Status"] == "HIT"


def test_a_file_may_have_comments_and_tell_its_language(prewarm, http):
    text = fresh("Hallo")
    done = prewarm("-", "--quality", "fast", phrases=f"# language: de\n# Gruß\n{text}\n")
    assert "1 of 1 are there" in done.stdout, done.stderr
    assert speak(http, text, quality="fast", language="de").headers["X-Cache-Status"] == "HIT"


def test_a_dry_run_tells_what_it_would_take(prewarm):
    told = prewarm("-", "--quality", "fast", "--dry-run", phrases=f"{fresh()}\n{fresh()}")
    assert told.returncode == 0
    assert "2 in all, 0 cached already; to make 2 takes about" in told.stdout
    assert "$0.0000" in told.stdout


def test_what_failed_is_told_and_ends_with_one(prewarm, http):
    voiceless = {"name": "voiceless", "voice_config": {"voices": {"espeak": "nobody"}}}
    made = http.post("/api/voice/personalities", json=voiceless)
    short, long = fresh(), "As long as a page. " * 50
    phrases = f"# language: en\n\n{short}\n{short}\n{long}"
    ended = prewarm("-", "--quality", "fast", "--personality", "VOICELESS", phrases=phrases)
    http.delete(made.headers["Location"])
    assert ended.returncode == 1
    assert f"failed: line 3, '{short}' (fast, wav, VOICELESS): synthesis_failed" in ended.stderr
    assert f"failed: line 5, '{long[:59]}…' (fast, wav, VOICELESS): synthesis_failed" in ended.stderr
    assert "0 of 2 are there" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "phrases", "told"),
    [
        (("-",), "\n \n", "There is no phrase in standard input"),
        (("nothing.txt",), "", "nothing.txt"),
        (("-", "--personality", "nobody"), "Hi", "There is no personality 'nobody'"),
        (("-",), "# A comment\n\nHi\n?!", "Error: line 4 of standard input: must hold"),
        (("-",), "Hi\nHi\n<speak>Hi</speak>", "Error: line 3 of standard input: The text holds SSML"),
        (("-", "--language", "xx"), "Hi", "'xx'"),
        (("-", "--quality", "best"), "Hi", "best"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(prewarm, arguments, phrases, told):
    refused = prewarm(*arguments, phrases=phrases)
    assert refused.returncode != 0
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
