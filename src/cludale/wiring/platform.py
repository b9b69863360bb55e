"""The platform: services, store and bus in one process, from start to stop."""

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from cludale.adapters.dapr.bus import DaprBus
from cludale.adapters.dapr.consumption import Consumption
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.probing import BrokerProbe, SidecarProbe
from cludale.adapters.dapr.publisher import Publisher
from cludale.adapters.dapr.routes import AppToken, sidecar_routes
from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.embedded.bus import EmbeddedBus
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.adapters.system.folders import FolderWatch
from cludale.adapters.system.keys import UnusableKey, kept_key
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause
from cludale.kernel.wire import Codec
from cludale.ports.bus import Subscription
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.dead_letters import DeadLetters
from cludale.runtime.history import Histories
from cludale.runtime.outcomes import HandlerOutcomes
from cludale.runtime.readiness import Dependency, Pulse, Readiness, Trouble
from cludale.runtime.relay import Relay
from cludale.runtime.sweeper import Sweeper
from cludale.runtime.tasks import Tasks
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.services.concerts.directory import Search
from cludale.services.concerts.service import Concerts
from cludale.services.manifest import Running, Service
from cludale.services.orders.service import Orders
from cludale.services.payments.service import Payments
from cludale.web.access import Access
from cludale.web.app import Admit
from cludale.web.figures import Current
from cludale.web.keyring import FRESH_SECONDS, KeyRing
from cludale.web.limits import Limits
from cludale.web.metrics import RequestCounts
from cludale.web.routing import Route
from cludale.wiring.demo import demo_concerts
from cludale.wiring.key_watch import KeyWatch
from cludale.wiring.keys import keep_key_hash, key_hashes, service_keys, token_keys
from cludale.wiring.needs import app_id, broker_backlog, check, sidecar_of
from cludale.wiring.networks import request_limits
from cludale.wiring.services import ServiceBuilder
from cludale.wiring.settings import Settings
from cludale.wiring.stores import Store, exchange, is_of_one_process, open_store
from cludale.wiring.watching import Watching

_log = logging.getLogger(__name__)

STORE_STOPS = "Nothing can be sold, paid or cancelled until it does; what is there can be read."
BROKER_STOPS = "Events wait in the outbox: what is ordered meanwhile is paid, sold or cancelled once it does."
STATE_STOPS = "Concerts keeps no answer to an Idempotency-Key and no choice of a section until it does."
SIDECAR_STOPS = "Nothing is published, taken or called until there is one."


@runtime_checkable
class HasGauges(Protocol):
    """A part with figures for the operator."""

    def gauges(self) -> Mapping[str, float]:
        """By metric name."""
        ...


class Platform:
    """Some or all of the services, put together over one store, on one event loop."""

    def __init__(self, settings: Settings, only: Collection[str] = NAMES, *, watching: Watching | None = None) -> None:
        """Open the store and build the services, `watching` put around their parts. Call on the event loop.

        Raises MissingSetting, and what opening a store raises.
        """
        check(settings, only)
        self.settings = settings
        self.whole = set(only) == set(NAMES)
        data: Path = settings.data_dir
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept = FolderWatch(data)
        self.clock = SystemClock()
        self.ids = SystemIds()
        if self.whole and not settings.dapr and settings.key_hash is None:
            keep_key_hash(data, settings.organizer_key)
        self._key_hashes = key_hashes(settings)
        key_ring = self._ring = self._key_ring(only)
        self.limits: Limits | None = request_limits(settings)
        """How many requests an address, and a key, may make."""
        self._token_keys = token_keys(settings)
        self.access = Access(
            organizer_key=settings.organizer_key or kept_key(data / "organizer.key"),
            token_key=self._token_keys.key,
            token_key_too=self._token_keys.too,
            service_keys=service_keys(settings, only),
            serves=only,
            keys=key_ring,
        )
        self.store: Store = open_store(settings, only)
        self._exchange = exchange(settings, self.limits, only)
        self.dead_letters = DeadLetters(self.store, self.clock)
        delivery = Backoff(settings.delivery_backoff_seconds, settings.delivery_backoff_max_seconds)
        self.sidecar = sidecar_of(settings) if settings.dapr else None
        self._inbound: Inbound | None = None
        self.ready = False
        """Has this process begun its work, and not ended it? Whether it can do it is for `troubles` to say."""
        self._consumption = Consumption(
            wanted=settings.consume, most=settings.consume_most, is_ready=lambda: self.ready
        )
        self._outcomes = HandlerOutcomes(self.clock.now)
        self.bus = self._bus(delivery, only)
        self.admission = self._admission()
        self.requests = RequestCounts()
        """Counts what is asked of this process; for the app that serves it."""
        self.histories = Histories(self.clock)
        self._backlog = broker_backlog(settings, only)
        self.relay = Relay(
            self.store,
            self.bus if watching is None else watching.bus(self.bus),
            clock=self.clock,
            ids=self.ids,
            backoff=delivery,
            on_progress=self.admission.let_in,
        )
        self._builder = self._service_builder(only, watching)
        self.services: Sequence[Service] = self._builder.build()
        self.key_watch = KeyWatch(
            key_ring, self._builder.keys, are_here="concerts" in only, also=self._look_at_kept_keys
        )
        if "concerts" in only:
            self.concerts.keys.changed = self.key_watch.look_now
        sweeps = {name: each.sweep for name, each in self._running.items() if each.sweep is not None}
        self.sweeper = Sweeper(
            sweeps, every_seconds=settings.sweep_seconds, clock=self.clock, takes_work=self._takes_work
        )
        for each in self.services:
            self.histories.watch(each.name, partial(self._figures, each))
        self._readiness = Readiness(self.clock)
        self._tasks = Tasks(lambda error: _log.critical("a task of the platform ended: %r", error, exc_info=error))
        self.internal: Sequence[Route] = ()
        """Routes for the sidecar."""
        self.admit: Admit | None = None
        """Looks at each request before anything else does."""
        if self.sidecar is not None and self._inbound is not None:
            self._answer_the_sidecar(self.sidecar, self._inbound, only)

    def _key_ring(self, only: Collection[str]) -> KeyRing:
        is_alone = "concerts" in only and is_of_one_process(self.settings)
        return KeyRing(
            self._key_hashes.used,
            peppers_too=self._key_hashes.too,
            renews=self._key_hashes.is_changing,
            now=self.clock.now,
            monotonic=time.monotonic,
            fresh_seconds=math.inf if is_alone else FRESH_SECONDS,
        )

    def _service_builder(self, only: Collection[str], watching: Watching | None) -> ServiceBuilder:
        return ServiceBuilder(
            settings=self.settings,
            only=only,
            store=self.store,
            bus=self.bus,
            admission=self.admission,
            dead_letters=self.dead_letters,
            current=Current(self.histories, lambda: self.troubles),
            access=self.access,
            clock=self.clock,
            ids=self.ids,
            watching=watching,
            takes_work=self._takes_work,
            is_on_trial=lambda: not self._consumption.wanted,
        )

    def _admission(self) -> AdmissionControl:
        settings = self.settings
        return AdmissionControl(
            inside_limit=settings.admission_inside,
            waiting_limit=settings.admission_waiting,
            waiting_seconds=settings.admission_seconds,
            backlog=lambda: self.relay.lag,
            backlog_limit=settings.admission_backlog_events,
        )

    def _answer_the_sidecar(self, sidecar: Sidecar, inbound: Inbound, only: Collection[str]) -> None:
        """Have its routes, and look at its token in each call that comes through it."""
        token = AppToken(self.settings.app_api_token or "")
        self.admit = token.check_call
        self.internal = sidecar_routes(
            CATALOGUE,
            inbound,
            sidecar,
            token,
            self._consumption,
            self.access,
            heard=frozenset().union(*(HEARS[name] for name in self._running)),
            app_id=app_id(self.settings, only),
            pubsub=self.settings.pubsub,
            hears_dead_letters=not self.settings.consume_most,
        )

    def _bus(self, delivery: Backoff, only: Collection[str]) -> EmbeddedBus | DaprBus:
        settings = self.settings
        codec = Codec(CATALOGUE)
        if self.sidecar is None:
            return EmbeddedBus(
                codec,
                ids=self.ids,
                backoff=delivery,
                attempts=settings.delivery_attempts,
                dead_letters=self.dead_letters,
                outcomes=self._outcomes,
            )
        self._inbound = Inbound(
            codec,
            app_id=app_id(settings, only),
            ids=self.ids,
            backoff=delivery,
            attempts=settings.delivery_attempts,
            dead_letters=self.dead_letters,
            consumption=self._consumption,
            outcomes=self._outcomes,
        )
        return DaprBus(self.sidecar, Publisher(self.sidecar, settings.pubsub), self._inbound, CATALOGUE)

    def _look_at_kept_keys(self) -> None:
        """Where secrets are kept in the data folder, they are changed there, by new files, while this process runs."""
        if self._kept.may_have_changed():
            self._look_at_token_keys()
            self._look_at_key_hashes()

    def _look_at_key_hashes(self) -> None:
        settings = self.settings
        if settings.key_hash is not None or settings.dapr or not (settings.data_dir / "keys.key").exists():
            return
        try:
            found = key_hashes(settings)
        except (OSError, UnusableKey) as error:
            _log.warning("what keys are hashed with can't be read again, so the one before is used: %s", error)
            self._kept.look_again()
            return
        if found != self._key_hashes:
            self._key_hashes = found
            self._ring.use_peppers(found.used, found.too, renews=found.is_changing)
            self._builder.buyers.use(*found.buyers)
            _log.info("hashes of keys and of buyers are made with another secret from now on")

    def _look_at_token_keys(self) -> None:
        kept = self.settings.data_dir / "token.key"
        if self.settings.token_key is not None or self.settings.dapr or not kept.exists():
            return
        try:
            found = token_keys(self.settings)
        except (OSError, UnusableKey) as error:
            _log.warning("the token key can't be read again, so the one before is used: %s", error)
            self._kept.look_again()
            return
        if found != self._token_keys:
            self._token_keys = found
            self.access.use_token_keys(*found)
            _log.info("access tokens follow from another key from now on")

    def _takes_work(self) -> bool:
        # Without a sidecar there is no other release to leave it to.
        return self.sidecar is None or self._consumption.takes_due_work

    @property
    def _running(self) -> Mapping[str, Running]:
        return {service.name: service.running for service in self.services}

    @property
    def concerts(self) -> Concerts:
        """Concerts, if it is here. Raises KeyError."""
        return cast("Concerts", self._builder.built["concerts"])

    @property
    def orders(self) -> Orders:
        """Orders, if it is here. Raises KeyError."""
        return cast("Orders", self._builder.built["orders"])

    @property
    def payments(self) -> Payments:
        """Payments, if it is here. Raises KeyError."""
        return cast("Payments", self._builder.built["payments"])

    async def start(self) -> None:
        """Open what lies elsewhere; then deliver and sweep, once there is a bus. Raises what opening a store raises.

        Without a sidecar one service alone keeps its events in the outbox: there is no bus between processes.
        """
        await self.store.start()
        self._readiness.watch(
            Dependency("store", "The store takes no writes", STORE_STOPS, self.store.pulse, self.store.probe)
        )
        for each in self._running.values():
            if each.prepare is not None:
                await each.prepare()
        await self.key_watch.start()
        self.histories.start()
        if self._backlog is not None:
            self._backlog.start()
        if self._exchange is not None:
            await self._exchange.start()
        if self.settings.demo and "concerts" in self._running:
            await self._put_on_demo()
        hearing = [
            Subscription(name, HEARS[name], each.handle)
            for name, each in self._running.items()
            if each.handle is not None
        ]
        if self.sidecar is not None:
            self.bus.start(hearing)
            self._tasks.start(self._join(self.sidecar))
            return
        if self.whole:
            self.bus.start(hearing)
            self.relay.start()
        else:
            _log.warning(
                "only %s here: events stay in the outbox, for there is no bus between processes",
                ", ".join(self._running),
            )
        self._tasks.start(self.sweeper.run())
        self.ready = True

    async def _join(self, sidecar: Sidecar) -> None:
        """Begin once the sidecar is there; it waits for this process to listen, so this can't be waited for."""
        await sidecar.wait(self.settings.sidecar_seconds)
        self.relay.start()
        self._tasks.start(self.sweeper.run())
        self.ready = True
        look = SidecarProbe(sidecar).probe
        self._readiness.watch(
            Dependency("sidecar", "There is no Dapr sidecar", SIDECAR_STOPS, Pulse(), look, is_shared=False)
        )
        if isinstance(self.bus, DaprBus):
            publisher = self.bus.publisher
            probe = BrokerProbe(sidecar, publisher, self.settings.pubsub).probe
            self._readiness.watch(
                Dependency("broker", "The broker takes no events", BROKER_STOPS, publisher.pulse, probe)
            )
        state = self._builder.concerts_state
        if state is not None:
            self._readiness.watch(
                Dependency("state", "The Dapr state store takes no writes", STATE_STOPS, state.pulse, state.probe)
            )
        _log.info("the Dapr sidecar is there: %s", ", ".join(self._running))

    @property
    def troubles(self) -> Sequence[Trouble]:
        """The parts that this process needs and that do not work now."""
        return self._readiness.troubles

    async def _put_on_demo(self) -> None:
        known, _ = await self.concerts.directory.search(Search(limit=1))
        if not known:
            for concert in demo_concerts(self.clock.now(), max_per_order=self.settings.max_per_order):
                await self.concerts.directory.schedule(concert, Cause())

    def stopping(self) -> None:
        """Keep nobody waiting who has a connection: what is in flight is answered before `stop`."""
        self.admission.close()
        for each in self._running.values():
            each.end_waiting()

    async def stop(self) -> None:
        """Finish nothing new, keep everything: what is under way goes on at the next start."""
        self.ready = False
        await self._tasks.stop()
        await self._readiness.stop()
        await self.histories.stop()
        if self._backlog is not None:
            await self._backlog.stop()
        await self.key_watch.stop()
        if self._exchange is not None:
            await self._exchange.stop()
        await self.relay.stop()
        await self.bus.stop()
        for each in self._running.values():
            if each.stop is not None:
                await each.stop()
        for part in self._builder.closing:
            await part.close()
        if self.sidecar is not None:
            await self.sidecar.close()
        await self.store.close()

    def _figures(self, service: Service) -> Mapping[str, float]:
        """What is kept of the last minutes of one service; what is the process's is with each of its services."""
        return {
            **self.requests.of(service.name),
            **self._outcomes.of(service.name),
            **service.running.gauges(),
            "cludale_queue_depth": self.bus.depths.get(service.name, 0),
            **self._of_the_process(),
        }

    def _of_the_process(self) -> Mapping[str, float]:
        return {
            "cludale_events_under_way": self.relay.lag,
            **(self._backlog.gauges() if self._backlog is not None else {}),
            "cludale_outbox_oldest_seconds": self.relay.oldest_seconds,
            "cludale_admission_inside": self.admission.inside,
            "cludale_admission_waiting": self.admission.waiting,
            "cludale_admission_turned_away_total": self.admission.turned_away,
        }

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_ready": float(self.ready and not self.troubles),
            **self._readiness.gauges(),
            **self._of_the_process(),
            "cludale_events_published_total": self.relay.published,
            "cludale_dead_letters_total": self.dead_letters.buried,
            **({} if self._exchange is None else self._exchange.gauges()),
            **self._outcomes.gauges(self.settings.revision),
            **{name: value for each in self._running.values() for name, value in each.gauges().items()},
            **{f'cludale_queue_depth{{service="{name}"}}': depth for name, depth in self.bus.depths.items()},
            **(
                {
                    "cludale_events_delivered_total": self._inbound.delivered,
                    "cludale_events_too_early_total": self._inbound.too_early,
                    "cludale_events_handed_back_total": self._consumption.handed_back,
                }
                if self._inbound is not None
                else {}
            ),
            **(self.store.gauges() if isinstance(self.store, HasGauges) else {}),
        }
