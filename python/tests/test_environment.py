"""The environment record, in a repository, a batch job and a container that are made up."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from journal_reader import read_events

from mida import capture, environment
from mida.environment import describe, digest, job_attributes
from mida.observer import Recorder
from mida.redact import Redactor

CONTAINER = "3f8a1c5be0d2746f9a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A process without job, container and Conda, in a directory without a repository."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "GIT_")) or name in (
            "CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES APPTAINER_CONTAINER SINGULARITY_CONTAINER "
            "SHIFTER_IMAGEREQUEST CONTAINER_IMAGE CONDA_DEFAULT_ENV VIRTUAL_ENV".split()
        ):
            monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "_PODMAN", str(tmp_path / "containerenv"))
    monkeypatch.setattr(environment, "_MOUNTS", str(tmp_path / "mountinfo"))
    monkeypatch.setattr(environment, "_packages", lambda: {"numpy": "2.0"})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(sys, "argv", [""])


def git(directory, *arguments):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a committed script and ignored results."""
    top = tmp_path / "project"
    (top / "src").mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    (top / "src" / "train.py").write_text("print(1)\n")
    (top / ".gitignore").write_text("results/\n")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "first")
    return top


def run(script, *arguments):
    sys.argv[:] = [str(script), *arguments]
    return describe()


def test_what_every_process_has(tmp_path):
    record = describe()
    assert set(record) == {"user", "host", "cwd", "argv", "python", "os", "packages"}
    assert record["cwd"] == str(tmp_path / "work") and record["user"] == environment.user_name()
    assert record["python"]["executable"] == sys.executable and record["packages"] == {"numpy": "2.0"}
    assert digest(record) == digest(describe()) and len(digest(record)) == 32


def test_the_commit_of_the_script(repository, tmp_path):
    script = repository / "src" / "train.py"
    record = run(script, "--epochs", "3")
    assert record["script"] == str(script) and record["argv"] == [str(script), "--epochs", "3"]
    assert record["vcs"] == {
        "root": str(repository),
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "dirty": False,
    }
    assert record["cwd"] == str(tmp_path / "work")


def test_the_repository_around_the_working_directory(repository, monkeypatch):
    monkeypatch.chdir(repository / "src")
    assert describe()["vcs"]["commit"] == git(repository, "rev-parse", "HEAD")


def test_a_changed_file_is_dirty(repository):
    (repository / "src" / "train.py").write_text("print(2)\n")
    assert run(repository / "src" / "train.py")["vcs"]["dirty"] is True


def test_an_untracked_script_is_dirty_and_other_untracked_files_are_not(repository, tmp_path):
    (repository / "new.py").write_text("")
    assert run(repository / "src" / "train.py")["vcs"]["dirty"] is False
    assert run(repository / "new.py")["vcs"]["dirty"] is True
    (tmp_path / "link").symlink_to(repository)
    assert run(tmp_path / "link" / "new.py")["vcs"]["dirty"] is True
    git(repository, "add", "new.py")
    git(repository, "commit", "-q", "-m", "second")
    assert run(repository / "new.py")["vcs"]["dirty"] is False


def test_a_program_of_an_environment_inside_the_repository_is_not_the_users_script(repository, monkeypatch):
    program = repository / "venv" / "bin" / "dask"
    program.parent.mkdir(parents=True)
    program.write_text("")
    monkeypatch.setattr(sys, "prefix", str(repository / "venv"))
    assert run(program)["vcs"]["dirty"] is False


def test_branches_tags_worktrees_and_packed_refs(repository, tmp_path):
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "-b", "feature/x")
    git(repository, "pack-refs", "--all")
    assert run(repository / "src" / "train.py")["vcs"]["branch"] == "feature/x"
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    found = run(tmp_path / "tree" / "src" / "train.py")["vcs"]
    assert (found["commit"], found["branch"], found["root"]) == (commit, "other", str(tmp_path / "tree"))
    git(repository, "checkout", "-q", "--detach")
    found = run(repository / "src" / "train.py")["vcs"]
    assert found["commit"] == commit and "branch" not in found


def test_without_git_only_whether_it_is_dirty_stays_unsaid(repository, monkeypatch, tmp_path):
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(repository / "src" / "train.py")["vcs"] == {"root": str(repository), "commit": commit, "branch": "main"}


def test_a_batch_job(monkeypatch):
    for name, value in {
        "SLURM_CLUSTER_NAME": "alpha",
        "SLURM_JOB_ID": "17",
        "SLURM_ARRAY_JOB_ID": "16",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_STEP_ID": "0",
        "SLURM_RESTART_COUNT": "1",
        "SLURM_JOB_NAME": "train",
        "SLURM_JOB_ACCOUNT": "physics",
        "SLURM_JOB_PARTITION": "gpu",
        "SLURM_CONF": "/etc/slurm.conf",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "HIP_VISIBLE_DEVICES": "",
    }.items():
        monkeypatch.setenv(name, value)
    record = describe()
    assert record["job"] == {
        "cluster": "alpha",
        "id": "17",
        "array_id": "16",
        "array_task": "3",
        "step": "0",
        "restart": "1",
        "name": "train",
        "account": "physics",
        "partition": "gpu",
    }
    assert job_attributes() == {"mida.job." + name: value for name, value in record["job"].items()}
    assert record["visible_gpus"] == {"CUDA_VISIBLE_DEVICES": "0,1", "HIP_VISIBLE_DEVICES": ""}


def test_containers(monkeypatch, tmp_path):
    (tmp_path / "mountinfo").write_text(
        f"1 2 0:3 /var/lib/docker/containers/{CONTAINER}/hosts /etc/hosts rw - ext4 /d rw\n"
    )
    assert describe()["container"] == {"id": CONTAINER}
    (tmp_path / "mountinfo").unlink()
    (tmp_path / "containerenv").write_text(
        f'engine="podman-4.9.3"\nname="x"\nid="{CONTAINER}"\nimage="docker.io/library/python:3.12"\nimageid="abc"\nrootless=1\n'
    )
    assert describe()["container"] == {"id": CONTAINER, "image": "docker.io/library/python:3.12"}
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/train.sif")
    assert describe()["container"]["image"] == "/images/train.sif"
    (tmp_path / "containerenv").write_text("")
    assert describe()["container"] == {"image": "/images/train.sif"}


def test_never_the_whole_environment_of_the_process(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("SOMETHING", "hunter2")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert "hunter2" not in repr(describe())


def test_arguments_are_bounded_and_their_secrets_hidden(tmp_path):
    record = run("x", "--password", "hunter2secret", "a" * 10_000, *map(str, range(100)))
    assert len(record["argv"]) == 20 and len(record["argv"][3]) == 500
    assert Redactor().mapping(record)["argv"][1:3] == ["--password", "[redacted]"]


def test_a_deleted_working_directory(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert describe()["cwd"] == ""


def test_the_record_is_that_of_the_recorder(tmp_path, repository):
    sys.argv[:] = [str(repository / "src" / "train.py"), "--api-key", "hunter2secret"]
    recorder = Recorder(str(tmp_path / "j"), "test", {"kind": "test"}, capture.Policy(None))
    recorder.start()
    deadline = time.monotonic() + 60
    found = []
    while not found:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        found = [e for e in read_events(tmp_path / "j") if e["event"] == "mida.environment.observed"]
    recorder.close()
    (event,) = found
    assert event["record"]["argv"][1:] == ["--api-key", "[redacted]"] and event["record"]["vcs"]["branch"] == "main"
    assert event["environment"] == digest(event["record"])
