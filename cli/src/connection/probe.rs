//! The search for an address that answers. The addresses are tried in their order, each a moment
//! after the one before it, so that a silent one costs a fraction of a second (RFC 8305).

use std::time::Duration;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tonic::{Code, Status, service::interceptor::InterceptedService, transport::Channel};
use usher_proto::v1::{GetStatusRequest, fleet_service_client::FleetServiceClient};

use super::{address::PlaneAddress, channel::CheckedChannel, credentials::CallCredentials};
use crate::{exit::CommandFailure, not_control_port::NotControlPort};

/// The head start of an address before the next one is tried.
const HEAD_START: Duration = Duration::from_millis(300);

/// An address that answered.
pub(super) struct AnsweringPlane {
    /// Its place in the list.
    pub(super) place: usize,
    /// The connection to it.
    pub(super) channel: Channel,
    is_unread: bool,
}

/// The reason why an address cannot be used.
enum PlaneFault {
    Foreign(String),
    Away(String),
}

/// Returns the first address that answers, in the order of `places`. A control plane that has not
/// read the store yet is returned only if no other one answers.
///
/// # Errors
/// No address answers within `longest`: the reason of each.
pub(super) async fn find(
    addresses: &[PlaneAddress],
    places: Vec<usize>,
    credentials: &CallCredentials,
    longest: Duration,
) -> Result<AnsweringPlane, CommandFailure> {
    let try_one = async |place: usize| {
        let asked = tokio::time::timeout(longest, ask(&addresses[place], place, credentials)).await;
        asked.unwrap_or_else(|_| Err(PlaneFault::Away(format!("{}: no answer", addresses[place].url))))
    };
    let (mut waiting, mut running) = (places.into_iter(), FuturesUnordered::new());
    let (mut unread, mut faults): (Option<AnsweringPlane>, Vec<PlaneFault>) = (None, Vec::new());
    running.extend(waiting.next().map(try_one));
    while !running.is_empty() {
        let pause = async {
            if waiting.len() == 0 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(HEAD_START).await;
        };
        let outcome = tokio::select! {
            outcome = running.next() => outcome,
            () = pause => None,
        };
        match outcome {
            Some(Ok(found)) if !found.is_unread => return Ok(found),
            Some(Ok(found)) => drop(unread.get_or_insert(found)),
            Some(Err(fault)) => faults.push(fault),
            None => {}
        }
        running.extend(waiting.next().map(try_one));
    }
    unread.ok_or_else(|| failure(faults))
}

async fn ask(
    address: &PlaneAddress,
    place: usize,
    credentials: &CallCredentials,
) -> Result<AnsweringPlane, PlaneFault> {
    let away = |why: &str| PlaneFault::Away(format!("{}: {why}", address.url));
    let channel = address.connect().await.map_err(|why| away(&why))?;
    let checked = CheckedChannel { url: address.url.clone(), channel: channel.clone() };
    let mut fleet = FleetServiceClient::new(InterceptedService::new(checked, credentials.clone()));
    let is_unread = match fleet.get_status(GetStatusRequest {}).await {
        Ok(status) => status.into_inner().unread,
        Err(status) => match NotControlPort::in_causes_of(&status) {
            Some(foreign) => return Err(PlaneFault::Foreign(foreign.to_string())),
            // The connection broke. Each other status is the answer of a control plane, which the
            // calls of the command will get too.
            None if status.code() == Code::Unavailable => return Err(PlaneFault::Away(message(&status))),
            None => false,
        },
    };
    Ok(AnsweringPlane { place, channel, is_unread })
}

fn message(status: &Status) -> String {
    format!("{}; does a control port listen there?", status.message())
}

fn failure(faults: Vec<PlaneFault>) -> CommandFailure {
    let is_foreign = faults.iter().all(|fault| matches!(fault, PlaneFault::Foreign(_)));
    let texts: Vec<String> = faults
        .into_iter()
        .map(|fault| match fault {
            PlaneFault::Foreign(text) | PlaneFault::Away(text) => text,
        })
        .collect();
    let whom = if texts.len() == 1 { "the control plane at " } else { "a control plane: " };
    let texts = texts.join("; ");
    if is_foreign {
        return CommandFailure::Usage(texts);
    }
    CommandFailure::Unavailable(format!(
        "cannot reach {whom}{texts}; is it running? --endpoint names another one, or several"
    ))
}
