"""`voicefarm up`, whole: it speaks, it ends without a trace, and the next one goes on where it stopped."""

import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from shared.cli.embedded_redis import MULTI_PART_AOF
from shared.cli.state_folder import open_state_folder
from shared.cli.up import FIRST_PORT, LAST_PORT, _free_port_near
from tests.checkpoints import place_checkpoint
from tests.farm import until
from tests.google_server import running_google
from tests.servers import clean_environment, free_port, redis_binaries, running_redis
from tests.shared.samples.sounds import encoded, speech
from tests.voices import make_voices

ROOT = Path(__file__).parents[2]
VOICEFARM = [str(Path(sys.executable).with_name("voicefarm")), "up"]
MAKE_UP = ["make", "up", "SETUP=true"]  # the environment that these tests run in is set up
END_WITHIN_S = 15


class Up:
    """A farm that was started the way a user starts it, and what it printed so far."""

    def __init__(self, state, command=None, **environment):
        self.state, self.port, self.flower_port = state, free_port(), free_port()
        self.url, self.flower_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.flower_port}"
        ours = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port), "STATE": str(state)}
        self.printed = ""
        self.process = subprocess.Popen(
            command or VOICEFARM,
            cwd=ROOT,
            env=clean_environment() | ours | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # What a shell runs in the background ignores SIGINT, and these tests may be that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  one thread
        )

    def hear(self, pattern):
        """Give the first line that matches, as soon as it is printed."""
        for line in self.process.stdout:
            self.printed += line
            if found := re.search(pattern, line):
                return found
        raise EOFError(f"it ended without a line like {pattern!r}:\n{self.printed}")

    def wait_until_ready(self):
        self.hear("The farm is ready")
        self.link = self.hear(r"Open +(\S+)")[1]
        self.again = self.hear(r"Again +(.+)")[1]
        self.curl = self.hear(r"Paste +(.+)")[1]
        self.hear("Flower")
        return self

    @property
    def processes(self):
        """All it consists of now."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def program(self, name):
        """Give the process of one line of the Procfile."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if name in child.cmdline())

    @property
    def authorization(self):
        return {"Authorization": f"Bearer {(self.state / 'admin.key').read_text().strip()}"}

    def get(self, path):
        return httpx.get(f"{self.url}{path}", headers=self.authorization, trust_env=False)

    def speak(self, text, **fields):
        return httpx.post(
            f"{self.url}/api/voice/synthesize",
            json={"text": text, **fields},
            headers={**self.authorization, "Prefer": "wait=60"},
            timeout=90,
            trust_env=False,
        )

    def signal(self, signum):
        """Send a signal and show that in time no process of the farm is left; give the exit code."""
        deadline_s = time.monotonic() + END_WITHIN_S
        _, *others = self.processes
        self.process.send_signal(signum)
        exit_code = self.process.wait(END_WITHIN_S)
        _, left = psutil.wait_procs(others, deadline_s - time.monotonic())
        assert left == []
        return exit_code

    def clean_up(self):
        if self.process.poll() is None:
            for process in reversed(self.processes):
                process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    """Start farms, each in a folder of this test; none outlives it."""
    farms = []

    def start_farm(folder="var", **options):
        farms.append(Up(tmp_path / folder, **options))
        return farms[-1]

    yield start_farm
    for farm in farms:
        farm.clean_up()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A farm for the tests that only look at it."""
    farm = Up(tmp_path_factory.mktemp("farm") / "a state")
    yield farm.wait_until_ready()
    farm.clean_up()


def test_it_is_ready_when_it_says_so(running):
    assert httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 200


def test_the_printed_line_speaks_when_it_is_pasted(running, tmp_path):
    subprocess.run(["sh", "-c", running.curl], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "hello.wav").read_bytes().startswith(b"RIFF")


def test_the_printed_url_opens_the_page_once(running):
    with httpx.Client(follow_redirects=True, trust_env=False) as browser:
        assert browser.get(running.link).status_code == 200
        assert browser.cookies
    with httpx.Client(follow_redirects=True, trust_env=False) as another:
        another.get(running.link)
        assert not another.cookies


def test_the_printed_command_makes_another_link(running):
    made = subprocess.run(
        ["sh", "-c", running.again], env=clean_environment(), check=True, capture_output=True, text=True
    )
    assert made.stdout.startswith(f"{running.url}/?code="), made.stderr
    assert made.stdout.strip() != running.link
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(made.stdout.strip()).cookies


def test_commands_find_it_by_its_state_folder(running):
    say = [VOICEFARM[0], "say", "Found by its folder.", "-o", "-"]
    env = clean_environment() | {"VOICEFARM_STATE_DIR": str(running.state)}
    assert subprocess.run(say, env=env, check=True, capture_output=True).stdout.startswith(b"RIFF")


def test_flower_asks_for_the_password_in_the_state_folder(running):
    password = (running.state / "flower.password").read_text().strip()
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.get(running.flower_url).status_code == 401
        assert client.get(running.flower_url, auth=("admin", "guess")).status_code == 401
        assert client.get(running.flower_url, auth=("admin", password)).status_code == 200


def test_admins_are_led_to_flower_which_tells_who_speaks_for_which_job_and_not_what(running):
    flower = running.get("/api/voice/flower").json()
    assert flower["url"] == running.flower_url
    running.speak("Xylophone in the fog.")
    [job] = running.get("/api/voice/jobs?limit=1").json()["items"]
    sign_in = (flower["user"], flower["password"])
    with httpx.Client(base_url=flower["url"], auth=sign_in, trust_env=False, timeout=30) as client:

        def task():
            tasks = client.get("/api/tasks").json().values()
            return next((task for task in tasks if job["id"] in task["kwargs"]), None)

        until(task, "Flower knows the task")
        assert task()["name"] == "voicefarm.synthesize[espeak]"
        key = job["audio"]["url"].rpartition("/")[2]
        assert task()["args"] == f"('espeak', '{key[:12]}')"
        page = client.get("/tasks").text + client.get(f"/task/{task()['uuid']}").text
        assert "voicefarm.synthesize[espeak]" in page
        assert "Xylophone" not in page


def test_the_clock_runs_with_its_file_in_the_state_folder(running):
    until(lambda: list(running.state.glob("beat-schedule*")), "it has one")
    assert running.program("beat").is_running()


def test_no_secret_is_printed_or_stands_on_a_command_line(running):
    names = ("admin.key", "flower.password", "redis.password")
    secrets = [(running.state / name).read_text().strip() for name in names]
    command_lines = ""
    for process in running.processes:
        with suppress(psutil.NoSuchProcess):  # a copy in which espeak spoke
            command_lines += " ".join(process.cmdline())
    for secret in secrets:
        assert secret not in running.printed
        assert secret not in command_lines


def test_a_provider_that_lacks_something_is_told_in_one_line_with_the_remedy(running):
    [line] = [line for line in running.printed.splitlines() if "piper" in line]
    assert re.search("piper does not run: There is no voice in piper of .* Run .* NAME.onnx.json", line)


def test_piper_runs_where_it_finds_a_voice_before_the_first_start(start, tmp_path):
    make_voices(tmp_path / "var" / "models")
    farm = start(VOICEFARM_PIPER_PROCESSES="1").wait_until_ready()
    assert "piper does not run" not in farm.printed
    until(lambda: farm.speak("Hello.", provider="piper").status_code == 200, "Piper speaks")
    assert farm.signal(signal.SIGINT) == 0


def test_google_runs_where_it_can_be_asked(start):
    with running_google() as google:
        farm = start(
            VOICEFARM_GOOGLE_ENDPOINT=google.endpoint("rest"), VOICEFARM_GOOGLE_TRANSPORT="rest"
        ).wait_until_ready()
        assert "google_tts does not run" not in farm.printed
        until(lambda: farm.speak("Hello.", provider="google_tts").status_code == 200, "Google speaks")
        assert farm.signal(signal.SIGINT) == 0


@pytest.mark.timeout(300)
def test_the_engines_that_are_named_speak_with_a_sample_from_what_was_pulled(start, tmp_path):
    engines, state, weights = ("xtts_v2", "styletts2"), tmp_path / "var", tmp_path / "weights"
    for name in engines:
        place_checkpoint(name, weights / name)
    pull = [VOICEFARM[0], "models", "pull", *engines, "--accept-licence", "--from", str(weights)]
    env = clean_environment() | {"VOICEFARM_STATE_DIR": str(state)}
    subprocess.run(pull, cwd=ROOT, env=env, check=True, capture_output=True)
    farm = start(ENGINES="all", OMP_NUM_THREADS="1").wait_until_ready()
    assert not re.search("(xtts_v2|styletts2) does not run", farm.printed)
    sample = {"files": {"audio": ("sample.wav", encoded(speech()))}, "data": {"consent": "true"}}
    url = f"{farm.url}/api/voice/personalities/00000000-0000-0000-0001-000000000001/voice"
    httpx.put(url, headers=farm.authorization, trust_env=False, **sample).raise_for_status()
    text = "We speak with the voice of a sample, and it is the same one every time."
    for name in engines:
        until(lambda name=name: farm.speak(text, provider=name).status_code == 200, f"{name} speaks", 100)
    assert farm.signal(signal.SIGINT) == 0


def test_a_second_farm_is_refused_the_same_state(running):
    second = subprocess.run(
        [*VOICEFARM, "--state", str(running.state)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert re.fullmatch(r"Error: Another farm runs on .*STATE=….?\n", second.stderr)


def test_another_farm_runs_beside_it(running, start):
    beside = start().wait_until_ready()
    for farm in (running, beside):
        assert farm.speak("To each its own.").headers["X-Cache-Status"] == "MISS"
    assert beside.signal(signal.SIGTERM) == 0
    assert running.speak("To each its own.").headers["X-Cache-Status"] == "HIT"


def test_a_pool_that_is_killed_comes_back_and_says_so(running):
    running.program("espeak").kill()
    running.hear("espeak was killed by SIGKILL; starting it again in 1 s")
    assert running.speak("I am back.").status_code == 200


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"PORT": "80000"}, "PORT must be a number from 1 to 65535, is '80000'"),
        ({"FLOWER_PORT": "abc"}, "FLOWER_PORT must be a number from 1 to 65535, is 'abc'"),
        ({"STATE": str(ROOT / "Makefile")}, r".*/Makefile is not a folder; .*: make up STATE=…"),
        ({"STATE": str(ROOT / "Makefile" / "var")}, r".*/Makefile/var: Not a directory; .*: make up STATE=…"),
        ({"ENGINES": "xtts, espeak"}, "ENGINES has no xtts, espeak; there are xtts_v2, styletts2, all"),
        ({"VOICEFARM_CHAINS": "{"}, "VOICEFARM_CHAINS: is not valid JSON"),
        ({"VOICEFARM_PROVIDERS": "foo"}, "VOICEFARM_PROVIDERS: .* foo; .* espeak.*"),
        (
            {"VOICEFARM_PREWARM_AT_START": "hi"},
            "VOICEFARM_PREWARM_AT_START: there is no list hi; there are .*",
        ),
        ({"VOICEFARM_PROVIDERS": ","}, "No enabled provider can run here; 'voicefarm doctor' tells why"),
    ],
)
def test_what_it_cannot_start_with_is_one_line(start, environment, told):
    farm = start(**environment)
    assert farm.process.wait(END_WITHIN_S) == 1
    assert re.fullmatch(f"Error: {told}\n", farm.process.stdout.read())
    assert not farm.state.exists()


def test_make_hands_on_an_empty_port(start):
    farm = start(command=[*MAKE_UP, "PORT="])
    farm.hear("^Error: PORT must be a number from 1 to 65535, is ''$")


def test_an_admin_key_of_the_folder_that_is_too_short_is_named_with_the_remedy(start, tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        file = folder.write_private("admin.key", "short\n")
    farm = start()
    farm.hear(f"^Error: {file} holds no usable secret; delete it, and a new one is made$")
    assert farm.process.wait(END_WITHIN_S) == 1


def test_a_redis_that_cannot_load_its_data_ends_the_farm_at_once(start, tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        manifests = folder.path / "redis" / MULTI_PART_AOF[0]
        manifests.mkdir(parents=True)
        (manifests / "appendonly.aof.manifest").write_text("no manifest\n")
    farm = start()
    farm.hear(
        r"^Error: The embedded Redis does not start: it ended with exit code 1; see .*/redis/redis\.log$"
    )
    assert farm.process.wait(END_WITHIN_S) == 1
    assert "again" not in farm.printed


def test_the_port_that_is_suggested_is_not_the_other_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = _free_port_near(port, other=port)
        assert _free_port_near(port, other=first) not in {port, first}
        assert FIRST_PORT <= _free_port_near(LAST_PORT, other=LAST_PORT) < LAST_PORT


@pytest.mark.parametrize("variable", ["PORT", "FLOWER_PORT"])
def test_a_port_that_is_taken_stops_it_before_anything_starts(running, start, variable):
    farm = start(**{variable: str(running.port)})
    farm.hear(rf"^Error: Port {running.port} is taken; choose another: make up {variable}=\d+$")
    assert farm.process.wait(END_WITHIN_S) == 1
    assert farm.printed.count("\n") == 1
    assert not farm.state.exists()


def test_a_farm_goes_on_where_the_last_one_stopped_or_was_killed(start):
    first = start().wait_until_ready()
    assert first.speak("Keep this.").headers["X-Cache-Status"] == "MISS"
    assert first.signal(signal.SIGINT) == 0

    second = start().wait_until_ready()
    assert second.speak("Keep this.").headers["X-Cache-Status"] == "HIT"
    second.signal(signal.SIGKILL)

    third = start().wait_until_ready()
    assert third.speak("Keep this.").headers["X-Cache-Status"] == "HIT"


def test_a_farm_that_is_still_starting_ends_as_cleanly(start):
    farm = start()
    farm.hear(r"\|")
    assert farm.signal(signal.SIGINT) == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_farm_ends_with_the_make_that_started_it(start, signum):
    farm = start(command=MAKE_UP)
    farm.hear(r"\|")
    farm.signal(signum)


def test_a_farm_ends_when_the_make_that_started_it_is_interrupted_alone(start):
    start(command=MAKE_UP).wait_until_ready().signal(signal.SIGINT)


def test_a_redis_of_the_environment_is_used_instead_of_an_own(start, tmp_path):
    with running_redis(redis_binaries()["7"], tmp_path / "redis") as redis:
        farm = start(REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis.port)).wait_until_ready()
        farm.speak("Stored elsewhere.")
        assert redis.client(2).keys("voice:audio:*")
        assert not (farm.state / "redis").exists()
        farm.signal(signal.SIGINT)
