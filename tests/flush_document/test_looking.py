"""Where the script looks and what it counts; a place it cannot look at is never an empty one."""

import os
import resource
import time
from pathlib import Path

import pytest

from tests.flush_document.conftest import Answer, Instance

ID = "5f1e" * 8


def counted(answer: Answer) -> tuple[int, int]:
    return answer.json["chunks"], answer.json["set_aside"]


@pytest.fixture
def stuck(instance: Instance) -> Instance:
    """An instance whose Fluentd takes every signal and flushes nothing."""
    instance.late = {"at_flush": "keep", "buffer": str(instance.root)}
    return instance


class TestChunks:
    @pytest.mark.parametrize(
        "name",
        [
            f"buffer.b{ID}.log",
            f"buffer.q{ID}.log",
            f"buffer.b{ID}.chunk",
            f"s3.b{ID}.log",
            f"s3.access.q{ID}.buffer",
            f"fsb.app.access%2Flog.b{ID}.buf",
            f"buffer.b{ID}.log.q{ID}.chunk",
            f"worker1/buffer.b{ID}.log",
            f"worker0/out_s3/buffer/buffer.q{ID}.log",
            f"with blank/buffer.b{ID}.log",
            f"with\nline break/buffer.b{ID}.log",
        ],
    )
    def test_every_name_that_fluentd_gives_a_chunk_counts(self, stuck: Instance, name: str) -> None:
        stuck.chunk(f"buffer/{name}")
        assert counted(stuck.flush(wait_seconds=0)) == (1, 0)

    @pytest.mark.parametrize(
        "name", ["app.log", "access.log.pos", "buffer.tar.gz", "storage.json", "app.bad.log"]
    )
    def test_what_is_no_chunk_does_not_count(self, stuck: Instance, name: str) -> None:
        stuck.chunk(name)
        assert counted(stuck.flush(wait_seconds=0)) == (0, 0)

    def test_metadata_that_lost_its_chunk_does_not_count(self, stuck: Instance) -> None:
        stuck.chunk(f"buffer.b{ID}.log").unlink()
        assert counted(stuck.flush(wait_seconds=0)) == (0, 0)

    def test_several_paths_and_workers_are_added_up(self, stuck: Instance) -> None:
        for number, place in enumerate(("one", "two/worker0", "two/worker1")):
            stuck.chunk(f"{place}/buffer.b{number}{ID[1:]}.log", "12345")
        paths = f"{stuck.root}/one {stuck.root}/two"
        answer = stuck.flush(wait_seconds=0, buffer_paths=paths).json
        assert (answer["chunks"], answer["bytes"]) == (3, 15)

    def test_a_chunk_that_two_paths_reach_counts_once(self, stuck: Instance) -> None:
        stuck.chunk(f"buffer/worker0/buffer.b{ID}.log")
        paths = f"{stuck.buffer} {stuck.buffer}/worker0 {stuck.buffer}/worker*"
        assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (1, 0)

    def test_wildcards_stand_for_every_folder_of_that_name(self, stuck: Instance) -> None:
        stuck.chunk(f"disks/a/buffer/buffer.b{ID}.log")
        stuck.chunk(f"disks/b/buffer/buffer.q{ID}.log")
        (stuck.root / "disks/readme").write_text("no folder")
        paths = f"{stuck.root}/disks/*/buffer {stuck.root}/disks/*"
        assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (2, 0)

    def test_a_wrong_prefix_hides_no_chunk(self, stuck: Instance) -> None:
        stuck.chunk(f"s3.access.b{ID}.log")
        for prefix in ("s3.*", "s4.*", "s3.*.log"):
            paths = f"{stuck.buffer}/{prefix}"
            assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (1, 0), prefix

    def test_one_output_of_a_root_dir_stands_for_all_of_it(self, stuck: Instance) -> None:
        stuck.chunk(f"fluentd/worker0/out_s3/buffer/buffer.b{ID}.log")
        stuck.chunk(f"fluentd/worker1/forgotten/buffer/buffer.q{ID}.log")
        (stuck.root / "fluentd/worker0/out_s4/buffer").mkdir(parents=True)
        paths = f"{stuck.root}/fluentd/worker0/out_s4/buffer"
        assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (2, 0)

    def test_folders_behind_links_are_looked_at(self, stuck: Instance) -> None:
        stuck.chunk(f"disk/buffer.b{ID}.log")
        (stuck.buffer / "linked").symlink_to(stuck.root / "disk")
        (stuck.root / "link").symlink_to(stuck.root / "disk")
        assert counted(stuck.flush(wait_seconds=0)) == (1, 0)
        paths = f"{stuck.root}/link"
        assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (1, 0)

    @pytest.mark.parametrize("worker", [False, True])
    def test_a_chunk_that_fluentd_holds_open_elsewhere_counts(
        self, instance: Instance, worker: bool
    ) -> None:
        instance.chunk(f"elsewhere/buffer.b{ID}.log", "12345")
        instance.start(buffer=f"{instance.root}/elsewhere", at_flush="keep", worker=worker)
        answer = instance.flush(wait_seconds=0).json
        assert (answer["chunks"], answer["bytes"], answer["quiet"]) == (1, 5, False)

    def test_a_chunk_that_fluentd_holds_open_where_one_looks_counts_once(
        self, instance: Instance
    ) -> None:
        instance.chunk()
        instance.start(at_flush="keep", worker=True)
        assert counted(instance.flush(wait_seconds=0)) == (1, 0)

    def test_a_flushed_chunk_that_is_still_open_does_not_count(self, instance: Instance) -> None:
        instance.chunk(f"elsewhere/buffer.b{ID}.log")
        instance.start(buffer=f"{instance.root}/elsewhere")
        assert counted(instance.flush()) == (0, 0)


class TestSetAside:
    def test_a_chunk_that_fluentd_gives_up_is_counted(self, instance: Instance) -> None:
        instance.chunk(f"buffer.q{ID}.log")
        backup = instance.root / "fluentd/backup"
        instance.start(at_flush="set_aside", backup=f"{backup}/worker0/out_s3")
        backup.parent.mkdir()
        answer = instance.flush(backup_paths=backup)
        assert counted(answer) == (0, 1)

    def test_every_backup_path_counts(self, stuck: Instance) -> None:
        stuck.chunk(f"one/worker0/out_s3/{ID}.log")
        stuck.chunk("two/failed.2026.log")
        paths = f"{stuck.root}/one {stuck.root}/two {stuck.root}/three"
        assert counted(stuck.flush(wait_seconds=0, backup_paths=paths)) == (0, 2)

    def test_the_backup_of_a_root_dir_counts_unasked(self, stuck: Instance) -> None:
        stuck.chunk(f"fluentd/backup/worker0/out_s3/{ID}.log")
        (stuck.root / "fluentd/worker0/out_s3/buffer").mkdir(parents=True)
        for path in ("fluentd", "fluentd/worker0/out_s3/buffer", "fluentd/worker*/*/buffer"):
            paths = f"{stuck.root}/{path}"
            assert counted(stuck.flush(wait_seconds=0, buffer_paths=paths)) == (0, 1), path

    def test_a_file_that_two_paths_reach_counts_once(self, stuck: Instance) -> None:
        stuck.chunk(f"fluentd/backup/worker0/out_s3/{ID}.log")
        root = f"{stuck.root}/fluentd"
        paths = {"buffer_paths": root, "backup_paths": f"{root}/backup"}
        assert counted(stuck.flush(wait_seconds=0, **paths)) == (0, 1)

    @pytest.mark.parametrize(
        "name",
        [
            f"buffer/out_s3/buffer.q{ID}.log",
            f"worker1/out_s3/buffer/buffer.b{ID}.log",
            f"worker0/old_id/buffer/buffer.q{ID}.log",
            f"source-only-buffer/1b4e28ba/buffer.b{ID}.log",
        ],
        ids=["evacuated", "fewer workers", "another @id", "after SIGUSR2"],
    )
    def test_a_chunk_that_no_process_has_loaded_is_set_aside(
        self, stuck: Instance, name: str
    ) -> None:
        stuck.chunk(f"fluentd/worker0/out_s3/buffer/buffer.q{ID}.log")
        stuck.begin()
        stuck.chunk(f"fluentd/{name}")
        answer = stuck.flush(wait_seconds=0, buffer_paths=f"{stuck.root}/fluentd")
        assert counted(answer) == (1, 1)

    def test_what_no_process_has_loaded_is_a_chunk_while_none_runs(
        self, instance: Instance
    ) -> None:
        instance.chunk()
        instance.chunk(f"old/worker0/{ID}.log")
        answer = instance.flush(wait_seconds=0, backup_paths=f"{instance.root}/old")
        assert counted(answer) == (1, 1)
        assert not answer.json["signalled"]

    def test_a_secondary_may_write_files_beside_its_path(self, stuck: Instance) -> None:
        stuck.chunk("out/failed/app.log")
        stuck.chunk("out/failed.20261127_0.log")
        stuck.chunk("out/failed_over.log")
        answer = stuck.flush(wait_seconds=0, backup_paths=f"{stuck.root}/out/failed")
        assert counted(answer) == (0, 2)

    def test_a_backup_folder_that_is_not_made_yet_is_empty(self, stuck: Instance) -> None:
        paths = f"{stuck.buffer}/backup"
        assert counted(stuck.flush(wait_seconds=0, backup_paths=paths)) == (0, 0)

    def test_fluentds_own_choice_needs_no_folder(self, stuck: Instance) -> None:
        # Below /tmp/fluent, where no machine has anything, whatever else lies there.
        nowhere = f"/tmp/fluent/{stuck.root.name}/backup"
        assert counted(stuck.flush(wait_seconds=0, backup_paths=nowhere)) == (0, 0)

    def test_a_backup_folder_in_a_folder_that_is_not_there_is_refused(
        self, stuck: Instance
    ) -> None:
        refusal = stuck.flush(backup_paths=f"{stuck.root}/rot/backup").refusal()
        assert f"no such folder: {stuck.root}/rot" in refusal


class TestFluentdsOwnPlaces:
    """Where Fluentd keeps what it backs up is found out from its process, not assumed."""

    def test_its_environment_may_name_another_backup_folder(self, instance: Instance) -> None:
        instance.start(environment={"FLUENT_BACKUP_DIR": f"{instance.root}/own"})
        instance.chunk(f"own/backup/worker0/out_s3/{ID}.log")
        instance.chunk(f"own/buffer/out_s3/buffer.q{ID}.log")
        instance.chunk("own/readme")
        answer = instance.flush()
        assert counted(answer) == (0, 2)
        assert f"{instance.root}/own" in answer.json["looked_at"]

    def test_a_root_dir_that_it_names_is_looked_at(self, instance: Instance) -> None:
        root = instance.root / "another"
        port = instance.start(root_dir=str(root))
        instance.chunk(f"another/backup/worker0/out_s3/{ID}.log")
        answer = instance.flush(monitor_agent_port=port)
        assert counted(answer) == (0, 1)
        assert str(root) in answer.json["looked_at"]

    def test_a_mount_namespace_of_its_own_hides_nothing(self, instance: Instance) -> None:
        own = instance.root / "own"
        own.mkdir()
        hide = 'mount -t tmpfs none "$0" && mkdir -p "$0/backup/worker0/s3" "$0/live"'
        fill = f'echo x >"$0/backup/worker0/s3/{ID}.log" && echo x >"$0/live/buffer.b{ID}.log"'
        if os.geteuid():
            before = ["unshare", "--map-root-user", "--mount"]
        else:
            before = ["unshare", "--mount"]
        instance.start(
            before=[*before, "sh", "-c", f'{hide} && {fill} && exec "$@"', str(own)],
            environment={"FLUENT_BACKUP_DIR": str(own)},
            buffer=str(own / "live"),
            at_flush="keep",
        )
        assert not list(own.iterdir())
        answer = instance.flush(wait_seconds=0, buffer_paths=f"{own}/live")
        assert counted(answer) == (1, 1)
        assert f"/proc/{instance.main_process}/root{own}" in answer.json["looked_at"]


def test_looking_is_linear_in_the_number_of_files(instance: Instance) -> None:
    def seconds(count: int) -> float:
        """Of the processors, all looks together: other tests run beside this one."""
        for number in range(count):
            (instance.buffer / f"buffer.q{number:032x}.log").touch()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert counted(instance.flush(wait_seconds=0)) == (0, count)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    instance.start()
    few, many = seconds(2_000), seconds(20_000)
    assert many < 20 * few


class TestPlacesThatCannotBeLookedAt:
    @pytest.mark.parametrize(
        "path", ["bufer", "bufer/*", "bufer/s3.*", "*/worker0", "buffer/s3", "units/*"]
    )
    # The folder `units` holds a file, and no folder.
    def test_a_typo_is_no_empty_buffer(self, stuck: Instance, path: str) -> None:
        refusal = stuck.flush(buffer_paths=f"{stuck.buffer} {stuck.root}/{path}").refusal()
        assert "no such folder" in refusal

    def test_a_file_is_no_folder(self, stuck: Instance) -> None:
        (stuck.root / "s3").write_text("")
        refusal = stuck.flush(buffer_paths=f"{stuck.root}/s3").refusal()
        assert f"for the prefix of file names write {stuck.root}/s3.*" in refusal

    def test_a_folder_that_goes_away_is_no_empty_buffer(self, stuck: Instance) -> None:
        (stuck.root / "link").symlink_to(stuck.root / "unmounted")
        assert "no such folder" in stuck.flush(buffer_paths=f"{stuck.root}/link").refusal()

    def test_a_typo_does_not_keep_fluentd_from_flushing(self, instance: Instance) -> None:
        chunk = instance.chunk()
        instance.start()
        instance.flush(buffer_paths=f"{instance.root}/bufer").refusal()
        # The script looks first and ends before the flush that it asked for has ended.
        deadline = time.monotonic() + 30
        while chunk.exists():
            assert time.monotonic() < deadline, "the chunk was not flushed"
            time.sleep(0.05)

    @pytest.mark.parametrize("place", ["buffer", "backup"])
    def test_what_find_cannot_enter_is_no_empty_folder(self, stuck: Instance, place: str) -> None:
        # A loop of links stands for any folder that find fails on, for root as well.
        (stuck.root / "backup").mkdir()
        (stuck.root / place / "loop").symlink_to(stuck.root / place)
        refusal = stuck.flush(backup_paths=f"{stuck.root}/backup").refusal()
        assert "cannot look everywhere" in refusal
        assert "loop" in refusal

    def test_a_look_that_fails_once_is_taken_again(self, stuck: Instance) -> None:
        tries = stuck.root / "tries"
        find = stuck.path / "find"
        find.write_text(
            f'#!/bin/sh\n[ -e "{tries}" ] && exec {_real("find")} "$@"\n'
            f'touch "{tries}"; echo "find: it has just been flushed" >&2; exit 1\n'
        )
        find.chmod(0o755)
        assert counted(stuck.flush()) == (0, 0)


def _real(program: str) -> str:
    for folder in os.environ["PATH"].split(":"):
        if (Path(folder) / program).exists():
            return str(Path(folder) / program)
    raise AssertionError(f"{program} is missing on this machine")
