//! Runs `usher bbb-sim`, one simulated BigBlueButton server.

use usher_bbb_sim::{BbbSim, SimFault, SimOptions};
use usher_runtime::signals::StopSignals;

use crate::{args::BbbSimArgs, exit::CommandFailure, printer::OutputPrinter};

/// Runs one simulated BigBlueButton server until a signal stops it.
pub(super) async fn run(printer: &mut OutputPrinter, args: BbbSimArgs) -> Result<(), CommandFailure> {
    let faults: Vec<SimFault> = args.faults.iter().map(|text| fault(text)).collect::<Result<_, _>>()?;
    let mut signals = StopSignals::listen()?;
    let options = SimOptions {
        name: args.name,
        secret: args.secret,
        listen: args.listen,
        version: args.bbb_version,
        clients_connect_at_once: args.clients_connect_at_once,
        ..SimOptions::default()
    };
    let sim = BbbSim::start(options).await.map_err(anyhow::Error::from)?;
    for fault in faults {
        sim.faults().set(fault).await;
    }
    printer.text(&format!("ready api={} listen={}", sim.url(), sim.address()))?;
    signals.next().await;
    Ok(signals.or(sim.stop()).await?)
}

/// Reads `KIND[,call=NAME][,count=N][,for=5s][,delay=2s]`, the query of `POST /sim/faults`.
fn fault(text: &str) -> Result<SimFault, CommandFailure> {
    let query = format!("kind={}", text.replace(',', "&"));
    SimFault::from_query(&query).map_err(|error| CommandFailure::Usage(format!("--fault {text}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_other_text_is_refused() {
        for text in ["slow,delay=2s", "lost-answer,call=create,count=1", "html", "refuse,for=5s"] {
            assert!(fault(text).is_ok(), "{text}");
        }
        for text in ["on-fire", "html,call=nothing", "slow,delay=long", ""] {
            assert_eq!(fault(text).map_err(|failure| failure.code()), Err(2), "{text}");
        }
    }
}
