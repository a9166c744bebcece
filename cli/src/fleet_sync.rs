//! Reads a list of servers, reads the fleet, and changes the fleet by a plan (S10).

use std::{io::Read, path::Path};

use usher_bbb::secret::Secret;
use usher_model::{
    id::ServerId,
    server::{AdminState, base_url},
};
use usher_proto::v1;

use crate::{
    admin_client::{AdminClient, server_name},
    core::{
        address_conflicts::address_conflicts,
        server_list::{self, ServerSpec},
        shrink::FleetShrinkage,
        sync::{CurrentServer, FleetChange, SyncMode, plan},
    },
    exit::CommandFailure,
    request_id,
};

/// The largest number of bytes that is read of a list. It is above the limit of the parser, so that the parser
/// reports a list that is too large.
const READ_MAX: u64 = 5 << 20;

/// Applies a list to a fleet that has just started. Servers that the list does not name stay. If the list takes
/// more servers out of use than is allowed without confirmation, its other changes are made and all servers stay
/// in use: no operator can be asked here, and a fleet that does not start would be the greater harm (S10).
pub(crate) async fn apply_at_start(admin: &AdminClient, wanted: &[ServerSpec]) -> Result<(), CommandFailure> {
    let current = current_servers(admin).await?;
    let mut wanted = wanted.to_vec();
    for conflict in address_conflicts(&current, &wanted) {
        tracing::error!("one entry of the list of servers is ignored: {conflict}");
        wanted.retain(|spec| spec.id != conflict.listed);
    }
    let mut changes = plan(&current, &wanted, SyncMode::Keep);
    let shrinkage = FleetShrinkage::of(&current, &wanted, &changes);
    if !shrinkage.is_within(None) {
        tracing::error!(
            "the list of servers is applied without taking servers out of use: {shrinkage}; `usher servers sync \
             --allow-shrink {}` takes them out of use",
            shrinkage.needed()
        );
        changes.retain(|change| !change.takes_out_of_use());
    }
    carry_out(admin, &changes).await
}

/// Reads a list from a file, or from standard input for `-`.
///
/// # Errors
/// The file cannot be read, or the list has faults.
pub(crate) fn read(file: &Path) -> Result<Vec<ServerSpec>, CommandFailure> {
    let name = file.display();
    let unreadable = |error: std::io::Error| CommandFailure::Usage(format!("{name}: {error}"));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(READ_MAX).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        std::fs::File::open(file)
            .and_then(|f| f.take(READ_MAX).read_to_string(&mut text))
            .map_err(unreadable)?;
    }
    server_list::parse(&text).map_err(|faults| CommandFailure::Usage(format!("{name}: {faults}")))
}

/// Returns the servers of the fleet with their secrets.
pub(crate) async fn current_servers(admin: &AdminClient) -> Result<Vec<CurrentServer>, CommandFailure> {
    let mut servers = Vec::new();
    // An entry of a former address disappears automatically and belongs in no list.
    for server in admin.all_servers().await?.into_iter().filter(|server| server.former_of.is_empty()) {
        servers.push(current_server(admin.server(&server.name, v1::ServerView::RevealSecret).await?)?);
    }
    Ok(servers)
}

fn current_server(server: v1::Server) -> Result<CurrentServer, CommandFailure> {
    let admin = AdminState::try_from(server.admin_state())
        .map_err(|error| CommandFailure::Refused(error.to_string()))?;
    let id = server.name.trim_start_matches("servers/");
    Ok(CurrentServer {
        id: ServerId::parse(id).map_err(|error| CommandFailure::Refused(error.to_string()))?,
        url: base_url(&server.url).unwrap_or(server.url),
        secret: Secret::new(&server.secret),
        weight: server.weight,
        tags: server.tags,
        admin,
        meetings: server.meetings,
        users: server.users,
    })
}

/// Carries out the changes in order. A refused change does not stop the others, because the next run plans it
/// again; an unreachable control plane does.
pub(crate) async fn carry_out(admin: &AdminClient, changes: &[FleetChange]) -> Result<(), CommandFailure> {
    let mut failures = Vec::new();
    for change in changes {
        match apply(admin, change).await.map_err(CommandFailure::from) {
            Ok(()) => {}
            Err(CommandFailure::Refused(why)) => {
                failures.push(format!("{} {}: {why}", change.action(), change.server()));
            }
            Err(other) => return Err(other),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CommandFailure::Refused(failures.join("\n"))) }
}

async fn apply(admin: &AdminClient, change: &FleetChange) -> Result<(), tonic::Status> {
    let mut service = admin.servers();
    let named = |id: &ServerId| server_name(id.as_str());
    match change {
        FleetChange::Create(spec) => drop(service.create_server(create(spec)).await?),
        FleetChange::Update(update) => {
            let server = v1::Server {
                name: named(&update.id),
                url: update.url.clone().unwrap_or_default(),
                secret: update.secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
                weight: update.weight.unwrap_or_default(),
                tags: update.tags.clone().unwrap_or_default(),
                ..v1::Server::default()
            };
            let paths = update.fields().into_iter().map(str::to_owned).collect();
            let update_mask = Some(prost_types::FieldMask { paths });
            let request = v1::UpdateServerRequest {
                server: Some(server),
                update_mask,
                validate_only: false,
                force: false,
            };
            drop(service.update_server(request).await?);
        }
        FleetChange::Enable(id) => drop(
            service.enable_server(v1::EnableServerRequest { name: named(id), etag: String::new() }).await?,
        ),
        FleetChange::Cordon(id) => drop(
            service.cordon_server(v1::CordonServerRequest { name: named(id), etag: String::new() }).await?,
        ),
        FleetChange::Panic(id) => {
            drop(
                service.panic_server(v1::PanicServerRequest { name: named(id), etag: String::new() }).await?,
            );
        }
        FleetChange::Remove(id) => {
            drop(
                service
                    .delete_server(v1::DeleteServerRequest { name: named(id), etag: String::new() })
                    .await?,
            );
        }
    }
    Ok(())
}

fn create(spec: &ServerSpec) -> v1::CreateServerRequest {
    let admin = if spec.enabled { AdminState::Enabled } else { AdminState::Disabled };
    v1::CreateServerRequest {
        server: Some(v1::Server {
            url: spec.url.clone(),
            secret: spec.secret.expose().to_owned(),
            weight: spec.weight,
            tags: spec.tags.clone(),
            admin_state: v1::AdminState::from(admin).into(),
            ..v1::Server::default()
        }),
        server_id: spec.id.to_string(),
        validate_only: false,
        request_id: request_id::fresh(),
    }
}
