//! `usher servers sync`: reads a list, plans, asks where something is taken away, carries out.

use serde::Serialize;

use super::confirm;
use crate::{
    args::{Global, SyncArgs},
    client::Admin,
    core::{
        address_conflicts::address_conflicts,
        inventory::ServerSpec,
        shrink::Shrinkage,
        sync::{Change, Mode, plan},
    },
    exit::Failure,
    inventory::{carry_out, read, standing},
    printer::{Printer, Row},
};

/// What is to be done, and what that takes out of use.
struct Planned {
    changes: Vec<Change>,
    shrinkage: Shrinkage,
}

impl Planned {
    async fn new(admin: &Admin, wanted: &[ServerSpec], mode: Mode) -> Result<Self, Failure> {
        let standing = standing(admin).await?;
        let conflicts = address_conflicts(&standing, wanted);
        if !conflicts.is_empty() {
            let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
            return Err(Failure::Refused(format!(
                "one server under two ids, nothing was done: {}",
                conflicts.join("; ")
            )));
        }
        let changes = plan(&standing, wanted, mode);
        let shrinkage = Shrinkage::of(&standing, wanted, &changes);
        Ok(Self { changes, shrinkage })
    }
}

/// Carries out `servers sync`.
pub(super) async fn run(global: &Global, printer: &mut Printer, args: SyncArgs) -> Result<(), Failure> {
    let wanted = read(&args.file)?;
    let admin = Admin::connect(global).await?;
    let planned = Planned::new(&admin, &wanted, args.mode.into()).await?;
    let Planned { changes, shrinkage } = &planned;
    let within = shrinkage.is_within(args.allow_shrink);
    if !shrinkage.hit.is_empty() {
        printer.note(&shrinkage.to_string());
    }
    if args.dry_run {
        if !within {
            printer.note(&format!("it would be refused without --allow-shrink {}", shrinkage.needed()));
        }
        printer.note("dry run: nothing is changed");
        return printer.list(&rows(changes), "nothing to do");
    }
    let harm = changes.iter().filter(|change| change.is_destructive());
    let harm: Vec<String> = harm.map(|change| format!("{} {}", change.action(), change.server())).collect();
    if !within {
        confirm::shrink(global, shrinkage)?;
    } else if !harm.is_empty() {
        confirm::harm(global, &format!("{} (see it all with --dry-run)", harm.join(", ")))?;
    }
    // A person took time to answer: what was agreed to is done, or nothing.
    if !global.yes && (!within || !harm.is_empty()) {
        let now = Planned::new(&admin, &wanted, args.mode.into()).await?;
        if now.changes != *changes || !hits_no_more(&now.shrinkage, shrinkage) {
            return Err(Failure::Refused(
                "the fleet changed meanwhile; nothing was done, run it again".into(),
            ));
        }
    }
    carry_out(&admin, changes).await?;
    printer.list(&rows(changes), "nothing to do")
}

/// Tells whether no more is hit than what was agreed to. Meetings end by themselves meanwhile, and users
/// come and go.
fn hits_no_more(now: &Shrinkage, agreed: &Shrinkage) -> bool {
    now.hit.is_subset(&agreed.hit) && now.busy_hit <= agreed.busy_hit
}

#[derive(Serialize)]
struct ChangeRow {
    action: &'static str,
    server: String,
    fields: Vec<&'static str>,
}

impl Row for ChangeRow {
    const COLUMNS: &'static [&'static str] = &["ACTION", "SERVER", "FIELDS"];

    fn cells(&self) -> Vec<String> {
        vec![self.action.to_owned(), self.server.clone(), self.fields.join(", ")]
    }
}

fn rows(changes: &[Change]) -> Vec<ChangeRow> {
    let fields =
        |change: &Change| if let Change::Update(update) = change { update.fields() } else { Vec::new() };
    let row = |change: &Change| ChangeRow {
        action: change.action(),
        server: change.server().to_string(),
        fields: fields(change),
    };
    changes.iter().map(row).collect()
}
