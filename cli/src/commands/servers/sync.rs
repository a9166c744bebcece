//! Runs `usher servers sync`: reads a list, plans, asks before a server goes out of use, carries the plan out (S10).

use serde::Serialize;

use super::confirm;
use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, ServerSyncArgs},
    core::{
        address_conflicts::address_conflicts,
        server_list::ServerSpec,
        shrink::FleetShrinkage,
        sync::{FleetChange, SyncMode, plan},
    },
    exit::CommandFailure,
    fleet_sync::{carry_out, current_servers, read},
    printer::{OutputPrinter, TableRow},
};

/// The changes to make, and the servers that they take out of use.
struct SyncPlan {
    changes: Vec<FleetChange>,
    shrinkage: FleetShrinkage,
}

impl SyncPlan {
    async fn new(admin: &AdminClient, wanted: &[ServerSpec], mode: SyncMode) -> Result<Self, CommandFailure> {
        let current = current_servers(admin).await?;
        let conflicts = address_conflicts(&current, wanted);
        if !conflicts.is_empty() {
            let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
            return Err(CommandFailure::Refused(format!(
                "one server has two ids, no change was made: {}",
                conflicts.join("; ")
            )));
        }
        let changes = plan(&current, wanted, mode);
        let shrinkage = FleetShrinkage::of(&current, wanted, &changes);
        Ok(Self { changes, shrinkage })
    }
}

/// Runs `usher servers sync`.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    args: ServerSyncArgs,
) -> Result<(), CommandFailure> {
    let wanted = read(&args.file)?;
    let admin = AdminClient::connect(global).await?;
    let planned = SyncPlan::new(&admin, &wanted, args.mode.into()).await?;
    let SyncPlan { changes, shrinkage } = &planned;
    let within = shrinkage.is_within(args.allow_shrink);
    if !shrinkage.hit.is_empty() {
        printer.note(&shrinkage.to_string());
    }
    if args.dry_run {
        if !within {
            printer.note(&format!("the run would be refused without --allow-shrink {}", shrinkage.needed()));
        }
        printer.note("dry run: no change is made");
        return printer.list(&rows(changes), "no change is needed");
    }
    let harm = changes.iter().filter(|change| change.is_destructive());
    let harm: Vec<String> = harm.map(|change| format!("{} {}", change.action(), change.server())).collect();
    if !within {
        confirm::shrink(global, shrinkage)?;
    } else if !harm.is_empty() {
        confirm::harm(global, &format!("{} (--dry-run shows all changes)", harm.join(", ")))?;
    }
    // The operator took time to answer: only the confirmed changes are made, or none.
    if !global.yes && (!within || !harm.is_empty()) {
        let now = SyncPlan::new(&admin, &wanted, args.mode.into()).await?;
        if now.changes != *changes || !is_no_larger(&now.shrinkage, shrinkage) {
            return Err(CommandFailure::Refused(
                "the fleet changed meanwhile; no change was made, run the command again".into(),
            ));
        }
    }
    carry_out(&admin, changes).await?;
    printer.list(&rows(changes), "no change is needed")
}

/// Tells whether the plan takes no more servers out of use than the confirmed one. Fewer meetings or other users are
/// accepted, because meetings end and users leave while the operator answers.
fn is_no_larger(now: &FleetShrinkage, agreed: &FleetShrinkage) -> bool {
    now.hit.is_subset(&agreed.hit) && now.busy_hit <= agreed.busy_hit
}

#[derive(Serialize)]
struct ChangeRow {
    action: &'static str,
    server: String,
    fields: Vec<&'static str>,
}

impl TableRow for ChangeRow {
    const COLUMNS: &'static [&'static str] = &["ACTION", "SERVER", "FIELDS"];

    fn cells(&self) -> Vec<String> {
        vec![self.action.to_owned(), self.server.clone(), self.fields.join(", ")]
    }
}

fn rows(changes: &[FleetChange]) -> Vec<ChangeRow> {
    let fields = |change: &FleetChange| {
        if let FleetChange::Update(update) = change { update.fields() } else { Vec::new() }
    };
    let row = |change: &FleetChange| ChangeRow {
        action: change.action(),
        server: change.server().to_string(),
        fields: fields(change),
    };
    changes.iter().map(row).collect()
}
