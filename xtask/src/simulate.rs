//! `cargo xtask simulate`: runs many histories, repeats one, or runs the days of requirement A6.

use anyhow::{Context, Result, bail};

use crate::{
    shell::{cargo, run, say},
    tools,
};

/// Runs the simulation, optimised unlike under `cargo test`: the build costs minutes once, and each
/// history is several times as fast. Dependencies are those of `cargo test`.
pub(crate) fn simulate(args: &[String]) -> Result<()> {
    tools::protoc()?;
    let mut simulation = cargo();
    simulation.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2").args(["test", "--workspace", "--test", "simulation"]);
    let options = args.chunks(2).map(|pair| match pair {
        [name, value] => Ok((name.as_str(), value.as_str())),
        _ => bail!("`{}` needs a value", pair.join(" ")),
    });
    let mut test = "h8_i4_random_histories_kill_lose_split_and_leak_no_meeting";
    let mut how: &[&str] = &["--nocapture"];
    for option in options {
        let (name, value) = option?;
        let _: u64 = value.parse().with_context(|| format!("{name} needs a number"))?;
        match name {
            "--seeds" => drop(simulation.env("USHER_SIM_SEEDS", value)),
            "--from" => drop(simulation.env("USHER_SIM_FROM", value)),
            "--seed" => {
                (test, how) = ("history", &["--nocapture", "--ignored", "--exact"]);
                simulation.env("USHER_SIM_SEED", value).env("USHER_SIM_TRACE", "1");
            }
            "--a6" => {
                test = "a6_nothing_is_killed_leaked_or_reaped_and_splits_last_one_poll";
                simulation.env("USHER_SIM_A6_MINUTES", value);
            }
            other => bail!("no option `{other}`"),
        }
    }
    say(&format!("simulating: {test}"));
    run(simulation.arg("--").arg(test).args(how))
}
