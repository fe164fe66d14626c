"""Uploads an exported model to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path


def push(folder: Path, repo: str, public: bool = False) -> str:
    """Upload the files of `folder` into the model `OWNER/NAME`, which is made private unless `public`.

    Returns one line with its address. Raises ValueError, one line: without a login, for a name that the hub does not
    take, when it does not answer, and for a model that is there already and that everybody may read, unless `public`.
    """
    from httpx2 import HTTPError  # both take a second
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        made = hub.create_repo(repo, private=not public, exist_ok=True)
        if not public and not hub.model_info(made.repo_id).private:
            raise ValueError("everybody may read that model: write --public if that is meant, or another name")
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Exported by MedSeRL")
    except (ValueError, OSError, HTTPError) as error:  # the last one: of the transport
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"--push {repo}: {said or type(error).__name__}; the export is in {folder}") from None
    return f"uploaded to {made}, {'which everybody may read' if public else 'private'}"
