//! The handlers of one cell: they know its table, its control planes and its servers, and nothing of other cells.
//! Two cells may have servers of the same id, so that everything that is kept for a server is kept in a cell.

use std::sync::Arc;

use usher_bbb::call::CallStrategy;
use usher_model::settings::Settings;
use usher_runtime::{repeated_warnings::RequestWarnings, tasks::TaskGroup};

use super::{
    admission::{BodyLimits, CallTimeouts},
    callback_sealer::CallbackSealer,
    calls::{
        create::{CreateCalls, CreatePorts},
        hooks::HookCalls,
        join::JoinCalls,
        lists::ListCalls,
        meeting_calls::MeetingCalls,
        recordings::{LibraryKeeper, RecordingCalls},
    },
    fleet::{meeting_locator::MeetingLocator, server_calls::ServerCalls, survey::FleetSurvey},
    inbound::{CallbackReceiver, EventReceiver, HandOverLimits, HandOverShares},
    reply::CallReply,
    request::VerifiedRequest,
};
use crate::{
    control::{
        callbacks::CallbackClient, current_table::CurrentTable, hooks::HookClient, library::LibraryClient,
        meeting_lookups::MeetingLookups, placement::PlacementClient,
    },
    core::{admission::ByteBudget, rules::DeploymentRules},
    metrics::RequestMetrics,
    upstream::{FairCompute, ServerClient, SharedLists, SharedReads},
};

/// The ports of one cell.
#[derive(Debug)]
pub(crate) struct CellPorts {
    /// The routing table.
    pub(crate) current: Arc<CurrentTable>,
    /// The control planes, for records of meetings.
    pub(crate) placement: PlacementClient,
    /// The control planes, for callbacks and hooks; `None` if servers have no address of the edges.
    pub(crate) callbacks: Option<CallbackPorts>,
    /// The servers.
    pub(crate) upstream: ServerClient,
    /// The reads in progress, which requests share.
    pub(crate) reads: SharedReads,
    /// The lists of servers, which requests of all tenants share.
    pub(crate) lists: SharedLists,
    /// The recordings library; `None` if recordings stay on the servers.
    pub(crate) library: Option<LibraryClient>,
}

/// The ports for requests of servers.
#[derive(Debug)]
pub(crate) struct CallbackPorts {
    /// The address of the edges, as servers reach them.
    pub(crate) public_url: String,
    /// The client for callbacks.
    pub(crate) callbacks: CallbackClient,
    /// The client for hooks and events.
    pub(crate) hooks: HookClient,
}

/// The parts of the edge that all cells share.
#[derive(Debug)]
pub(crate) struct SharedPorts {
    /// The budget of bytes in memory.
    pub(crate) bytes: ByteBudget,
    /// The threads for long work.
    pub(crate) compute: FairCompute,
    /// The owner of work that must outlive its request.
    pub(crate) tasks: TaskGroup,
    /// The counters of requests.
    pub(crate) metrics: RequestMetrics,
}

/// The handlers of one cell.
#[derive(Debug)]
pub(super) struct CellCalls {
    pub(super) joins: JoinCalls,
    creates: CreateCalls,
    meetings: Arc<MeetingCalls>,
    lists: ListCalls,
    recordings: RecordingCalls,
    /// `None` if servers have no address to which they could send events.
    hooks: Option<HookCalls>,
}

/// Returns the address of playback, without a final slash. It is never the host of a request, which a client chooses.
fn playback_base(settings: &Settings) -> Arc<str> {
    let address = settings.recordings.url.as_ref().or(settings.public_url.as_ref());
    Arc::from(address.map_or("", String::as_str).trim_end_matches('/'))
}

impl CellCalls {
    /// Builds the handlers of a cell from its ports, with the limits of `settings`; and the receiver of callbacks,
    /// if servers have an address of the edges.
    pub(super) fn new(
        settings: &Settings,
        ports: CellPorts,
        shared: &SharedPorts,
    ) -> (Self, Option<CallbackReceiver>) {
        let CellPorts { current, placement, callbacks, upstream, reads, lists, library } = ports;
        let SharedPorts { bytes, compute, tasks, metrics } = shared;
        let (compute, tasks) = (compute.clone(), tasks.clone());
        let timeouts = CallTimeouts {
            create: settings.meetings.create_timeout,
            call: settings.meetings.call_timeout,
            recordings: settings.meetings.recordings_timeout,
            upload: settings.meetings.upload_timeout,
        };
        let silence = settings.edge.client_timeout;
        let rules = Arc::new(
            DeploymentRules::new(&settings.meetings)
                .with_library(settings.public_url.clone().filter(|_| settings.recordings.library)),
        );
        let servers = ServerCalls::new(upstream, (reads, lists), compute.clone());
        let lookups = MeetingLookups::new(placement.clone(), tasks.clone(), metrics.shared_lookups.clone());
        let locator = MeetingLocator::new(lookups);
        let warnings = RequestWarnings::default();
        let addresses = callbacks.as_ref().map(|ports| {
            let planes = ports.callbacks.clone();
            Arc::new(CallbackSealer::new(&ports.public_url, &settings.callbacks, planes, warnings.clone()))
        });
        let survey = FleetSurvey {
            timeout: timeouts.call,
            partial_lists: metrics.partial_lists.clone(),
            refused_lists: metrics.refused_lists.clone(),
            addresses: addresses.clone(),
            compute,
            warnings: warnings.clone(),
        };
        let recordings_survey =
            FleetSurvey { timeout: settings.meetings.recordings_timeout, ..survey.clone() };
        let create_ports = Arc::new(CreatePorts {
            placement: placement.clone(),
            current: Arc::clone(&current),
            servers: servers.clone(),
            addresses: addresses.clone(),
            timeouts,
            tasks: tasks.clone(),
            warnings: warnings.clone(),
            second_tries: metrics.second_tries.clone(),
        });
        let hooks = callbacks.as_ref().map(|ports| ports.hooks.clone());
        let receiver = callbacks.zip(addresses.clone()).map(|(ports, addresses)| {
            let body = BodyLimits { largest: settings.callbacks.max_body, silence };
            let limits = HandOverLimits { body, offer_for: settings.callbacks.accept_timeout };
            CallbackReceiver {
                events: EventReceiver {
                    addresses: Arc::clone(&addresses),
                    planes: ports.hooks,
                    current: Arc::clone(&current),
                    limits,
                    bytes: bytes.clone(),
                    warnings: warnings.clone(),
                    metrics: metrics.clone(),
                },
                addresses,
                planes: ports.callbacks,
                current: Arc::clone(&current),
                limits,
                bytes: bytes.clone(),
                shares: HandOverShares::default(),
                warnings: warnings.clone(),
                metrics: metrics.clone(),
            }
        });
        let calls = Self {
            joins: JoinCalls {
                current: Arc::clone(&current),
                locator: locator.clone(),
                rules: Arc::clone(&rules),
            },
            creates: CreateCalls {
                rules,
                locator: locator.clone(),
                tasks: tasks.clone(),
                ports: create_ports,
            },
            lists: ListCalls {
                servers: servers.clone(),
                survey,
                get_meetings_disabled: settings.meetings.get_meetings_disabled,
            },
            recordings: RecordingCalls {
                servers: servers.clone(),
                survey: recordings_survey,
                timeouts,
                tasks: tasks.clone(),
                warnings: warnings.clone(),
                library: library.map(|client| LibraryKeeper {
                    client,
                    base: playback_base(settings),
                    bytes: bytes.clone(),
                }),
            },
            hooks: hooks.map(|planes| HookCalls { planes, timeout: timeouts.call }),
            meetings: Arc::new(MeetingCalls {
                locator,
                servers,
                placement,
                current,
                addresses,
                timeouts,
                tasks,
                warnings,
            }),
        };
        (calls, receiver)
    }

    /// Gives a verified request to the handler of its call.
    pub(super) async fn answer(&self, request: VerifiedRequest) -> CallReply {
        match request.call.strategy() {
            CallStrategy::Place => self.creates.answer(request).await,
            CallStrategy::Redirect => self.joins.answer(&request).await,
            CallStrategy::Owner(action) => self.meetings.answer(request, action).await,
            CallStrategy::EveryServer(list) => self.lists.answer(&request, list).await,
            CallStrategy::Recordings(action) => self.recordings.answer(request, action).await,
            CallStrategy::Hooks(action) => match &self.hooks {
                Some(hooks) => hooks.answer(&request, action).await,
                None => CallReply::unsupported(Some(request.call)),
            },
            // The verifier has answered or refused these calls.
            CallStrategy::Local(_) | CallStrategy::Session | CallStrategy::Gone => {
                CallReply::unsupported(Some(request.call))
            }
        }
    }
}
