"""What can be run: `nox` checks everything, `nox -s demo` shows it, `nox -l` lists the rest.

Works with uv where it is on the path, and with pip alone. Every session takes the members as built wheels,
so that what is tested is what would be published.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nox
import nox.command
import nox.virtualenv

ROOT = Path(__file__).parent
MEMBERS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
PYTHONS = ["3.11", "3.12", "3.13"]
TEST_TOOLS = ["pytest", "hypothesis", "trio"]
GRADIO = ["gradio==6.31.0", "gradio_client==2.7.2"]
GRADIO5 = ["gradio==5.50.0"]
GRADIO4 = ["gradio==4.44.1", "--exclude-newer", "2024-10-01"]  # with newer dependencies it does not start
HUB = ["huggingface_hub==2.4.0"]
OPENAI = ["openai==3.54.0"]
ANY_LLM = ["any-llm-sdk==1.40.2"]
LITELLM = ["litellm==1.106.2"]
AIOHTTP = ["aiohttp==3.14.5"]
BENCH = {"openai": OPENAI, "hub": HUB, "any_llm": ANY_LLM, "litellm": LITELLM, "aiohttp": AIOHTTP}
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
SERVING = ["torch==2.13.0", "transformers[serving]==5.23.0"]
TESTS = ["tests", "--ignore=tests/packaging", "--durations=10"]
NEAR_SOCKETS = ["core", "client", "failover", "hostile", "secrets", "hf_inference"]

os.environ.setdefault("UV_SYSTEM_CERTS", "1")
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")
nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests", "packages"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and which module may import which."""
    session.install("-c", "constraints.txt", "ruff", "import-linter")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = os.pathsep.join(str(member / "src") for member in MEMBERS)
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": sources})


@nox.session
def typing(session: nox.Session) -> None:
    """mypy --strict on every member, and on the public API as an installed package shows it."""
    _install_members(session, "mypy", "httptools", *TEST_TOOLS)
    session.run("mypy")
    session.run("mypy", "--strict", "--config-file=", "tests/typing/public_api.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The whole suite, and what is near to sockets on the fast transport too.

    `nox -s tests-3.11 -- tests/core -k sentence` runs a part.
    """
    _install_members(session, *TEST_TOOLS)
    session.run("pytest", *(session.posargs or TESTS), env=_test_environment(session))
    if not session.posargs:
        _test_fast_transport(session, Path("constraints.txt"))


@nox.session
def tests_fast(session: nox.Session) -> None:
    """The whole suite on the fast transport, wherever that can be used."""
    _install_members(session, *TEST_TOOLS, "httptools")
    session.run("pytest", *(session.posargs or TESTS), env=_test_environment(session))


@nox.session
def packages(session: nox.Session) -> None:
    """Each plugin alone with core, from wheels, in an environment with nothing else in it."""
    session.install("-c", "constraints.txt", "pytest", "anyio", "attrs")
    env = {"PLUGMUX_TEST_WHEELS": str(_wheels(session)), "PLUGMUX_TEST_UV": _uv(session)}
    session.run("pytest", "tests/packaging", *session.posargs, env=env)


@nox.session
def minimums(session: nox.Session) -> None:
    """The whole suite on the lowest version of each dependency that a member declares."""
    pins = Path(session.create_tmp()).resolve() / "minimums.txt"
    pins.write_text("\n".join(_lowest_versions()) + "\n")
    _install_members(session, *TEST_TOOLS, constraints=pins)
    session.run("pytest", *(session.posargs or TESTS), env=_test_environment(session))
    if not session.posargs:
        _test_fast_transport(session, pins)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job, against the built-in sandbox: no account, no network."""
    _install_members(session)
    session.run("python", "tests/demo/show.py")


@nox.session
def bench(session: nox.Session) -> None:
    """What plugmux costs beside plain loops and its peers; `nox -s bench -- burst --json FILE`: a part."""
    _install_members(session)
    env = _bench_environment(session)
    Path("build").mkdir(exist_ok=True)
    session.run("python", "tests/bench", *(session.posargs or ["--json", "build/bench.json"]), env=env)


@nox.session
def failover(session: nox.Session) -> None:
    """The sixteen faults of the public failover benchmark, on the real clock, side by side."""
    _install_members(session, *TEST_TOOLS)
    session.run("python", "tests/failover", *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """The command line against real servers that none of us wrote. Large downloads."""
    _install_members(session, *TEST_TOOLS)
    uv = _uv(session) or str(_side_environment(session, "uv", "uv").with_name("uv"))
    env = {
        **_test_environment(session),
        "PLUGMUX_TEST_SERVING_PYTHON": str(_side_environment(session, "serving", *SERVING, uv="")),
        "PLUGMUX_TEST_GRADIO5_PYTHON": str(_side_environment(session, "gradio5", *GRADIO5)),
        "PLUGMUX_TEST_GRADIO4_PYTHON": str(_side_environment(session, "gradio4", *GRADIO4, uv=uv)),
    }
    session.run("pytest", "-m", "real", "-rA", *(session.posargs or ["tests"]), env=env)


# What sessions share


def _install_members(session: nox.Session, *tools: str, constraints: Path | None = None) -> None:
    """Every member from its wheel with its dependencies, and `tools` beside them."""
    wheels = _wheels(session)
    members = [_requirement(member, wheels) for member in MEMBERS]
    session.install("-c", str(constraints or "constraints.txt"), *members, *tools)


def _test_fast_transport(session: nox.Session, constraints: Path) -> None:
    session.install("-c", str(constraints), "httptools")
    session.run("pytest", *(f"tests/{folder}" for folder in NEAR_SOCKETS), "-k", "asyncio or fast")


def _requirement(member: Path, wheels: Path, *, extras: list[str] | None = None) -> str:
    """`plugmux[cli] @ file:///…/plugmux-0.1.0-py3-none-any.whl`, the spelling that pip and uv share.

    `extras` are all that bring something new, unless they are given.
    """
    project = _project(member)
    name = project["name"]
    wheel = wheels / f"{name.replace('-', '_')}-{project['version']}-py3-none-any.whl"
    wanted = ",".join(_extras(project) if extras is None else extras)
    return f"{name}[{wanted}] @ {wheel.as_uri()}" if wanted else f"{name} @ {wheel.as_uri()}"


def _extras(project: dict) -> list[str]:
    """The extras that bring something new: not those that name our members, and not another transport."""
    extras = project.get("optional-dependencies", {})
    ours = {name for name, lines in extras.items() if any(line.startswith("plugmux") for line in lines)}
    return sorted(extras.keys() - ours - {"fast"})


@functools.cache
def _project(member: Path) -> dict:
    return tomllib.loads((member / "pyproject.toml").read_text())["project"]


_built: list[Path] = []


def _wheels(session: nox.Session) -> Path:
    """The folder of all members' wheels, built once a run."""
    if not _built:
        folder = Path(session.cache_dir).resolve() / "wheels"
        shutil.rmtree(folder, ignore_errors=True)
        python = _side_environment(session, "build", "-c", "constraints.txt", "hatchling")
        for member in MEMBERS:
            with session.chdir(member):
                session.run(
                    *(str(python), "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)),
                    external=True,
                    silent=True,
                )
        _built.append(folder)
    return _built[0]


def _side_environment(
    session: nox.Session, name: str, *requirements: str, uv: str | None = None, fresh: bool = False
) -> Path:
    """The interpreter of an environment beside the session's own, kept until its requirements change.

    `uv` is the one to install with, "" is pip: the two choose different builds of torch. `fresh` keeps none.
    """
    folder = Path(session.cache_dir).resolve() / f"env-{name}"
    python = folder / "bin" / "python"
    stamp = folder / "plugmux-stamp"
    wanted = hashlib.sha256(repr((sys.version, requirements)).encode()).hexdigest()
    if not fresh and stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    if uv := _uv(session) if uv is None else uv:
        session.run(uv, "venv", "--quiet", "--python", sys.executable, str(folder), external=True)
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    else:
        session.run(sys.executable, "-m", "virtualenv", "--quiet", str(folder), external=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
    session.run(*install, *requirements, external=True)
    stamp.write_text(wanted)
    return python


def _uv(session: nox.Session) -> str:
    """The uv that nox itself found, on the path or as a package beside it; an empty text without one."""
    return nox.virtualenv.UV if session.venv_backend == "uv" else ""


def _test_environment(session: nox.Session) -> dict[str, str]:
    """What tests of some members want to find; each skips, and says so, where it is not given."""
    found = {
        "PLUGMUX_TEST_GRADIO_PYTHON": str(_side_environment(session, "gradio", *GRADIO)),
        "PLUGMUX_TEST_HUB_PYTHON": str(_side_environment(session, "hub", *HUB)),
        "PLUGMUX_TEST_CHROMIUM": next(filter(None, map(shutil.which, BROWSERS)), ""),
    }
    return {name: value for name, value in found.items() if value and name not in os.environ}


def _bench_environment(session: nox.Session) -> dict[str, str]:
    """Who takes part in the bench beside the session's own environment. A peer that cannot be installed is
    left out there."""
    wheels = _wheels(session)
    core, plugin = ROOT / "core", ROOT / "plugins/hf_inference"
    inference = _requirement(plugin, wheels, extras=[])
    lean = [_requirement(core, wheels, extras=[]), inference]
    fast = [_requirement(core, wheels, extras=["fast"]), inference]
    cli = [_requirement(core, wheels, extras=["cli"]), inference]
    found = {
        "PLUGMUX_BENCH_LEAN": str(_side_environment(session, "lean", *lean, fresh=True)),
        "PLUGMUX_BENCH_FAST": str(_side_environment(session, "fast", *fast, fresh=True)),
        "PLUGMUX_BENCH_CLI": str(_side_environment(session, "cli", *cli, fresh=True)),
    }
    for name, peer in BENCH.items():
        try:
            found[f"PLUGMUX_BENCH_{name.upper()}"] = str(_side_environment(session, name, *peer))
        except nox.command.CommandFailed:
            session.warn(f"{peer[0]} cannot be installed: it is left out")
    return found


def _lowest_versions() -> list[str]:
    """`name==floor` for every dependency of every member, where the highest floor counts."""
    floors: dict[str, str] = {}
    for member in MEMBERS:
        project = _project(member)
        extras = project.get("optional-dependencies", {})
        for line in [
            *project.get("dependencies", []),
            *(line for lines in extras.values() for line in lines),
        ]:
            found = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*>=\s*([0-9.]+)", line)
            if found and not found[1].startswith("plugmux"):
                name, floor = found[1].lower(), found[2]
                floors[name] = max(floors.get(name, "0"), floor, key=_release)
    return [f"{name}=={floor}" for name, floor in sorted(floors.items())]


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
