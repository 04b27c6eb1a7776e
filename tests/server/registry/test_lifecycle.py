"""Loading, replacing and unloading with real models; the files are the only thing that changes."""

import asyncio
import os
import tempfile
import threading

import pytest

from stepwire_server.errors import (
    ModelControlDisabled,
    ModelFailed,
    ModelNotFound,
    ShuttingDown,
    StartupError,
)
from stepwire_server.registry.loader import Loader
from support.shelf import Shelf, publish, remove, shelf, spoil


async def settle(one):
    """Two looks: what did not change between them counts."""
    await one.lifecycle.follow()
    await one.lifecycle.follow()


async def test_everything_is_loaded_at_the_start_and_changes_are_ignored(tmp_path):
    first = publish(tmp_path, 1)
    async with shelf(tmp_path) as one:
        publish(tmp_path, 1, seed=1)
        publish(tmp_path, 2)
        assert one.states() == {"tiny/1": "ready"}
        assert one.served() == first


async def test_two_models_are_loaded_at_a_time(tmp_path, monkeypatch):
    both, load = threading.Barrier(2, timeout=20), Loader.load

    def meet(loader, bundle):
        both.wait()
        return load(loader, bundle)

    monkeypatch.setattr(Loader, "load", meet)
    for name in ("one", "other"):
        publish(tmp_path, name=name)
    async with shelf(tmp_path) as one:
        assert one.states() == {"one/1": "ready", "other/1": "ready"}


@pytest.mark.parametrize("mode", ["none", "poll"])
async def test_requests_to_load_and_unload_are_refused_unless_the_mode_is_explicit(tmp_path, mode):
    publish(tmp_path)
    async with shelf(tmp_path, mode=mode) as one:
        with pytest.raises(ModelControlDisabled, match="explicit"):
            await one.lifecycle.load_by_name("tiny")
        with pytest.raises(ModelControlDisabled, match=mode):
            await one.lifecycle.unload_by_name("tiny")
        assert one.served()


async def test_explicit_mode_begins_with_what_is_named_and_lists_the_rest(tmp_path):
    publish(tmp_path, name="named")
    publish(tmp_path, name="other")
    async with shelf(tmp_path, mode="explicit", load_at_start=("named",)) as one:
        assert one.states() == {"named/1": "ready", "other/1": "unloaded"}
        with pytest.raises(ModelNotFound, match="not loaded: loads on request"):
            one.served("other")
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        assert set(one.states().values()) == {"ready"}
    with pytest.raises(StartupError, match="nobody"):
        Shelf(tmp_path, mode="explicit", load_at_start=("nobody",))


async def test_an_explicit_server_may_begin_with_nothing(tmp_path):
    async with shelf(tmp_path, mode="explicit") as one:
        with pytest.raises(ModelNotFound, match="no repository holds"):
            await one.lifecycle.load_by_name("tiny")
        digest = publish(tmp_path)
        await one.lifecycle.load_by_name("tiny")
        assert one.served() == digest


async def test_a_load_takes_new_versions_and_the_others_again(tmp_path):
    publish(tmp_path, 1)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        digests = {"1": publish(tmp_path, 1, seed=1), "2": publish(tmp_path, 2, seed=2)}
        await one.lifecycle.load_by_name("tiny")
        assert {version: one.served(version=version) for version in digests} == digests
        assert one.loads == ["tiny/1", "tiny/1", "tiny/2"]


async def test_a_refused_reload_leaves_what_was_there_and_says_so(tmp_path):
    first = publish(tmp_path)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        spoil(tmp_path)
        with pytest.raises(ModelFailed, match="format is 2"):
            await one.lifecycle.load_by_name("tiny")
        [entry] = one.models
        assert one.served() == first
        assert entry.state.value == "ready"
        assert "still serves" in entry.reason
        publish(tmp_path, seed=1)
        await one.lifecycle.load_by_name("tiny")
        assert entry.reason == ""


@pytest.mark.parametrize("mode", ["explicit", "poll"])
async def test_the_latest_version_gives_way_only_to_one_that_loads(tmp_path, mode):
    """With latest:1 the policy drops version 1 as soon as there is a version 2."""
    first = publish(tmp_path, 1)
    control = {"load_at_start": ("*",)} if mode == "explicit" else {}

    async def bring(one):
        if mode == "poll":
            await settle(one)
        else:
            await one.lifecycle.load_by_name("tiny")

    async with shelf(tmp_path, mode=mode, versions="latest:1", **control) as one:
        publish(tmp_path, 2)
        spoil(tmp_path, 2)
        try:
            await bring(one)
        except ModelFailed:
            assert mode == "explicit"
        assert one.states() == {"tiny/1": "ready", "tiny/2": "failed"}
        assert one.served() == first
        second = publish(tmp_path, 2, seed=2)
        await bring(one)
        assert one.states() == {"tiny/2": "ready"}
        assert one.served() == second


async def test_a_model_that_is_used_goes_with_its_last_user(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        mine, other = one.models.lease("tiny"), one.models.lease("tiny")
        loaded = mine.loaded
        await one.lifecycle.load_by_name("tiny")
        assert one.models.lease("tiny").loaded is not loaded
        mine.release()
        mine.release()  # once more changes nothing
        assert loaded.users == 1
        assert one.models.is_any_retired
        other.release()
        for _ in range(500):
            if not one.models.is_any_retired:
                return
            await asyncio.sleep(0.01)
        pytest.fail("it was not stopped")


async def test_unloading_what_is_used_refuses_new_calls_only(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        with one.models.lease("tiny") as loaded:
            await one.lifecycle.unload_by_name("tiny")
            with pytest.raises(ModelNotFound, match="unloaded on request"):
                one.models.lease("tiny")
            call = loaded.model.score([], None)
            await call.aclose()
        await one.lifecycle.unload_by_name("tiny")  # again changes nothing
        assert one.states() == {"tiny/1": "unloaded"}
        await one.lifecycle.load_by_name("tiny")
        assert one.served()
        with pytest.raises(ModelNotFound):
            await one.lifecycle.unload_by_name("nobody")


async def test_loads_and_unloads_of_one_name_happen_one_after_the_other(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        await asyncio.gather(
            one.lifecycle.load_by_name("tiny"),
            one.lifecycle.unload_by_name("tiny"),
            one.lifecycle.load_by_name("tiny"),
            one.lifecycle.load_by_name("tiny"),
        )
        assert one.loads == ["tiny/1"] * 4
        assert one.states() == {"tiny/1": "ready"}


async def test_a_caller_that_leaves_takes_no_load_with_it(tmp_path):
    publish(tmp_path, seed=1)
    async with shelf(tmp_path, mode="explicit", load_at_start=("*",)) as one:
        with one.models.lease("tiny"):
            load = asyncio.create_task(one.lifecycle.load_by_name("tiny"))
            while len(one.loads) == 1:
                await asyncio.sleep(0)
            load.cancel()
            await asyncio.wait([load])
            assert load.cancelled()
            await one.lifecycle.unload_by_name("tiny")  # waits for its turn
            assert one.states() == {"tiny/1": "unloaded"}
            assert one.models.is_any_retired
        sample = one.metrics.registry.get_sample_value
        assert sample("stepwire_model_loads_total", {"result": "loaded"}) == 2


async def test_what_is_loaded_while_the_server_ends_is_stopped_again(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, mode="explicit") as one:
        load = asyncio.create_task(one.lifecycle.load_by_name("tiny"))
        while not one.loads:
            await asyncio.sleep(0)
        await one.models.stop()
        with pytest.raises(ShuttingDown):
            await load
        assert one.states()["tiny/1"] != "ready"


async def test_polling_takes_what_came_changed_and_went(tmp_path):
    publish(tmp_path, 1)
    async with shelf(tmp_path, mode="poll") as one:
        await settle(one)
        assert one.loads == ["tiny/1"]
        second, other = publish(tmp_path, 2), publish(tmp_path, name="other")
        await one.lifecycle.follow()
        assert one.states() == {"tiny/1": "ready"}  # it may be half of it
        await one.lifecycle.follow()
        assert one.served() == second
        assert one.served("other") == other
        changed = publish(tmp_path, 2, seed=5)
        remove(tmp_path, 1)
        await settle(one)
        assert one.states() == {"other/1": "ready", "tiny/2": "ready"}
        assert one.served() == changed
        assert one.loads.count("tiny/2") == 2


async def test_a_version_that_is_still_being_copied_waits(tmp_path):
    first = publish(tmp_path / "made", 2)
    (tmp_path / "served").mkdir()
    publish(tmp_path / "served", 1)
    async with shelf(tmp_path / "served", mode="poll", versions="latest:1") as one:
        made, target = tmp_path / "made/tiny/2", tmp_path / "served/tiny/2"
        target.mkdir()
        for source in sorted(made.iterdir()):  # a file between every two looks
            (target / source.name).write_bytes(source.read_bytes())
            await one.lifecycle.follow()
            assert one.states() == {"tiny/1": "ready"}
        await one.lifecycle.follow()
        assert one.states() == {"tiny/2": "ready"}
        assert one.served() == first


async def test_a_link_that_is_turned_brings_another_build(tmp_path):
    builds = [publish(tmp_path / str(seed), seed=seed) for seed in range(2)]
    model = tmp_path / "served/tiny"
    model.mkdir(parents=True)
    (model / "1").symlink_to(tmp_path / "0/tiny/1")
    async with shelf(tmp_path / "served", mode="poll") as one:
        assert one.served() == builds[0]
        (model / "new").symlink_to(tmp_path / "1/tiny/1")
        os.replace(model / "new", model / "1")
        await settle(one)
        assert one.served() == builds[1]


async def test_a_repository_that_cannot_be_read_takes_nothing_away(tmp_path):
    folder, away = tmp_path / "served", tmp_path / "away"
    digest = publish(folder)
    async with shelf(folder, mode="poll") as one:
        folder.rename(away)
        await settle(one)
        await settle(one)
        assert one.served() == digest
        away.rename(folder)
        await settle(one)
        assert one.loads == ["tiny/1"]


async def test_a_version_that_cannot_be_read_is_not_taken_away(tmp_path):
    publish(tmp_path / "made", 1)
    model = tmp_path / "served/tiny"
    model.mkdir(parents=True)
    (model / "1").symlink_to(tmp_path / "made/tiny/1")
    async with shelf(tmp_path / "served", mode="poll") as one:
        (model / "1").unlink()
        (model / "1").symlink_to("1")  # leads nowhere, which is not the same as not there
        await settle(one)
        await settle(one)
        assert one.states() == {"tiny/1": "ready"}
        (model / "1").unlink()
        await settle(one)
        assert one.states() == {}


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs another file system")
async def test_a_disk_that_is_not_mounted_any_more_takes_nothing_away(tmp_path):
    digest = publish(tmp_path / "disk")
    mounted = tmp_path / "mounted"
    mounted.symlink_to(tmp_path / "disk")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as empty:
        if os.stat(empty).st_dev == tmp_path.stat().st_dev:
            pytest.skip("that is the same file system")
        async with shelf(mounted, mode="poll") as one:
            mounted.unlink()
            mounted.symlink_to(empty)
            await settle(one)
            await settle(one)
            assert one.served() == digest


async def test_the_series_of_a_model_that_is_gone_go_too(tmp_path):
    publish(tmp_path, 1)
    publish(tmp_path, 2)
    async with shelf(tmp_path, mode="poll") as one:

        def series():
            return {
                sample.labels["version"]
                for family in one.metrics.registry.collect()
                for sample in family.samples
                if "version" in sample.labels
            }

        assert series() == {"1", "2"}
        remove(tmp_path, 1)
        await settle(one)
        assert series() == {"2"}


async def test_twenty_first_callers_share_one_load(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, lazy=True) as one:
        [entry] = one.models
        assert (entry.state.value, entry.reason) == ("unloaded", "loads on first use")
        assert entry.bundle.manifest.task == "generation"  # it is described all the same
        await asyncio.gather(*(one.models.wake("tiny") for _ in range(20)))
        assert one.loads == ["tiny/1"]
        assert one.served()


async def test_a_first_caller_that_leaves_takes_nothing_from_the_others(tmp_path):
    publish(tmp_path)
    async with shelf(tmp_path, lazy=True) as one:
        first, second = (asyncio.create_task(one.models.wake("tiny")) for _ in range(2))
        while not one.loads:
            await asyncio.sleep(0)
        first.cancel()
        await second
        assert one.loads == ["tiny/1"]
        assert one.served()


async def test_the_latest_version_is_loaded_although_an_older_one_is_there(tmp_path):
    publish(tmp_path, 1)
    second = publish(tmp_path, 2)
    async with shelf(tmp_path, lazy=True) as one:
        await one.models.wake("tiny", "1")
        await one.models.wake("tiny")
        assert one.served() == second


async def test_a_latest_version_that_is_refused_leaves_calls_to_the_one_before(tmp_path):
    first = publish(tmp_path, 1)
    publish(tmp_path, 2)
    spoil(tmp_path, 2)
    async with shelf(tmp_path, lazy=True) as one:
        await one.models.wake("tiny")
        assert one.served() == first
        assert one.loads == ["tiny/1"]  # the other did not come so far


async def test_a_refused_first_load_says_why_and_is_tried_again_after_a_pause(tmp_path):
    publish(tmp_path)
    spoil(tmp_path)
    async with shelf(tmp_path, lazy=True) as one:
        [entry] = one.models
        for _ in range(3):
            await one.models.wake("tiny")
            with pytest.raises(ModelFailed, match="format is 2"):
                one.served()
        assert entry.failures == 1
        digest = publish(tmp_path)
        entry.retry_at = 0.0  # the pause is over
        await one.models.wake("tiny")
        assert one.served() == digest
        assert entry.failures == 0


async def test_the_least_recently_used_model_makes_room(tmp_path):
    names = ("a", "b", "c")
    for name in names:
        publish(tmp_path, name=name)
    async with shelf(tmp_path, lazy=True, max_loaded=2) as one:
        for name in ("a", "b", "a", "c"):
            await one.models.wake(name)
            assert one.served(name)
        assert one.states() == {"a/1": "ready", "b/1": "unloaded", "c/1": "ready"}
        await one.models.wake("b")
        assert one.served("b")
        assert one.states() == {"a/1": "unloaded", "b/1": "ready", "c/1": "ready"}


async def test_a_model_that_is_used_makes_no_room_until_it_is_not(tmp_path):
    for name in ("a", "b", "c"):
        publish(tmp_path, name=name)
    async with shelf(tmp_path, lazy=True, max_loaded=1) as one:
        leases = []
        for name in ("a", "b"):
            await one.models.wake(name)
            leases.append(one.models.lease(name))
        assert one.states() == {"a/1": "ready", "b/1": "ready", "c/1": "unloaded"}
        leases[0].release()
        await one.lifecycle.make_room()
        assert one.states() == {"a/1": "unloaded", "b/1": "ready", "c/1": "unloaded"}
