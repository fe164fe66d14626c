"""SA27, SA29 to SA31, SA33 and SA34: what needs a model, a server or a training run."""

from __future__ import annotations

from evals.core.parity import Elsewhere

OPENENV = "tests/envs/adapters/test_openenv.py"
ROWS = (
    Elsewhere(
        "SA27",
        "base and trained model in one table, with intervals against flag all, approve one and the heuristic",
        (
            "python -m bench.learns --env oversight",
            "medserl eval --suite oversight --model runs/oversight/model --spec oversight",
            "tests/evals/suites/oversight/test_oversight.py::test_base_and_trained_are_compared_trial_by_trial_in_one_table",
        ),
        "takes an hour: on trials of two proposals the tiny model is above every blind policy (docs/benchmarks.md)",
    ),
    Elsewhere(
        "SA29",
        "an OpenEnv server passes the validator and an episode over its socket",
        (
            "make openenv",
            f"{OPENENV}::test_openenv_s_validator_passes_a_running_server",
            f"{OPENENV}::test_the_oracle_plays_over_the_wire_as_it_does_in_this_process",
        ),
        "OpenEnv needs an environment of its own",
    ),
    Elsewhere(
        "SA30",
        "64 sessions at a time that do not mix",
        ("make openenv", f"{OPENENV}::test_sixty_four_sessions_at_a_time_do_not_mix"),
        "OpenEnv needs an environment of its own",
    ),
    Elsewhere(
        "SA31",
        "a typed client",
        ("make openenv", f"{OPENENV}::test_the_typed_client_sends_calls_and_gets_records"),
        "OpenEnv needs an environment of its own",
    ),
    Elsewhere(
        "SA33",
        "training with LoRA: a tiny model on a CPU, a smoke run on a GPU",
        ("medserl selfplay oversight_smoke", "medserl selfplay oversight", "medserl plan oversight_4090"),
        "a run trains for minutes: both were made on a CPU, SmolLM2 with LoRA for three steps, and none on a GPU",
    ),
    Elsewhere(
        "SA34",
        "an adapter for PEFT, and inference with it",
        (
            "medserl export runs/oversight my-adapter --adapter",
            "medserl ask runs/oversight --task-file trial.json",
            "tests/deploy/test_export.py::test_an_adapter_names_the_published_base_and_no_cache_folder",
        ),
        "needs the model of a run",
    ),
)
