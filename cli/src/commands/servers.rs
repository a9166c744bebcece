//! Runs `usher servers`.

mod check;
mod row;
mod sync;

use std::cell::Cell;

use usher_model::server::AdminState;
use usher_proto::v1;

use super::{confirm, removed::RemovedRow, watching};
use crate::{
    admin_client::{AdminClient, server_name},
    args::{GlobalOptions, ServerAddArgs, ServerCommand, ServerUpdateArgs},
    core::server_list,
    exit::CommandFailure,
    printer::OutputPrinter,
    request_id,
};
pub(super) use row::ServerRow;

/// Runs one of the commands about servers.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: ServerCommand,
) -> Result<(), CommandFailure> {
    match command {
        ServerCommand::Check(args) => return check::run(global, printer, args).await,
        ServerCommand::Sync(args) => return sync::run(global, printer, args).await,
        _ => {}
    }
    // The prompt comes before the connection: an answer that takes minutes must not meet a timeout.
    match &command {
        ServerCommand::Remove { id } => confirm::harm(global, &format!("remove server {id}"))?,
        ServerCommand::Panic { id } => {
            let deed =
                format!("disable server {id} and free the ids of its meetings, which may still run there");
            confirm::harm(global, &deed)?;
        }
        ServerCommand::Update(args) if args.force => {
            let deed = format!("give server {} another address and end the meetings at its old one", args.id);
            confirm::harm(global, &deed)?;
        }
        _ => {}
    }
    let admin = AdminClient::connect(global).await?;
    let mut service = admin.servers();
    let named = |id: &str| server_name(id);
    let changed = match command {
        ServerCommand::List(query) => {
            let servers = admin.servers_of(&query).await?;
            let servers: Vec<ServerRow> = servers.into_iter().map(ServerRow::from).collect();
            let none = match query.filter {
                Some(_) => "no server meets the condition",
                None => "no servers; add one with `usher servers add URL --secret S --enable`",
            };
            return printer.list(&servers, none);
        }
        ServerCommand::Watch { filter } => {
            return watch(&admin, printer, filter.unwrap_or_default()).await;
        }
        ServerCommand::Show { id, reveal } => {
            let view = if reveal { v1::ServerView::RevealSecret } else { v1::ServerView::Unspecified };
            Some(admin.server(&id, view).await?)
        }
        ServerCommand::Add(args) => service.create_server(new_server(args)).await?.into_inner().server,
        ServerCommand::Update(args) => service.update_server(update(args)).await?.into_inner().server,
        ServerCommand::Remove { id } => {
            let v1::Server { zombies, etag, .. } = admin.server(&id, v1::ServerView::Unspecified).await?;
            service.delete_server(v1::DeleteServerRequest { name: named(&id), etag }).await?;
            printer.note(&format!("server {id} is removed"));
            if zombies > 0 {
                printer.note(&format!(
                    "{zombies} meetings may still run on the server; Usher no longer ends them"
                ));
            }
            return Ok(());
        }
        ServerCommand::Enable { id } => {
            let (name, etag) = (named(&id), String::new());
            service.enable_server(v1::EnableServerRequest { name, etag }).await?.into_inner().server
        }
        ServerCommand::Cordon { id } => {
            let (name, etag) = (named(&id), String::new());
            service.cordon_server(v1::CordonServerRequest { name, etag }).await?.into_inner().server
        }
        ServerCommand::Disable { id } => {
            let (name, etag) = (named(&id), admin.etag(&id).await?);
            service.disable_server(v1::DisableServerRequest { name, etag }).await?.into_inner().server
        }
        ServerCommand::Panic { id } => {
            let (name, etag) = (named(&id), admin.etag(&id).await?);
            let answer = service.panic_server(v1::PanicServerRequest { name, etag }).await?.into_inner();
            printer.note(&format!("{} meetings were freed", answer.freed_meetings));
            answer.server
        }
        ServerCommand::Poll { id } => {
            let name = named(id.as_deref().unwrap_or("-"));
            let polled = service.poll_server(v1::PollServerRequest { name }).await?.into_inner().servers;
            let polled: Vec<ServerRow> = polled.into_iter().map(ServerRow::from).collect();
            return printer.list(&polled, "no server was polled");
        }
        ServerCommand::Export => {
            let specs: Vec<_> = crate::fleet_sync::current_servers(&admin)
                .await?
                .iter()
                .map(crate::core::sync::CurrentServer::spec)
                .collect();
            return printer.text(&server_list::write(&specs));
        }
        ServerCommand::Check(_) | ServerCommand::Sync(_) => None,
    };
    match changed {
        Some(server) => printer.one(&ServerRow::from(server)),
        None => Ok(()),
    }
}

/// Writes the servers, then each change of one.
async fn watch(
    admin: &AdminClient,
    printer: &mut OutputPrinter,
    filter: String,
) -> Result<(), CommandFailure> {
    let told = Cell::new(None);
    let begin = async |is_anew: bool| {
        let resume = told.get().filter(|_| !is_anew);
        admin.servers().watch_servers(v1::WatchServersRequest { filter: filter.clone(), resume }).await
    };
    watching::follow(printer, begin, |printer, message: v1::WatchServersResponse| {
        told.set(message.revision.or(told.get()));
        for server in message.servers {
            printer.event("server", &ServerRow::from(server))?;
        }
        message.removed.iter().try_for_each(|name| printer.event("removed", &RemovedRow::new(name)))
    })
    .await
}

fn new_server(args: ServerAddArgs) -> v1::CreateServerRequest {
    let admin = if args.enable { AdminState::Enabled } else { AdminState::Disabled };
    v1::CreateServerRequest {
        server: Some(v1::Server {
            url: args.url,
            secret: args.secret.expose().to_owned(),
            weight: args.weight,
            tags: args.tags,
            admin_state: v1::AdminState::from(admin).into(),
            checksum_algorithm: v1::ChecksumAlgorithm::from(args.algorithm).into(),
            ..v1::Server::default()
        }),
        server_id: args.id.unwrap_or_default(),
        validate_only: false,
        request_id: request_id::fresh(),
    }
}

fn update(args: ServerUpdateArgs) -> v1::UpdateServerRequest {
    let fields = [
        ("url", args.url.is_some()),
        ("secret", args.secret.is_some()),
        ("weight", args.weight.is_some()),
        ("tags", args.no_tags || !args.tags.is_empty()),
        ("checksum_algorithm", args.algorithm.is_some()),
    ];
    let paths = fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()).collect();
    v1::UpdateServerRequest {
        server: Some(v1::Server {
            name: server_name(&args.id),
            url: args.url.unwrap_or_default(),
            secret: args.secret.map(|secret| secret.expose().to_owned()).unwrap_or_default(),
            weight: args.weight.unwrap_or_default(),
            tags: args.tags,
            checksum_algorithm: args
                .algorithm
                .map_or(0, |algorithm| v1::ChecksumAlgorithm::from(algorithm).into()),
            ..v1::Server::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: false,
        force: args.force,
    }
}
