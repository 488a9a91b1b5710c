"""The metrics of a site, and their text."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from tako import __version__
from tako.chat.entries import Used
from tako.chat.generation import Generation, Outcome
from tako.chat.watch import Trace, Watch
from tako.metrics import shared

_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FIRST_TOKENS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
_ORPHANS = (0.1, 0.5, 1, 2, 4, 6, 8, 10, 15, 20, 30, 60, 120, 300)


class Metrics(Watch):
    """Counts in memory, or together with other workers where `shared` says so. Labels hold what an owner has named
    (providers, models) and words of ours, never anything of a visitor."""

    def __init__(self, trace: Callable[[Generation], Trace] | None = None) -> None:
        super().__init__(trace)
        # `…_created` of a counter is not known to several workers; so that one has the same names, it goes without.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self._registry = registry = CollectorRegistry()
        self._process_id = ""
        self._process = Gauge(
            "tako_process_start_time_seconds",
            "When a serving process registered itself with the database, as Unix time; 0 when it has lost its lease.",
            ("process", "version"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._leases_lost = Counter(
            "tako_leases_lost",
            "Times that another process took this one for dead and has its answers.",
            registry=registry,
        )
        self._running = Gauge(
            "tako_responses_running",
            "Responses that are being made now, titles included.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._queued = Gauge(
            "tako_responses_queued",
            "Responses that wait for their turn now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._ended = Counter(
            "tako_responses_ended",
            "Responses whose end is stored. The reason is empty for those that are complete.",
            ("purpose", "model", "status", "reason"),
            registry=registry,
        )
        self._tokens = Counter(
            "tako_tokens",
            "Tokens of ended responses, as billed: input as the model read it, output with its reasoning.",
            ("model", "direction"),
            registry=registry,
        )
        self._first_token = Histogram(
            "tako_first_token_seconds",
            "From the stored question to the first text of its answer, the wait for its turn included.",
            ("model",),
            registry=registry,
            buckets=_FIRST_TOKENS,
        )
        self._upstream_errors = Counter(
            "tako_upstream_errors",
            "Attempts that an upstream failed, by kind; those that were asked again count too.",
            ("provider", "kind"),
            registry=registry,
        )
        self._entries = Histogram(
            "tako_journal_commit_entries",
            "Entries that one group commit of the journal held; the count is that of commits, the sum that of entries.",
            registry=registry,
            buckets=_SIZES,
        )
        self._commits = Histogram(
            "tako_journal_commit_seconds",
            "How long one group commit took.",
            registry=registry,
            buckets=_COMMITS,
        )
        self._refused = Counter(
            "tako_journal_refused",
            "Times that the database took no entries or no end; each is tried again.",
            registry=registry,
        )
        self._resumes = Counter(
            "tako_resumes",
            "Readers that came to an answer that was there before, running or ended.",
            ("answer",),
            registry=registry,
        )
        self._replay = Histogram(
            "tako_replay_seconds",
            "Until a reader that came was handed all that it had missed.",
            registry=registry,
            buckets=_WAITS,
        )
        self._stop = Histogram(
            "tako_stop_seconds",
            "From a stop to the stored end of the answer, or to the error of whoever stopped it.",
            registry=registry,
            buckets=_WAITS,
        )
        self._orphans = Histogram(
            "tako_orphan_seconds",
            "From the last sign of life of a dead process until its answer went on or was closed.",
            registry=registry,
            buckets=_ORPHANS,
        )

    def text(self, accept: str) -> tuple[bytes, str]:
        """Everything, in the format that the `Accept` header prefers. Returns body and content type. Blocks while the
        files of other workers are read."""
        encode, content_type = choose_encoder(accept)
        registry = self._registry
        if (folder := shared.folder()) is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # theirs
        return encode(registry), content_type

    def registered(self, process_id: str) -> None:
        if self._process_id:
            self._leases_lost.inc()
            self._process.labels(self._process_id, __version__).set(0)
        self._process_id = process_id
        self._process.labels(process_id, __version__).set(time.time())

    def committed(self, entries: int, seconds: float) -> None:
        self._entries.observe(entries)
        self._commits.observe(seconds)

    def refused(self) -> None:
        self._refused.inc()

    def running(self, running: int, queued: int) -> None:
        self._running.set(running)
        self._queued.set(queued)

    def first_token(self, generation: Generation, seconds: float) -> None:
        if generation.response.purpose == "answer":  # nobody waits for a title
            self._first_token.labels(generation.response.model).observe(seconds)

    def upstream_failed(self, provider: str, code: str) -> None:
        self._upstream_errors.labels(provider, code).inc()

    def ended(self, generation: Generation, outcome: Outcome, bill: Used) -> None:
        response = generation.response
        reason = outcome.error_code or outcome.reason or ""
        self._ended.labels(response.purpose, response.model, outcome.status, reason).inc()
        self._tokens.labels(response.model, "input").inc(bill.input_tokens)
        self._tokens.labels(response.model, "output").inc(bill.output_tokens)

    def resumed(self, *, running: bool) -> Callable[[], None]:
        self._resumes.labels("running" if running else "ended").inc()
        came = time.monotonic()
        return lambda: self._replay.observe(time.monotonic() - came)

    def stopped(self, seconds: float) -> None:
        self._stop.observe(seconds)

    def adopted(self, seconds: float) -> None:
        self._orphans.observe(seconds)
