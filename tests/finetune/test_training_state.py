"""Saved states: a run that is stopped and taken up again is the run that was never stopped."""

import errno
import os
import signal
from pathlib import Path

import pytest
import torch
from quintet.finetune import training_state
from quintet.finetune.interruption import InterruptedTraining
from quintet.finetune.step_log import read_log
from quintet.finetune.training_state import Position, StateFolder, seed_step
from quintet.pipelines.errors import TrainingError


def result(loop, folder):
    """Last weights and log without times."""
    weights = torch.cat([parameter.detach().flatten() for parameter in loop.model.parameters()])
    log = [{name: value for name, value in line.items() if name != "seconds"} for line in read_log(folder)]
    return weights, log


class Interrupting:
    """Mixed into a recipe: does something at the start of the batch with that number."""

    at, action = 0, staticmethod(lambda: None)

    def loss(self, model, batch, optimizer):
        type(self).at -= 1
        if type(self).at == 0:
            self.action()
        return super().loss(model, batch, optimizer)


def crash():
    raise KeyError("the machine went away")


@pytest.mark.parametrize("step", [1, 6, 7, 8, 15])
@pytest.mark.parametrize("how", ["sigterm", "crash"])
def test_a_stopped_run_goes_on_exactly(numbers, number_recipe, tmp_path, how, step):
    settings = {"ema": 0.9, "schedule": "cosine", "eval_every": "5steps"}
    (tmp_path / "whole").mkdir()
    whole = numbers(tmp_path / "whole", **settings)
    whole.run()
    kill = (lambda: os.kill(os.getpid(), signal.SIGTERM)) if how == "sigterm" else crash
    recipe = type("Stopped", (Interrupting, number_recipe), {"at": step, "action": staticmethod(kill)})
    (tmp_path / "parts").mkdir()
    with pytest.raises((InterruptedTraining, KeyError), match=r"SIGTERM after step|machine went away"):
        # every third step is saved, so that a crash loses some
        numbers(tmp_path / "parts", recipe=recipe, save_every="3steps", **settings).run()
    torch.rand(7)  # what happens between must not matter
    again = numbers(tmp_path / "parts", resume=True, save_every="3steps", **settings)
    position = again.run()
    expected, expected_log = result(whole, tmp_path / "whole")
    weights, log = result(again, tmp_path / "parts")
    assert torch.equal(weights, expected)
    assert log == expected_log
    assert position.best_step == whole.position.best_step and position.samples == whole.position.samples
    best = [loop.state.load_best(position.best_step)["embedding.weight"] for loop in (whole, again)]
    assert torch.equal(*best)


def test_sigterm_says_where_it_stopped_and_how_to_go_on(numbers, number_recipe, tmp_path):
    kill = staticmethod(lambda: os.kill(os.getpid(), signal.SIGTERM))
    recipe = type("Stopped", (Interrupting, number_recipe), {"at": 4, "action": kill})
    with pytest.raises(
        InterruptedTraining, match="stopped by SIGTERM after step 4; repeat the command with --resume"
    ) as caught:
        numbers(tmp_path, recipe=recipe, save_every="1h").run()
    assert caught.value.exit_code == 143
    assert [path.name for path in (tmp_path / "state").glob("step-*")] == ["step-00000004"]


def test_resume_without_a_state_starts_from_the_beginning(numbers, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n')
    position = numbers(tmp_path, resume=True).run()
    assert position.step == 21 and position.resumes == 0
    assert len(list(read_log(tmp_path))) == 21


def test_a_full_disk_is_a_warning_and_keeps_the_state_before(numbers, tmp_path, monkeypatch):
    write, calls = training_state.write_state, []

    def fills_up(content, path):
        calls.append(path)
        if len(calls) > 3:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(content, path)

    monkeypatch.setattr(training_state, "write_state", fills_up)
    with pytest.warns(RuntimeWarning, match=r"state/step-\d+ could not be saved \(No space left on device\)"):
        position = numbers(tmp_path).run()
    assert position.step == 21 and len(calls) == 21
    assert [path.name for path in (tmp_path / "state").glob("step-*")] == ["step-00000003"]
    monkeypatch.undo()
    assert numbers(tmp_path, resume=True).run().step == 21


def test_torch_saving_to_a_full_disk_is_an_os_error():
    with pytest.raises(OSError, match="No space left on device"):
        training_state.write_state({"weights": torch.zeros(100_000)}, Path("/dev/full"))


def test_other_settings_or_data_are_named(tmp_path):
    StateFolder(tmp_path, {"epochs": 3, "seed": 1, "training data": "ab"}).claim()
    with pytest.raises(TrainingError, match="epochs was 3 and is 4, training data was 'ab' and is 'cd'"):
        StateFolder(tmp_path, {"epochs": 4, "seed": 1, "training data": "cd"}).claim()


def test_a_broken_state_is_an_error_that_says_what_to_do(tmp_path):
    folder = StateFolder(tmp_path, {})
    folder.save({}, Position(step=1))
    (tmp_path / "state" / "step-00000001" / "state.pt").write_bytes(b"no")
    with pytest.raises(TrainingError, match=r"step-00000001 cannot be read .* --overwrite"):
        folder.load()


def test_each_step_and_process_has_its_own_random_numbers():
    drawn = []
    for step, rank in ((0, 0), (1, 0), (0, 1), (0, 0)):
        seed_step(5, step, rank)
        drawn.append(float(torch.rand(())))
    assert len(set(drawn)) == 3 and drawn[0] == drawn[3]
