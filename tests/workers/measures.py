"""How good speech measures, beside the limits of `workers.quality` and `workers.durations`.

`python -m tests.workers.measures [MODELS]` speaks some 4,000 texts with espeak-ng and with Piper's voices in
a model folder, else the tests' own, in five minutes or so. It prints the extremes of each measure, and
whatever was refused.
"""

from __future__ import annotations

import random
import sys
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from shared.catalog import CATALOG
from shared.errors import NothingToSay, ProviderError
from shared.settings import Settings
from tests.voices import make_voices
from tests.workers.autonyms import AUTONYMS
from tests.workers.passages import ODD_TEXTS, PASSAGES
from tests.workers.utterances import utterance
from workers.audio import join
from workers.durations import has_drawn_out_sound, plausible_duration
from workers.provider import load_provider
from workers.quality import judge, measure, steadiness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.catalog import ProviderSpec
    from shared.models import Utterance
    from workers.provider import AudioChunk

SPEEDS = (0.25, 0.5, 0.8, 1.0, 1.0, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
PITCHES = (0.0, 0.0, 0.0, -20.0, -10.0, -3.0, 3.0, 10.0, 20.0)
_WORST = 4


def passage(language: str) -> str:
    """Give a text in a language of espeak-ng's: the passage if there is one, else its name for itself."""
    return PASSAGES.get(language) or PASSAGES.get(language.partition("-")[0]) or AUTONYMS[language]


def long_texts(language: str) -> Iterator[Utterance]:
    """Give a text of 3,000 characters, at some speeds."""
    text = (f"{passage(language)} " * 100)[:3000].strip()
    for speed in (0.5, 1.0, 2.0):
        yield utterance(text, language=language, speed=speed)


def texts(language: str) -> Iterator[Utterance]:
    """Give much to say in a language, the same each time."""
    draw = random.Random(language)  # noqa: S311  no secret
    own = passage(language)
    said = [own, own[: len(own) // 2], own.split()[0], AUTONYMS.get(language, own), "Hi", "5", "1234567"]
    foreign = draw.sample(sorted(PASSAGES.values()), 5)
    odd = draw.sample([text for text in ODD_TEXTS if len(text) <= 200], 10)
    # On a long text, no margin hides what each character takes.
    again = [" ".join([text] * max(1, 200 // len(text))) for text in (own, AUTONYMS.get(language, own))]
    for text in [*said, *said, *foreign, *odd, *again]:
        yield utterance(text, language=language, speed=draw.choice(SPEEDS), pitch=draw.choice(PITCHES))


def figures(sound: AudioChunk, said: Utterance) -> Mapping[str, float]:
    """Measure a sound so that more is worse."""
    measures, plausible = measure(sound), plausible_duration(said)
    slow = min(said.speed, 1.0)
    change, flatness = steadiness(measures, 2 / slow)
    if has_drawn_out_sound(said.text):  # of which none is asked
        change, flatness = inf, 0.0
    return {
        "share at the peak": measures.share_at_peak,
        "flat for, ms": measures.longest_flat_ms,
        "silent for, s at speed 1": measures.longest_silence_s * slow,
        "level of the end, dB, up to speed 1.1": measures.end_db if said.speed <= 1.1 else -99.0,
        "length, times the most": measures.duration_s / plausible.most_s,
        "least, times the length": plausible.least_s / max(measures.sounding_s, 0.001),
        "steady level, change of the spectrum, negative": -change,
        "steady level, flatness of the spectrum": flatness,
    }


def report(spec: ProviderSpec, settings: Settings) -> Iterator[str]:
    """Speak, measure, and give the lines to print."""
    provider = load_provider(spec, settings)
    provider.load()
    languages = spec.equipment(settings).languages
    said = [each for language in sorted(languages) for each in texts(language)]
    said += [each for language in languages & {"ar", "de", "en-US", "zh"} for each in long_texts(language)]
    found: dict[str, list[tuple[float, str]]] = {}
    refused = []
    for each in said:
        what = f"{each.language} {each.speed:g} {each.pitch:+g} {each.text[:24]!r}"
        try:
            sound = join(provider.synthesize(each))
            for name, value in figures(sound, each).items():
                found[name] = sorted([*found.get(name, []), (value, what)])[-_WORST:]
            judge(sound, each)
        except NothingToSay:
            continue
        except ProviderError as error:
            refused.append(f"    {what}: {error.code}: {error.detail}")
    yield f"{spec.title}: {len(said)} texts"
    for name, worst in found.items():
        yield f"  {name}"
        yield from (f"    {value:8.3f}  {what}" for value, what in reversed(worst))
    yield f"  refused: {len(refused)}"
    yield from refused


def main() -> None:
    """Print the reports of espeak-ng and Piper."""
    with TemporaryDirectory() as folder:
        models = sys.argv[1] if len(sys.argv) > 1 else str(make_voices(Path(folder)))
        settings = Settings.load(VOICEFARM_MODEL_DIR=models)
        for name in ("espeak", "piper"):
            sys.stdout.writelines(f"{line}\n" for line in report(CATALOG[name], settings))


if __name__ == "__main__":
    main()
