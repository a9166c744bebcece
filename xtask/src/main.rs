//! `cargo xtask COMMAND`: runs every command of a developer or of CI, and installs its tools first.
//!
//! Each command first brings its tools into `target/tools` and names each tool that it brings. The
//! dependencies are few and small, because this program is compiled before every other one.

mod commands;
mod dist;
mod fuzz;
mod programs;
mod shell;
mod simulate;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND [ARGS]

  demo [ARGS]    build Usher and run `usher demo`: three simulated servers, a meeting, a join link
  test [ARGS]    bring etcd, Redis, Ruby, Python and JavaScript clients, then run every test (ARGS go to cargo test)
  test-etcd-versions
                 build etcd 3.5 and 3.6 from their Go modules (needs Go), then test a rolling upgrade
                 of etcd and a restored snapshot
  bench [ARGS]   build for release and measure joins and creates against what the machine can do
  simulate [--seeds N] [--from S] [--seed S] [--a6 MINUTES]
                 histories of a whole cluster in simulated time; one seed is replayed with its trace
  build [ARGS]   build the three programs of a release (ARGS go to cargo build, for example --release)
  dist           build a release into target/dist: stripped programs, debug symbols, manual pages,
                 completions, bills of materials, archives and their checksums
  lint           format, clippy, docs, dependencies and protocol, each with warnings as errors
  advisories     check the dependencies against the advisories of RustSec, which it fetches
  fuzz [--guided] [SECONDS] [TARGET]
                 run every fuzz target, or one, for SECONDS each (default 30): with random mutations, or
                 guided by coverage and under the address sanitizer
  style [LIST [PATH]]
                 figures of names, prose, doc comments and circles of files; or the places behind one
                 figure: names, shared, words, short, lines, circles
  tools          only bring the tools, so that plain cargo commands work
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match command.as_str() {
        "demo" => commands::demo(&rest),
        "test" => commands::test(&rest),
        "test-etcd-versions" => commands::test_etcd_versions(),
        "bench" => commands::bench(&rest),
        "simulate" => simulate::simulate(&rest),
        "build" => commands::build(&rest),
        "dist" => dist::dist(),
        "lint" => commands::lint(),
        "advisories" => commands::advisories(),
        "fuzz" => fuzz::fuzz(&rest),
        "style" => commands::style(&rest),
        "tools" => tools::everything().map(drop),
        "" | "help" | "-h" | "--help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("xtask: no command `{other}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
