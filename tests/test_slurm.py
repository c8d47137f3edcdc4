"""Sweeps over many machines: a Slurm cluster of two nodes on this one, and Ray."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest
from conftest import ROOT

from clrbench import lock as locking

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
SWEEP = ("-m", "policy=triangular2", "seed=1,2,3", "iterations=1280", "trainer.evaluate_every=20", "tracking.wandb=disabled")
NODES = {"node1", "node2"}


def why_no_slurm() -> str | None:
    missing = [program for program in PROGRAMS if not shutil.which(program, path=PATH)]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: slurm-wlm and munge)"
    return None if os.geteuid() == 0 else "Slurm's daemons start jobs as root only"


class Cluster:
    """munged, slurmctld and two slurmd of one core each, all on loopback and with all their files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._configure()
        key = self._folder / "munge.key"
        files = {"key-file": key, "socket": self._socket, "log-file": self._folder / "munged.log"}
        files |= {"pid-file": self._folder / "munged.pid", "seed-file": self._folder / "munge.seed"}
        self._daemon("munged", "--foreground", "--force", *(f"--{name}={file}" for name, file in files.items()))
        wait_until(self._socket.exists, self.logs)
        self._daemon("slurmctld", "-D")
        for node in sorted(NODES):
            self._daemon("slurmd", "-D", "-N", node)
        wait_until(lambda: self.answer("sinfo", "--noheader", "--Node", "--format=%t").split() == ["idle"] * 2, self.logs)

    def stop(self) -> None:
        self.answer("scancel", "--user=root")
        wait_until(lambda: not self.answer("squeue", "--noheader"), self.logs, seconds=20)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(timeout=20)

    def answer(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def logs(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-2000:] for log in sorted(self._folder.glob("*.log")))

    @property
    def _socket(self) -> Path:
        return self._folder / "munge.socket"

    def _daemon(self, *command: str) -> None:
        with (self._folder / f"{'-'.join(command[::2])}.out.log".replace("/", "")).open("wb") as log:
            self._daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def _configure(self) -> None:
        (self._folder / "munge.key").write_bytes(os.urandom(128))
        (self._folder / "munge.key").chmod(0o400)
        (self._folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        (self._folder / "state").mkdir()
        controller, first, second = free_ports(3)
        lines = [
            "ClusterName=clrbench",
            "SlurmctldHost=localhost(127.0.0.1)",
            f"SlurmctldPort={controller}",
            "SlurmUser=root",
            f"AuthInfo=socket={self._socket},cred_expire=5",  # a requeued task waits for this long
            f"StateSaveLocation={self._folder}/state",
            f"SlurmdSpoolDir={self._folder}/spool-%n",
            f"SlurmctldPidFile={self._folder}/slurmctld.pid",
            f"SlurmdPidFile={self._folder}/%n.pid",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core",
            "SlurmdParameters=config_overrides",
            "SchedulerParameters=batch_sched_delay=0,sched_interval=1",
            "ReturnToService=2",
            "MpiDefault=none",
            "KillWait=5",
            f"NodeName=node[1-2] NodeHostname={socket.gethostname().split('.')[0]} NodeAddr=127.0.0.1 "
            f"Port={first},{second} CPUs=1 RealMemory=8000",
            "PartitionName=main Nodes=ALL Default=YES State=UP",
        ]
        (self._folder / "slurm.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if reason := why_no_slurm():
        pytest.skip(reason)
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra clrbench[slurm] is not installed")
    # Sockets have short names, and pytest's folders have long ones.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        started = Cluster(Path(folder))
        try:
            started.start()
            yield started
        finally:
            started.stop()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(is_so: Callable[[], object], explain: Callable[[], str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, explain()
        time.sleep(0.05)


def command_for(folder: Path, *overrides: str) -> list[str]:
    return [sys.executable, "train.py", *overrides, f"paths.results={folder}/results", f"paths.outputs={folder}/outputs"]


def rows_of(record: Path) -> list[list[str]]:
    with (record / "evals.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def records(folder: Path) -> dict[str, list[list[str]]]:
    """The evaluations of each run, without their seconds."""
    found = [evals.parent for evals in folder.glob("results/runs/*/*/evals.csv")]
    return {record.name: [row[:-1] for row in rows_of(record)] for record in found}


def process_of(work: Path) -> int | None:
    """The process that holds the lock of a run."""
    return filelock.SoftFileLease(locking.lock_path(work), lease_duration=locking.LEASE_SECONDS).pid


def environment_of(process: int) -> dict[str, str]:
    pairs = Path(f"/proc/{process}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_a_slurm_sweep_with_a_killed_a_requeued_and_a_warned_task_leaves_the_records_of_a_local_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    harms: list[Callable[[int, str], object]] = [
        lambda process, _: os.kill(process, signal.SIGKILL),
        lambda _, task: cluster.answer("scontrol", "requeue", task),
        lambda _, task: cluster.answer("scancel", "--signal=USR2", task),  # as before a time limit
    ]
    before: dict[str, list[list[str]]] = {}
    nodes = set()
    command = command_for(there, *SWEEP, "hydra/launcher=slurm")
    sweep = subprocess.Popen(
        command, cwd=ROOT, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while harms and sweep.poll() is None:
            time.sleep(0.05)
            for evals in there.glob("results/runs/*/*/evals.csv"):
                record = evals.parent
                process = process_of(there / "outputs" / record.relative_to(there / "results"))
                if record.name in before or process is None or not harms:
                    continue
                environment = environment_of(process)
                nodes.add(environment["SLURMD_NODENAME"])
                before[record.name] = rows_of(record)
                task = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
                harms.pop(0)(process, task)
        said, complaints = sweep.communicate(timeout=150)
    finally:
        sweep.kill()
    assert sweep.returncode == 0, complaints + said + cluster.logs()
    assert not harms
    assert nodes == NODES
    assert "3 of 3 runs" in said
    # They went on: a run that starts anew takes other seconds to the same numbers.
    for name, rows in before.items():
        assert rows
        assert rows_of(there / "results" / "runs" / "adhoc" / name)[: len(rows)] == rows

    local = subprocess.run(
        command_for(here, *SWEEP, "hydra/launcher=joblib"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert local.returncode == 0, local.stderr
    assert records(there) == records(here)


def test_a_run_that_two_machines_of_slurm_share_leaves_the_record_of_one(cluster: Cluster, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    choices = ("-m", "policy=triangular2", "iterations=80", "tracking.wandb=disabled")
    devices = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.nodes=2")
    launcher = ("hydra/launcher=slurm", "hydra.launcher.nodes=2")
    # The nodes of this cluster are names without an address.
    environment = cluster.environment | {"MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        command_for(there, *choices, *devices, *launcher),
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + cluster.logs()
    alone = subprocess.run(
        command_for(here, *choices, "hydra/launcher=basic"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert alone.returncode == 0, alone.stderr
    (name, rows), *others = records(there).items()
    assert others == []
    assert [row[0] for row in rows] == ["40", "80"]
    for row, its_like in zip(rows, records(here)[name], strict=True):
        assert [float(value) for value in row] == pytest.approx([float(value) for value in its_like], rel=1e-3)


def test_a_sweep_that_slurm_refuses_ends_in_one_line_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra clrbench[slurm] is not installed")
    for name, does in (("srun", "exit 0"), ("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    command = command_for(tmp_path, *SWEEP, "hydra/launcher=slurm", "hydra.launcher.partition=gpu")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: Slurm takes no such jobs: invalid partition specified: gpu: mend hydra.launcher.KEY=")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("exchanges_files", [True, False], ids=["a local disk", "a network share"])
def test_a_run_whose_holder_died_on_another_machine_is_taken_over_after_a_lease(
    exchanges_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "LEASE_SECONDS", 0.4)
    if not exchanges_files:
        monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)
    lock = locking.lock_path(tmp_path)
    with locking.locked(tmp_path):
        record = lock.read_text()
    lock.write_text(record.replace(socket.gethostname(), "elsewhere"))
    with pytest.raises(locking.HeldElsewhereError), locking.locked(tmp_path):
        pass  # it might be alive still
    os.utime(lock, (0, 0))
    with locking.locked(tmp_path):
        assert socket.gethostname() in lock.read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_on_ray_leaves_the_records_of_a_local_one(tmp_path: Path) -> None:
    # The launcher's package pins cloudpickle<3, so it is installed only where it is wanted.
    pytest.importorskip("ray", reason="the extra clrbench[ray] is not installed")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra clrbench[ray] is not installed")
    sweep = ("-m", "policy=fixed,triangular2", "iterations=80", "tracking.wandb=disabled")
    for launcher in ("ray", "basic"):
        command = command_for(tmp_path / launcher, *sweep, f"hydra/launcher={launcher}")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len(records(tmp_path / "ray")) == 2
    assert records(tmp_path / "ray") == records(tmp_path / "basic")
