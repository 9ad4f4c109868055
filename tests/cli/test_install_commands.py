"""`plugmux install`, `uninstall` and `sandbox`, and commands that plugins bring."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

import plugmux
from plugmux.cli.install import distribution_of

COMMAND = """
import click

@click.group()
def moon():
    "Moons."

@moon.command()
@click.argument("url")
def inspect(url):
    "Look at one."
    click.echo(f"looked at {url}")
"""


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("hf-inference", "plugmux-hf-inference"),
        ("hf_inference", "plugmux-hf-inference"),
        ("plugmux-hf-inference", "plugmux-hf-inference"),
        ("plugmux", "plugmux"),
        ("plugmux[cli]", "plugmux[cli]"),
        ("hf-chat==0.1.0", "plugmux-hf-chat==0.1.0"),
        ("hf-chat[login]", "plugmux-hf-chat[login]"),
        ("./folder", "./folder"),
        (".", "."),
        ("wheels/acme-1-py3-none-any.whl", "wheels/acme-1-py3-none-any.whl"),
        ("acme-1-py3-none-any.whl", "acme-1-py3-none-any.whl"),
        ("acme @ https://example.org/acme.zip", "acme @ https://example.org/acme.zip"),
        ("plugmuxed", "plugmux-plugmuxed"),
    ],
)
def test_a_short_name_becomes_its_distribution(name, distribution) -> None:
    assert distribution_of(name) == distribution


@pytest.fixture
def own_python(tmp_path: Path) -> str:
    """An interpreter whose packages may be changed: it sees those of this one, and has its own pip."""
    folder = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.check_output(ask, text=True).strip())
    seen = [path for path in sys.path if path.endswith("-packages")]
    seen.append(str(Path(plugmux.__file__).parents[1]))
    (packages / "seen.pth").write_text("\n".join(seen) + "\n")
    here = subprocess.check_output(
        [sys.executable, "-c", "import plugmux; print(plugmux.__path__[0])"], text=True
    )
    with (packages / "seen.pth").open("a") as file:
        file.write(f"\n{Path(here.strip()).parent}\n")
    return str(python)


PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "plugmux-tiny"
version = "1.0"
"""
WHEEL = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "plugmux_tiny-1.0-py3-none-any.whl"
    info = "plugmux_tiny-1.0.dist-info"
    files = {
        "plugmux_tiny.py": "raise RuntimeError('broken at import')",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: plugmux-tiny\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[plugmux]\\ntiny = plugmux_tiny\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return name
"""


@pytest.mark.parametrize("key", ["n\r", "\x03", "\x04"])
def test_nothing_is_uninstalled_unless_it_is_confirmed(screen, key) -> None:
    asked = screen("uninstall", "tiny")
    asked.until("Uninstall plugmux-tiny? [y/N]: ")
    asked.type(key)
    assert asked.end() == 130
    assert "$ " not in asked.shown


def test_a_broken_plugin_can_be_installed_named_and_uninstalled(own_python, environment, tmp_path) -> None:
    if "pip" not in {path.name for path in _packages()}:
        pytest.skip("no pip beside plugmux")
    project = tmp_path / "tiny"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "backend.py").write_text(WHEEL)
    variables = environment | {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [own_python, "-m", "plugmux.cli", *words]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=variables, cwd=tmp_path
        )

    installed = run("install", "./tiny")
    assert installed.returncode == 0, installed.stderr
    assert installed.stdout == ""
    checked = run("providers", "--check")
    assert "broken at import" in checked.stderr
    refused = run("uninstall", "tiny")
    assert (refused.returncode, refused.stderr) == (
        2,
        "plugmux: -y: needed where there is no terminal to ask on\n",
    )
    removed = run("uninstall", "tiny", "-y")
    assert removed.returncode == 0, removed.stderr
    assert "tiny" not in run("providers").stdout


def _packages() -> list[Path]:
    return [child for path in sys.path if path.endswith("-packages") for child in Path(path).iterdir()]


def test_a_new_plugin_is_a_folder_and_the_next_step(run, work: Path) -> None:
    done = run("new-plugin", "moon")
    assert (done.returncode, done.stdout) == (0, "plugmux-moon\n")
    assert (work / "plugmux-moon" / "pyproject.toml").is_file()
    assert "next: cd plugmux-moon" in done.stderr


@pytest.mark.parametrize("name", ["Moon!", "../moon", "moon"])
def test_a_new_plugin_with_a_bad_or_a_taken_name_is_refused(run, work: Path, name) -> None:
    (work / "plugmux-moon").mkdir()
    done = run("new-plugin", name)
    assert done.returncode == 2
    assert list((work / "plugmux-moon").iterdir()) == []


def test_what_cannot_be_installed_ends_with_pips_words_and_exit_code_1(run) -> None:
    if find_spec("pip") is None:
        pytest.skip("no pip beside plugmux")
    done = run("install", "./there-is-no-such-folder")
    assert done.returncode == 1
    assert "there-is-no-such-folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_may_bring_a_command(install, run) -> None:
    install("moons", COMMAND, "[plugmux.commands]\nmoon = moons:moon\n")
    assert run("moon", "inspect", "http://x").stdout == "looked at http://x\n"
    assert "moon        From moons." in run("--help").stdout


def test_what_a_command_prints_at_import_is_no_part_of_its_output(install, run) -> None:
    install("moons", f"print('buy moons')\n{COMMAND}", "[plugmux.commands]\nmoon = moons:moon\n")
    done = run("moon", "inspect", "x")
    assert (done.stdout, done.stderr) == ("looked at x\n", "buy moons\n")


def test_a_broken_command_is_named_and_the_others_go_on(acme, install, run) -> None:
    install("sad", "raise SystemExit('no luck')", "[plugmux.commands]\nmoon = sad:moon\n")
    done = run("moon", "inspect", "x")
    assert done.returncode == 4
    assert "plugin 'sad': its command 'moon' cannot be imported: SystemExit: no luck" in done.stderr
    assert "plugmux uninstall sad" in done.stderr
    assert run("--help").returncode == 0
    assert run("complete", "plain", "Hi").stdout == "Hello world\n"


def test_a_command_of_two_plugins_is_neithers(install, run) -> None:
    install("one", COMMAND, "[plugmux.commands]\nmoon = one:moon\n")
    install("two", COMMAND, "[plugmux.commands]\nmoon = two:moon\n")
    done = run("moon", "inspect", "x")
    assert done.returncode == 4
    assert "one and two both bring it" in done.stderr


def test_a_command_that_is_none_is_named(install, run) -> None:
    install("odd", "moon = 5", "[plugmux.commands]\nmoon = odd:moon\n")
    done = run("moon")
    assert done.returncode == 4
    assert "odd:moon is not a click command" in done.stderr


def test_a_plugins_command_cannot_take_the_place_of_an_own_one(acme, install, run) -> None:
    install("sly", COMMAND, "[plugmux.commands]\ncomplete = sly:moon\n")
    assert run("complete", "plain", "Hi").stdout == "Hello world\n"
    assert run("--help").stdout.count("complete") == 1


def test_an_unknown_command_says_the_nearest(run) -> None:
    done = run("complet", "x")
    assert done.returncode == 2
    assert "did you mean 'complete'?" in done.stderr


def test_help_and_version_need_no_plugin(install, run) -> None:
    install("dead", "import os; os._exit(7)", "[plugmux]\ndead = dead\n")
    assert "Exit codes" in run("--help").stdout
    assert run("--version").stdout.startswith("plugmux")


def test_the_sandbox_prints_what_to_export_and_ends_on_ctrl_c(environment) -> None:
    pytest.importorskip("uvicorn")
    process = subprocess.Popen(
        [sys.executable, "-m", "plugmux.cli", "sandbox", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "plugmux sandbox on http" in line)
        url = told.split(" on ")[1].split(": ")[0]
        with urllib.request.urlopen(url) as answer:
            assert answer.headers["x-plugmux-sandbox"] == "1"
        process.send_signal(signal.SIGINT)
        exports, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert all(line.startswith("export ") for line in exports.splitlines())


def test_the_sandbox_without_its_extra_says_what_to_install(environment) -> None:
    code = (
        "import sys, importlib.util as u\n"
        "from plugmux.cli.app import app\n"
        "import plugmux.cli.sandbox as s\n"
        "s.find_spec = lambda name: None\n"
        "app(['sandbox'])"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "pip install 'plugmux[sandbox]'" in done.stderr
