"""Every metric of a run, declared once. Actors count in plain dicts; the supervisor serves them for Prometheus.

Counters are monotonic sums over all actors, replaced ones too; gauges are the newest value. All series exist, at zero,
from the first scrape. Names follow the Prometheus conventions: base units, `_total` for counters.
"""

from __future__ import annotations

import hmac
import socket
import threading
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from common.buffer_records import RejectReason, TaskState
from common.records import Record

ROLES = ("scribe", "doctor", "verifier")
BUFFER_STATES = tuple(TaskState)
ACTOR_KINDS = ("engine", "scribe", "doctor", "learner", "buffer")
SCALED_KINDS = ("engine", "scribe", "doctor")
WEIGHT_STATISTICS = ("effective_sample_size", "mismatch_kl", "share_clamped", "mean_abs_logp_difference")
TURNS = ("1", "2", "3", "4", "5-8", "9+")
TURN_BOUNDS = (1, 2, 3, 4, 8)  # the first turn, from 0, of each of TURNS but the first
TURN_STATISTICS = ("mismatch_kl", "share_clamped", "advantage_mean")
REJECTIONS = tuple(RejectReason)  # a game's own reasons are added by Board.expect


class Metric(Record):
    """One declared series per combination of label values. `known` has the values known beforehand, one tuple a label.

    A label whose values are known to a run only, such as a game's measures, has none: `Board.expect` declares those.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()

    @property
    def series(self) -> tuple[tuple[str, ...], ...]:
        """The label values of each series that exists from the first scrape; one empty tuple without labels."""
        return tuple(product(*self.known))


def _counter(name: str, help_: str, **labels: tuple[str, ...]) -> Metric:
    return _metric("counter", name, help_, labels)


def _gauge(name: str, help_: str, **labels: tuple[str, ...]) -> Metric:
    return _metric("gauge", name, help_, labels)


def _metric(kind: Literal["counter", "gauge"], name: str, help_: str, labels: dict[str, tuple[str, ...]]) -> Metric:
    return Metric(name=f"medserl_{name}", kind=kind, help=help_, labels=tuple(labels), known=tuple(labels.values()))


RUN = _gauge("run_info", "1 for each job: its run's name and its job-id, of which all other series are.", run=(), id=())
ROLLOUT_TOKENS = _counter("rollout_tokens_total", "Completion tokens sampled.", role=ROLES)
COMPLETIONS = _counter("completions_total", "Completions sampled.", role=ROLES)
LATER_PROMPT_TOKENS = _counter(
    "later_turn_prompt_tokens_total", "Prompt tokens of the second and later turns of episodes.", role=ROLES
)
LATER_CACHED_TOKENS = _counter(
    "later_turn_cached_tokens_total", "Those of them that were in the engine's prefix cache.", role=ROLES
)
LEARNER_TOKENS = _counter("learner_tokens_total", "Tokens (prompt and completion) the learner trained on.")
LEARNER_STEPS = _counter("learner_steps_total", "Optimiser steps.")
TASKS = _counter("tasks_total", "Tasks made, by game and kind.", env=(), kind=())
PROPOSALS = _counter(
    "proposal_outcomes_total",
    "What the proposer tried while it made tasks, by game, stage and outcome: accepted, or why a try was refused.",
    env=(),
    stage=(),
    outcome=(),
)
ROYALTIES = _counter(
    "royalties_total",
    "Tries of a trained Scribe: unverified ones (paid 0), verified ones by the Doctor's success rate (paid 4p(1-p)), "
    "and those that never reached a step: unread, stale, overflow, with a log-prob that is NaN or infinite, or in a "
    "batch of uniform rewards.",
    outcome=(
        "unverified",
        *(f"{tenth / 10:.1f}" for tenth in range(11)),
        "unread",
        "stale",
        "overflow",
        "not_finite",
        "uniform",
    ),
)
REJECTED = _counter("rejections_total", "Proposals, tasks and groups refused, by reason.", reason=REJECTIONS)
ENGINE_RESTARTS = _counter("engine_restarts_total", "Engines replaced after a death or a failed sync.")
ACTOR_RESTARTS = _counter("actor_restarts_total", "Other actors replaced after a death.", actor=(*ACTOR_KINDS, "pool"))
CHECKPOINTS = _counter("checkpoints_total", "Checkpoints, by outcome.", outcome=("ok", "failed"))
DAMAGED = _counter("damaged_total", "Damaged lines, files and checkpoints of the run that were left out.")
SYNCS = _counter("weight_syncs_total", "Weight syncs, by outcome.", outcome=("ok", "failed"))
SKIPPED = _counter(
    "skipped_steps_total",
    "Steps whose loss or gradient was NaN or infinite: the weights stayed as they were, of Doctor or Scribe.",
    role=("doctor", "scribe"),
)
SCRIBE_STEPS = _counter("scribe_steps_total", "Optimiser steps of a trained Scribe.")
SCRIBE_STARVED = _counter("scribe_starved_total", "Scribe phases cut short or skipped because no batch was ready.")
SCRIBE_REWARD = _gauge("scribe_reward_mean", "Mean reward of the Scribe's tries in its last phase.")
SCRIBE_VERSION = _gauge("scribe_policy_version", "Scribe steps whose weights were published.")
REWARD = _gauge("reward_mean", "Mean reward of the last batch.")
UNIFORM = _gauge("uniform_groups", "Share of the last batch's groups whose episodes all earned the same.")
LOSS = _gauge("loss", "Loss of the last step, mean over sampled tokens.")
KL = _gauge("kl_to_reference", "KL to the warmed-up policy in the last batch, nats per token; 0 while kl_coef is 0.")
GRAD_NORM = _gauge("grad_norm", "L2 norm of the last step's gradient, before clipping.")
LEARNING_RATE = _gauge("learning_rate", "Learning rate of the last step.")
REPLY_TOKENS = _gauge("reply_tokens", "Sampled tokens per reply in the last batch.")
TRUNCATED = _gauge("truncated_share", "Share of the last batch's episodes that the token limit ended.")
ENTROPY = _gauge("entropy", "Mean -log-prob of the sampled tokens of the last batch, nats: estimates the entropy.")
HELDOUT = _gauge(
    "heldout_score",
    "The held-out measure that the plot shows, with its 95 % interval, and what a policy that reads nothing reaches.",
    env=(),
    figure=(),
)
HELDOUT_VERSION = _gauge("heldout_policy_version", "policy_version of the newest held-out evaluation.")
REFUSED_IN_A_ROW = _gauge(
    "refused_in_a_row",
    "Tasks or groups refused since the last one passed, under the reason of the last refusal.",
    what=("tasks", "groups"),
    reason=REJECTIONS,
)
REWARD_BY_COMPONENT = _gauge("reward_component_mean", "Mean of the last batch.", component=())
ENV_MEASURE = _gauge("env_measure", "What a game measures of the last batch (docs/design.md).", env=(), measure=())
ENV_ALARM = _gauge("env_alarm", "1 while the game warns: its measures show that training goes wrong.", env=())
BUFFER = _gauge("buffer_tasks", "Tasks in the replay buffer, by state.", state=BUFFER_STATES)
MADE = _gauge("buffer_made", "Tasks made or refused: each is in one state of medserl_buffer_tasks.")
CLAIMED = _gauge("buffer_claimed", "Plan indices that a Scribe is working on; they are not in buffer_made yet.")
IMBALANCE = _gauge("buffer_imbalance", "Tasks made minus tasks in a state; not 0 if one was lost or counted twice.")
KV_USE = _gauge("kv_cache_use", "Share of the KV cache in use, by role; the fullest engine of the role.", role=ROLES)
POLICY_VERSION = _gauge("policy_version", "Learner steps whose weights were published.")
POLICY_LAG = _gauge("policy_lag", "Largest policy lag in the last batch, learner steps.")
POLICY_LAG_BOUND = _gauge("policy_lag_bound", "Largest policy lag that the spec allows, learner steps.")
SYNC_SECONDS = _gauge("weight_sync_seconds", "Duration of the last weight sync.")
SYNC_OK = _gauge("sync_ok", "1 if every engine was verified to hold the newest policy.")
CANARY = _gauge("canary_logp_difference", "Mean |log-prob difference| of the last canary, worst engine.")
FRESH = _gauge("fresh_logp_difference", "Mean |log-prob difference| of engines and learner on fresh rollouts.")
WEIGHTS = _gauge("importance_weight", "Importance-weight statistics.", statistic=WEIGHT_STATISTICS)
BY_TURN = _gauge(
    "turn_statistic",
    "Over the sampled tokens of the episodes' n-th turns in the last batch.",
    turn=TURNS,
    statistic=TURN_STATISTICS,
)
ACTORS = _gauge("actors", "Running actors, of the kinds that `medserl apply` can scale.", actor=SCALED_KINDS)
ACTORS_WANTED = _gauge("actors_wanted", "Actors that the spec in effect asks for.", actor=SCALED_KINDS)
PHASE = _gauge("actor_busy", "1 while the actor kind is working, 0 while it waits.", actor=ACTOR_KINDS)
STEP_SECONDS = _gauge("learner_step_seconds", "Duration of the last optimiser step.")

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))

Counts = dict[tuple[str, tuple[str, ...]], float]
"""What an actor counted: (metric name, label values) -> sum since the actor started."""


class Meter:
    """An actor's own counters, sent complete with each heartbeat (so a lost heartbeat loses nothing)."""

    def __init__(self) -> None:
        self._counts: Tally[tuple[str, tuple[str, ...]]] = Tally()

    def add(self, metric: Metric, amount: float = 1, *values: str) -> None:
        assert metric.kind == "counter" and len(values) == len(metric.labels), (metric.name, values)
        self._counts[metric.name, values] += amount  # type: ignore[assignment]

    def counts(self) -> Counts:
        return dict(self._counts)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingWSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hangs up is no fault of the run's."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class Board:
    """The job's series: merges actors' counts into monotonic sums and serves them on one port."""

    def __init__(self, metrics: Iterable[Metric] = ALL) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[str, Counter | Gauge] = {}
        self._seen: dict[str, Counts] = {}
        self._totals: Counts = {}
        for metric in metrics:
            self._declare(metric)

    def _declare(self, metric: Metric) -> None:
        kind = Counter if metric.kind == "counter" else Gauge
        self._series[metric.name] = kind(metric.name, metric.help, metric.labels, registry=self.registry)
        for values in metric.series:
            self.expect(metric, *values)

    def expect(self, metric: Metric, *values: str) -> None:
        """Create the series of these label values, at zero, before anything is counted."""
        self._at(metric.name, values)

    def _at(self, name: str, values: tuple[str, ...]) -> Any:
        series = self._series[name]
        return series.labels(*values) if values else series

    def serve(self, port: int, host: str, token: str = "") -> int:
        """Serve on `host:port` (0: any free port); returns the port. Raises OSError when the port is taken.

        With a `token`, a request without it as `Authorization: Bearer` gets only status 401.
        """
        metrics, wanted = make_wsgi_app(self.registry), f"Bearer {token}".encode()

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")
            if token and not hmac.compare_digest(given, wanted):
                start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
                return [b""]
            return metrics(environ, start_response)

        server = make_server(host, port, app, _Server if ":" not in host else _Server6, _Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return int(server.server_port)

    def merge(self, actor: str, counts: Mapping[tuple[str, tuple[str, ...]], float]) -> None:
        """Add what `actor` counted since its last report. One that took its name needs a `forget` in between."""
        seen = self._seen.setdefault(actor, {})
        for (name, values), total in counts.items():
            self.add(name, total - seen.get((name, values), 0), *values)
        self._seen[actor] = dict(counts)

    def forget(self, *actors: str) -> None:
        """Other processes have the names of these actors from now on, or of all if none is named: they count from 0."""
        for actor in actors or tuple(self._seen):
            self._seen.pop(actor, None)

    def add(self, name: str, amount: float = 1, *values: str) -> None:
        assert isinstance(self._series[name], Counter)
        self._at(name, values).inc(amount)
        self._totals[name, values] = self._totals.get((name, values), 0) + amount

    def set(self, metric: Metric, value: float, *values: str) -> None:
        assert isinstance(self._series[metric.name], Gauge)
        self._at(metric.name, values).set(value)

    def total(self, metric: Metric, *values: str) -> float:
        """A counter's current value; 0 before the first count."""
        return self._totals.get((metric.name, values), 0)
