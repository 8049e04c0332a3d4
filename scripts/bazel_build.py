"""Shared parts of the scripts that run Bazel in the builder container; they import it from beside them.

Mounts: /workspace (toolchains/bazel), /sources/<name>, /request/request.json, /out (empty) and /cache, which
is kept between builds: Bazel's output base in it makes the next build incremental, whichever script runs it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

SOURCES = Path("/sources")
CACHE = Path("/cache")
OUT = Path("/out")
TOOLCHAIN = Path("/opt/coralforge/toolchain.json")
SYSROOTS = Path("/opt/sysroots")
BIN = CACHE / "sdk-bin"
SPLIT = Path(__file__).with_name("split-debug")

# Targets whose file is not named as they are.
FILES = {
    "@flatbuffers//:archive": "@flatbuffers//src:libflatbuffers.a",
    "//:flatc": "//host:flatc",
    # Bazel adds "lib" and ".so" to the name of a shared library that has no ".so".
    "@simulator//:libedgetpu_simulated": "@simulator//:liblibedgetpu_simulated.so",
}

# What went wrong, in the words of compiler, linker or Bazel, without the lines that only say that it did.
REASON = re.compile(
    r"(?:^|: )(?:fatal )?error: |^ERROR: (?!Build did NOT complete|.*(?:during the fetch|evaluating module))"
)


def fail(message: str, code: int = 1) -> NoReturn:
    print(f"{Path(sys.argv[0]).name}: {message}", flush=True)
    sys.exit(code)


def bazel_command(request: dict[str, Any], *words: str) -> list[str]:
    command = ["bazel", f"--output_user_root={CACHE}/bazel"]
    if request.get("memory_mb"):
        # Of a container's memory, a quarter for Bazel itself; compilers get the rest (see --local_resources).
        command.append(f"--host_jvm_args=-Xmx{max(512, request['memory_mb'] // 4)}m")
    return [*command, *words]


def build_options(request: dict[str, Any]) -> list[str]:
    jobs = request.get("jobs") or os.cpu_count() or 1
    toolchain = json.loads(TOOLCHAIN.read_text())
    platforms = request["platforms"]
    sysroots = toolchain["sysroots"]
    digests = {
        name: {key: sysroots[one["triple"]][key] for key in ("digest", "headers")} for name, one in platforms.items()
    }
    known = {
        "sources": request["sources"],
        "release": request["release"],
        "tensorflow_commit": request["tensorflow_commit"],
        "platforms": {name: one | digests[name] for name, one in platforms.items()},
        "clang": toolchain["clang"],
    }
    options = [
        f"--platforms=//:{request['arch']}",
        # abseil, ruy, cpuinfo and libedgetpu select() on this one still.
        f"--cpu={platforms[request['arch']]['cpu']}",
        f"--repo_env=CORALFORGE_REQUEST={json.dumps(known, sort_keys=True)}",
        f"--embed_label=TENSORFLOW_COMMIT={request['tensorflow_commit']}",
        f"--symlink_prefix={CACHE}/sdk-",  # the workspace is read-only
        f"--jobs={jobs}",
        "--curses=no",
        "--color=no",
        "--show_progress_rate_limit=1",
    ]
    if not request.get("remote_executor"):
        options.append(f"--local_resources=cpu={jobs}")
    if request.get("memory_mb"):
        options.append(f"--local_resources=memory={max(512, request['memory_mb'] * 3 // 4)}")
    for name in ("remote_cache", "remote_executor"):
        if request.get(name):
            options.append(f"--{name}={request[name]}")
    return options


def explained(reason: str, request: dict[str, Any]) -> str:
    """A linker's complaint about a symbol that is above the floor, with the version that it has."""
    found = re.search(r"undefined symbol: (.+)$", reason)
    if not found:
        return reason
    triple = request["platforms"][request["arch"]]["triple"]
    version = json.loads((SYSROOTS / triple / "floor.json").read_text())["gone"].get(found[1].strip())
    return f"{reason} (it is {version}, above the floor of {request['arch']})" if version else reason


def run_bazel(request: dict[str, Any], targets: list[str]) -> None:
    command = bazel_command(request, "build", *build_options(request), "--", *targets)
    reasons: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            reasons += [line.strip()] if REASON.search(line) else []
    subprocess.run(bazel_command(request, "shutdown"), capture_output=True, check=False)
    if process.returncode:
        # A compiler's own line says more than Bazel's about it, which comes first.
        reasons.sort(key=lambda line: line.startswith("ERROR: "))
        fail(
            f"bazel stopped with exit code {process.returncode}: "
            f"{explained(reasons[0], request) if reasons else 'see above'}",
            abs(process.returncode),
        )


def built_file(target: str) -> Path:
    repository, _, label = FILES.get(target, target).partition("//")
    package, _, name = label.partition(":")
    folder = f"external/_main~sources~{repository.removeprefix('@')}" if repository else ""
    path = BIN / folder / package / name
    return path if path.is_file() else fail(f"bazel succeeded, but {target} is not at {path}")


def install(source: Path, name: str, mode: int = 0o644) -> Path:
    target = OUT / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
    return target


def strip(target: Path) -> None:
    """Take out what only a debugger reads, and of a shared library keep it below debug/.

    An archive needs its symbols to be linked, and has no debug symbols: it becomes a part of others' programs.
    """
    if target.suffix == ".a":
        subprocess.run(["llvm-strip", "--strip-debug", "--enable-deterministic-archives", str(target)], check=True)
    else:
        subprocess.run(["sh", str(SPLIT), str(OUT / "debug"), str(target)], check=True)


def run(main: Callable[[dict[str, Any]], None]) -> None:
    """Prepare the environment for Bazel, and call ``main`` with the request."""
    try:
        home = CACHE / "home"
        home.mkdir(parents=True, exist_ok=True)
        # Bazel asks for both, and the user id need not have a name in /etc/passwd.
        os.environ.update(HOME=str(home), USER="coralforge")
        os.chdir("/workspace")
        os.umask(0o022)
        main(json.loads(Path("/request/request.json").read_text()))
    except (OSError, subprocess.CalledProcessError, KeyError, ValueError) as error:
        fail(f"{type(error).__name__}: {error}")
