//! `usher servers sync`: reads a list, plans, asks where something is taken away, carries out.

use serde::Serialize;

use super::confirm;
use crate::{
    args::{Global, SyncArgs},
    client::Admin,
    core::sync::{Change, plan},
    exit::Failure,
    inventory::{carry_out, read, standing},
    printer::{Printer, Row},
};

/// Carries out `servers sync`.
pub(super) async fn run(global: &Global, printer: &mut Printer, args: SyncArgs) -> Result<(), Failure> {
    let wanted = read(&args.file)?;
    let admin = Admin::connect(global).await?;
    let changes = plan(&standing(&admin).await?, &wanted, args.mode.into());
    if args.dry_run {
        printer.note("dry run: nothing is changed");
        return printer.list(&rows(&changes), "nothing to do");
    }
    let harm = changes.iter().filter(|change| change.is_destructive());
    let harm: Vec<String> = harm.map(|change| format!("{} {}", change.action(), change.server())).collect();
    if !harm.is_empty() {
        confirm::harm(global, &format!("{} (see it all with --dry-run)", harm.join(", ")))?;
    }
    carry_out(&admin, &changes).await?;
    printer.list(&rows(&changes), "nothing to do")
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
