"""The image with Google's compiler, made from a signed archive. Google's may be out of reach, so the archive here is
a double: its package has a STAND-IN that hands out one file. What the recipe checks, it checks for real.
"""

from __future__ import annotations

import http.server
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coralforge.compile.container import ContainerProgram
from coralforge.compile.edgetpu import Compilation, compile_for_edgetpu
from coralforge.compile.image import ARCHIVE
from coralforge.compile.local import Stop
from coralforge.compile.options import CompilerOptions
from coralforge.containers.base import BASE
from coralforge.containers.docker import DockerRunner
from coralforge.containers.image import edgetpu_compiler
from coralforge.containers.image_maker import ImageMaker
from coralforge.containers.spec import ContainerSpec, Mount
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Recorder
from coralforge.settings import Cache
from coralforge.tflite.model import read_model
from tests.conftest import ROOT
from tests.integration.conftest import Checkout
from tests.support.patience import NET

pytestmark = pytest.mark.docker
RECIPE = ROOT / "docker/edgetpu-compiler.Dockerfile"
NOWHERE = "http://127.0.0.1:9/apt"
LSTM = "keras_lstm_mnist_ptq"
SIGNER = "coralforge-test-signer"

STANDIN = r"""#!/bin/bash
# STAND-IN for Google's edgetpu_compiler: it hands out one file that the real one made.
echo 'Edge TPU Compiler version 16.0.384591198'
[ "$1" != --help ] || exit 0
[ "$(id -u)" != 0 ] && ! touch /usr/x in/x 2>/dev/null && [ "$(ls /sys/class/net)" = lo ] || exit 9
[[ "$*" != *hang* ]] || { sleep 6000 & wait; }
[[ "$*" != *flood* ]] || while :; do echo 'Started a compilation timeout timer of 180 seconds.'; done
cp /usr/share/standin.tflite out/LSTM_edgetpu.tflite
echo 'Model compiled successfully in 5 ms.'
echo 'Input model: in/LSTM.tflite'
echo 'Output model: out/LSTM_edgetpu.tflite'
echo 'Compilation succeeded! '
""".replace("LSTM", LSTM)

# Two keys, of which "good" is to be pinned, and three archives: one in order, one signed by the wrong key, one whose
# index was changed after it was signed.
MAKE = r"""
set -euo pipefail
export GNUPGHOME=/tmp/gnupg; mkdir -m 700 $GNUPGHOME; cd /out
for name in good other; do
  gpg --batch --quiet --passphrase '' --quick-gen-key "$name <$name@example.invalid>" rsa3072 sign never
  gpg --list-keys --with-colons "$name@" | awk -F: '/^fpr/ { print $10; exit }' > "$name.fpr"
done
mkdir -p /tmp/deb/DEBIAN /tmp/deb/usr/bin /tmp/deb/usr/share
install -m 755 /in/standin /tmp/deb/usr/bin/edgetpu_compiler
cp /in/standin.tflite /tmp/deb/usr/share/
printf '%s\n' 'Package: edgetpu-compiler' 'Version: 16.0' 'Architecture: amd64' 'Maintainer: a test' \
  'Description: a stand-in' > /tmp/deb/DEBIAN/control
for archive in fine forged changed; do
  index=$archive/dists/coral-edgetpu-stable/main/binary-amd64
  mkdir -p $index $archive/pool $archive/doc
  gpg --armor --export > $archive/doc/apt-key.gpg
  deb=$archive/pool/edgetpu-compiler_16.0_amd64.deb
  dpkg-deb --root-owner-group --build /tmp/deb $deb > /dev/null
  { cat /tmp/deb/DEBIAN/control; printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "${deb#*/}" "$(stat -c %s $deb)" \
    "$(sha256sum $deb | cut -d' ' -f1)"; } > $index/Packages
  (cd $archive/dists/coral-edgetpu-stable
   { printf 'Suite: coral-edgetpu-stable\nComponents: main\nArchitectures: amd64\nDate: %s\nSHA256:\n' "$(date -uR)"
     printf ' %s %s main/binary-amd64/Packages\n' "$(sha256sum main/binary-amd64/Packages | cut -d' ' -f1)" \
       "$(stat -c %s main/binary-amd64/Packages)"; } > Release
   key=good; [ $archive != forged ] || key=other
   gpg --batch --quiet --local-user "$key@" --clearsign --output InRelease Release)
done
sed -i 's/a stand-in/a stand-on/' changed/dists/coral-edgetpu-stable/main/binary-amd64/Packages
"""


@dataclass(frozen=True)
class Archives:
    """Where the archives are served, and the pinned key."""

    url: str
    fingerprint: str

    def arguments(self, name: str, **changes: str) -> dict[str, str]:
        return {"ARCHIVE": f"{self.url}/{name}", "FINGERPRINT": self.fingerprint} | changes


@pytest.fixture(scope="module")
def unreachable(runner: DockerRunner, tmp_path_factory: pytest.TempPathFactory) -> CoralforgeError:
    """What happens where no archive answers. It leaves the base image, which others need."""
    with pytest.raises(CoralforgeError) as caught:
        make(runner, {"ARCHIVE": NOWHERE}, tmp_path_factory.mktemp("image"))
    return caught.value


def make(runner: DockerRunner, arguments: dict[str, str], tmp: Path) -> str:
    image = edgetpu_compiler(RECIPE.parent, arguments)
    return ImageMaker(runner.client, RECIPE.parent, Cache(tmp), Recorder()).ensure(image)


@pytest.fixture(scope="module")
def archives(
    unreachable: CoralforgeError, runner: DockerRunner, testdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archives]:
    folder, given = tmp_path_factory.mktemp("archives"), tmp_path_factory.mktemp("given")
    (given / "standin").write_text(STANDIN)
    (given / "standin.tflite").write_bytes((testdata / f"{LSTM}_edgetpu.tflite").read_bytes())
    for path in (folder, given):
        path.chmod(0o777)
    text = RECIPE.read_text()
    first = text.index("RUN apt-get")  # its tools are all that is needed to make an archive, too
    recipe = text[: text.index("\n\n", first)] + "\n"
    runner.client.images.build(
        fileobj=io.BytesIO(recipe.encode()), tag=SIGNER, buildargs={"BASE": BASE}, rm=True, forcerm=True
    )
    said: list[str] = []
    mounts = (Mount(given, "/in"), Mount(folder, "/out", writable=True))
    finished = runner.run(ContainerSpec("test", SIGNER, ("bash", "-c", MAKE), mounts), said.append)
    assert finished.status == 0, said
    handler = type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(
        (gateway(runner), 0), lambda *args: handler(*args, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Archives(
            f"http://{server.server_address[0]!s}:{server.server_port}", (folder / "good.fpr").read_text().strip()
        )
        server.shutdown()
    runner.client.images.remove(SIGNER, force=True)


def gateway(runner: DockerRunner) -> str:
    """This machine's address, as containers with a network see it."""
    said: list[str] = []
    script = "while read -r _ to via _; do [ $to = 00000000 ] && echo $via; done < /proc/net/route"
    runner.run(ContainerSpec("test", BASE, ("sh", "-c", script), network=True), said.append)
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(said[0])))


@pytest.fixture(scope="module")
def program(
    archives: Archives, runner: DockerRunner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainerProgram]:
    """The image as it is made from an archive that is in order."""
    tag = make(runner, archives.arguments("fine"), tmp_path_factory.mktemp("image"))
    yield ContainerProgram(runner, tag)
    runner.client.images.remove(tag, force=True)


def test_the_compiler_of_the_image_compiles(program: ContainerProgram, testdata: Path, tmp_path: Path) -> None:
    wanted = Compilation((read_model(testdata / f"{LSTM}.tflite"),), CompilerOptions(), 14)
    [compiled] = compile_for_edgetpu(wanted, program, tmp_path, tmp_path / "log", Recorder())
    assert compiled.parts[0].file.data == (testdata / f"{LSTM}_edgetpu.tflite").read_bytes()
    assert (compiled.mapped, compiled.runtime) == (6, 12)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert program.name in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("scenario", "seconds", "stop"), [("hang", 3, Stop.TIME), ("flood", NET, Stop.OUTPUT)])
def test_one_that_does_not_end_is_stopped(
    scenario: str, seconds: float, stop: Stop, program: ContainerProgram, runner: DockerRunner, tmp_path: Path
) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    ended = program.run((f"in/{scenario}.tflite",), tmp_path, seconds)
    assert ended.stopped is stop
    mine = runner.client.containers.list(all=True, filters={"label": f"coralforge.pid={os.getpid()}"})
    assert mine == []


@pytest.mark.parametrize(
    ("archive", "changes", "said"),
    [
        ("forged", {}, "InRelease"),
        ("changed", {}, "Packages"),
        ("fine", {"FINGERPRINT": "35BAA0B33E9EB396F59CA838C0BA5CE6DC6315A3"}, "is not at"),
        ("fine", {"VERSION": "17.0"}, "17.0"),
        ("absent", {}, "404"),
    ],
)
def test_what_is_not_what_was_pinned_does_not_get_in(
    archive: str, changes: dict[str, str], said: str, archives: Archives, runner: DockerRunner, tmp_path: Path
) -> None:
    with pytest.raises(CoralforgeError) as caught:
        make(runner, archives.arguments(archive, **changes), tmp_path)
    assert (caught.value.reason, caught.value.code) == ("image-build", ExitCode.BUILD)
    assert said in caught.value.details


def test_an_archive_that_does_not_answer_is_said(unreachable: CoralforgeError) -> None:
    assert (unreachable.reason, unreachable.code) == ("image-build", ExitCode.BUILD)
    assert "docker/edgetpu-compiler.Dockerfile" in unreachable.brief


def test_invoke_says_all_that_was_tried(
    unreachable: CoralforgeError, cli: Checkout, testdata: Path, tmp_path: Path
) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes((testdata / f"{LSTM}.tflite").read_bytes())
    ran = cli.invoke("compile", "--model", str(model), CORALFORGE_COMPILER_ARCHIVE=NOWHERE)
    assert ARCHIVE == "CORALFORGE_COMPILER_ARCHIVE"
    assert ran.status == 3
    assert "[compiler-missing, exit 3]" in ran.stderr
    for fact in ("no --compiler was given", "no edgetpu_compiler is on PATH", "image: ", "--target simulator"):
        assert fact in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.tflite"]
