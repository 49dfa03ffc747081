"""GPUs that workers of one node claim, with made-up names: no GPU is needed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.errors import LaunchError
from tuner.launch.engine import WorkerNeeds, WorkersWanted
from tuner.launch.engines import engine_of
from tuner.spec.sections import LaunchSettings, Resources
from tuner.worker.node import claims
from tuner.worker.node.claims import Claim, claim_gpus, identities_of
from tuner.worker.node.devices import plan_slots
from tuner.worker.settings import WorkerSettings

FOUR = {str(index): f"GPU-{index}" for index in range(4)}
AUTO = Resources()

ClaimGpus = Callable[..., Claim]


@pytest.fixture
def claim(tmp_path: Path) -> ClaimGpus:
    """Claims by workers of one node, each by its name."""

    def made(holder: str, resources: Resources = AUTO, gpus: dict[str, str] = FOUR, **how: object) -> Claim:
        return claim_gpus(resources, gpus, holder, folder=tmp_path / "gpus", **how)  # type: ignore[arg-type]

    return made


def test_workers_take_what_nobody_has(claim: ClaimGpus) -> None:
    one = claim("one", Resources(slots=1))
    two = claim("two", Resources(slots=2))
    assert (one.gpus, two.gpus) == (("0",), ("1", "2"))
    three = claim("three")
    assert three.gpus == ("3",)
    assert [plan.devices for plan in plan_slots(AUTO, three.gpus, 4)] == [("3",)]


def test_a_second_worker_of_a_node_whose_gpus_are_taken_says_who_has_them(claim: ClaimGpus) -> None:
    first = claim("worker a-17 of study digits")
    assert first.gpus == ("0", "1", "2", "3")
    with pytest.raises(LaunchError) as refused:
        claim("second")
    said = str(refused.value)
    assert "1 of this node's 4 GPUs are requested, but 0 are free" in said
    assert said.count("by worker a-17 of study digits") == 4 and "\n" not in said
    first.release()
    assert claim("second").gpus == first.gpus


@pytest.mark.parametrize(
    "resources, how, asked",
    [
        (Resources(slots=3), {}, 3),
        (Resources(slots=2, gpus_per_trial=2), {}, 4),
        (Resources(slots=5, trials_per_gpu=2), {}, 3),
        (Resources(gpus_per_trial=3), {}, 3),
        (AUTO, {"exactly": 3}, 3),
    ],
)
def test_a_wish_for_more_than_are_free_is_refused_and_holds_nothing(
    claim: ClaimGpus, resources: Resources, how: dict[str, int], asked: int
) -> None:
    kept = claim("kept", Resources(slots=2))
    with pytest.raises(
        LaunchError, match=rf"{asked} of this node's 4 GPUs are requested, but 2 are free: GPU 0 by kept"
    ):
        claim("greedy", resources, **how)
    assert claim("modest", Resources(slots=2)).gpus == ("2", "3")
    assert kept.gpus == ("0", "1")


def test_what_is_less_than_a_trial_needs_is_left_to_others(claim: ClaimGpus) -> None:
    claims_held = [claim("pairs", Resources(gpus_per_trial=3))]
    assert claims_held[0].gpus == ("0", "1", "2")
    assert claim("single").gpus == ("3",)


def test_who_needs_none_takes_none(claim: ClaimGpus) -> None:
    assert claim("cpu", Resources(gpus_per_trial=0)).gpus == ()
    assert claim("told", exactly=0).gpus == ()
    assert claim("no gpus here", gpus={}).gpus == ()
    assert claim("all", exactly=4).gpus == tuple(FOUR)


def test_a_gpu_that_an_engine_divides_is_shared_with_its_like_alone(claim: ClaimGpus) -> None:
    halves = [claim(name, gpus={"0": "GPU-0"}, share=True) for name in ("left", "right")]
    assert [each.gpus for each in halves] == [("0",), ("0",)]
    with pytest.raises(LaunchError, match="GPU 0 by right"):
        claim("whole", Resources(gpus_per_trial=1), gpus={"0": "GPU-0"})
    assert claim("elsewhere").gpus == ("1", "2", "3")


def test_another_name_of_a_gpu_is_the_same_gpu(claim: ClaimGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_uuids", lambda: ["GPU-aaaa-1", "GPU-bbbb-2"])
    named = identities_of(("1", "GPU-aaaa", "MIG-cccc-3"))
    assert named == {"1": "GPU-bbbb-2", "GPU-aaaa": "GPU-aaaa-1", "MIG-cccc-3": "MIG-cccc-3"}
    one = claim("one", Resources(slots=1), gpus=identities_of(("1",)))
    with pytest.raises(LaunchError, match="GPU GPU-bbbb by one"):
        claim("two", gpus=identities_of(("GPU-bbbb",)))
    assert one.gpus == ("1",)


_HOLD = """
import sys
from pathlib import Path
from tuner.spec.sections import Resources
from tuner.worker.node.claims import claim_gpus
claim = claim_gpus(Resources(slots=1), {"0": "GPU-0"}, "the other process", folder=Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_claim_ends_with_its_process(claim: ClaimGpus, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", _HOLD, str(tmp_path / "gpus")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(LaunchError, match="GPU 0 by the other process"):
            claim("this one", gpus={"0": "GPU-0"})
        other.kill()
    assert claim("this one", gpus={"0": "GPU-0"}).gpus == ("0",)


def test_other_users_may_claim_too(claim: ClaimGpus, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        held = claim("one")
    finally:
        os.umask(before)
    assert held.gpus
    folder = tmp_path / "gpus"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o666}


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match=f"GPUs cannot be claimed in {tmp_path}/file"):
        claim_gpus(AUTO, FOUR, "one", folder=tmp_path / "file" / "gpus")


@pytest.mark.parametrize(
    "count, resources, needs, each",
    [
        (2, AUTO, WorkerNeeds(), 2),
        (3, AUTO, WorkerNeeds(), 1),
        (1, AUTO, WorkerNeeds(), None),
        (2, Resources(slots=1), WorkerNeeds(), None),
        (9, Resources(gpus_per_trial=0), WorkerNeeds(), None),
        (9, AUTO, WorkerNeeds(gpus=0), 0),
        (2, AUTO, WorkerNeeds(gpus=1), 1),
    ],
)
def test_local_workers_divide_the_gpus_of_the_machine(
    count: int, resources: Resources, needs: WorkerNeeds, each: int | None, tmp_path: Path
) -> None:
    from tuner.launch.local.engine import _gpus_of_each

    assert _gpus_of_each(order(count, resources, needs, tmp_path), 4) == each


def test_more_local_workers_than_gpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuner.launch.local import engine

    monkeypatch.setattr(engine, "visible_gpus", lambda: tuple(FOUR))
    with pytest.raises(LaunchError, match="5 workers are requested, but this machine has 4 GPUs"):
        engine_of("local", LaunchSettings()).start(order(5, AUTO, WorkerNeeds(), tmp_path))


def order(count: int, resources: Resources, needs: WorkerNeeds, folder: Path) -> WorkersWanted:
    settings = WorkerSettings(study="digits", resources=resources)
    return WorkersWanted("digits", 1, "sqlite:///none.db", settings, count, needs, folder, str(folder))


def _link(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def _second_name(file: Path, victim: Path) -> None:
    file.hardlink_to(victim)


def _pipe(file: Path, victim: Path) -> None:
    os.mkfifo(file)


@pytest.mark.parametrize("put", [_link, _second_name, _pipe])
@pytest.mark.parametrize("name", ["GPU-0.lock", "claiming"])
def test_what_somebody_else_put_in_the_shared_folder_is_neither_followed_nor_written_to(
    claim: ClaimGpus, tmp_path: Path, put: Callable[[Path, Path], None], name: str
) -> None:
    victim = tmp_path / "authorized_keys"
    victim.write_text("ssh-ed25519 AAAA\n")
    (tmp_path / "gpus").mkdir()
    put(tmp_path / "gpus" / name, victim)
    with pytest.raises(LaunchError, match=f"GPUs cannot be claimed in .*{name}"):
        claim("one")
    assert victim.read_text() == "ssh-ed25519 AAAA\n"


def test_a_link_in_place_of_the_shared_folder_is_not_followed(claim: ClaimGpus, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "gpus").symlink_to(tmp_path / "home")
    with pytest.raises(LaunchError, match="GPUs cannot be claimed"):
        claim("one")
    assert list((tmp_path / "home").iterdir()) == []
