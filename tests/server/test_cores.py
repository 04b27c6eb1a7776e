import math
import os

import pytest

from stepwire_server.cores import MOST_ENGINES, MOST_WORKERS, Cores, find_cores


def machine(root, groups, **files):
    """A root whose /proc and /sys say what is given."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_a_machine_without_groups_sets_no_quota(tmp_path):
    assert find_cores(tmp_path) == Cores(len(os.sched_getaffinity(0)), math.inf)


def test_a_container_is_told_of_its_quota(tmp_path):
    root = machine(tmp_path, "0::/\n", **{"cpu.max": "150000 100000\n"})
    assert find_cores(root).quota == 1.5


def test_no_limit_is_no_quota(tmp_path):
    root = machine(tmp_path, "0::/\n", **{"cpu.max": "max 100000\n"})
    assert find_cores(root).quota == math.inf


def test_the_narrowest_group_on_the_way_counts(tmp_path):
    files = {
        "a/cpu.max": "200000 100000\n",
        "a/b/cpu.max": "max 100000\n",
        "a/b/c/cpu.max": "400000 100000\n",
    }
    assert find_cores(machine(tmp_path, "0::/a/b/c\n", **files)).quota == 2


def test_a_path_of_the_host_leaves_what_can_be_seen(tmp_path):
    root = machine(tmp_path, "0::/../../pod/box\n", **{"cpu.max": "300000 100000\n"})
    assert find_cores(root).quota == 3


@pytest.mark.parametrize(("quota", "cores"), [("250000\n", 2.5), ("-1\n", math.inf)])
def test_groups_of_the_first_version_count_too(tmp_path, quota, cores):
    files = {
        "cpu,cpuacct/box/cpu.cfs_quota_us": quota,
        "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
    }
    root = machine(tmp_path, "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n", **files)
    assert find_cores(root).quota == cores


def test_cores_that_the_process_is_kept_from_do_not_count(tmp_path):
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert find_cores(tmp_path).usable == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("allowed", "quota", "usable"), [(8, 2.9, 2), (1, 4, 1), (4, 0.2, 1), (6, math.inf, 6)]
)
def test_usable_is_what_both_leave(allowed, quota, usable):
    assert Cores(allowed, quota).usable == usable


@pytest.mark.parametrize(
    ("cores", "engines", "workers"), [(1, 1, 1), (2, 1, 1), (3, 2, 2), (4, 3, 2), (64, 4, 2)]
)
def test_one_core_is_left_to_the_event_loop(cores, engines, workers):
    assert (Cores(cores).engines, Cores(cores).workers) == (engines, workers)
    assert engines <= MOST_ENGINES
    assert workers <= MOST_WORKERS
