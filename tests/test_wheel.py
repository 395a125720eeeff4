"""The wheel beside PyPI's `config`: nothing of ours goes into site-packages but `headwater`, and the service starts."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"config", "dataflow", "ingest", "planner", "serve", "sinks"}


def pip(python: Path | str, *arguments: str) -> None:
    done = subprocess.run([str(python), "-m", "pip", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_wheel_runs_beside_another_config_package(tmp_path: Path) -> None:
    pip(
        sys.executable,
        "wheel",
        ".",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        str(tmp_path),
        f"-Cbuild-dir={tmp_path}/b",
        "-Ccmake.define.OPTIMIZATION=-O0",  # what is in the wheel is asked here, not how fast it is
    )
    (wheel,) = tmp_path.glob("headwater-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} <= {"headwater", f"headwater-{wheel.name.split('-')[1]}.dist-info"}
    inside = {name.split("/")[2] for name in names if name.startswith("headwater/rooms/")}
    assert inside == ROOMS

    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip(python, "install", "--quiet", "--no-deps", str(wheel), "config")
    # Our dependencies are borrowed from the tests' environment, which has no `config` of its own.
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    other = subprocess.run(
        [str(python), "-c", "import config; print(config.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in other.stdout
    assert "rooms" not in other.stdout

    headwater = tmp_path / "venv" / "bin" / "headwater"
    shop = site / "headwater" / "rooms" / "config" / "examples" / "shop.yaml"
    subprocess.run([str(headwater), "check", str(shop)], cwd=tmp_path, check=True, capture_output=True)
    log = tmp_path / "log"
    with log.open("wb") as out:
        environment = {"HTTP": "127.0.0.1:0", "POSTGRES": "127.0.0.1:0", "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(
            [str(headwater), "run", str(shop), "--log-format", "json"],
            cwd=tmp_path,
            stdout=out,
            stderr=out,
            env=environment,
        )
    try:
        assert "revenue" in _views(process, log)
    finally:
        process.terminate()
        assert process.wait(15) == 0, log.read_text()


def _views(process: subprocess.Popen[bytes], log: Path) -> str:
    """What GET /views answers, once the service listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        for line in log.read_bytes().splitlines():
            if b'"listening"' in line:
                connection = http.client.HTTPConnection(
                    "127.0.0.1", int(json.loads(line)["http"].rsplit(":", 1)[1]), timeout=10
                )
                connection.request("GET", "/views")
                response = connection.getresponse()
                body = response.read().decode()
                connection.close()
                if response.status == 200:
                    return body
        time.sleep(0.1)
    raise AssertionError(log.read_text())
