//! The arguments of the program.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures Usher beside the limits of this machine, in one run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct BenchArgs {
    /// Run for a few seconds on small tables: a check that every part runs, without useful results
    #[arg(long)]
    pub(crate) quick: bool,
    /// Run only this part; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<BenchPart>,
    /// Measure the part size for about twenty minutes in place of five
    #[arg(long)]
    pub(crate) long: bool,
    /// Number of servers of the part size, a multiple of ten, each with 1,000 meetings; 1,000 if it is not set
    #[arg(long, value_name = "NUMBER")]
    pub(crate) servers: Option<usize>,
    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

/// The parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchPart {
    Joins,
    Creates,
    Deltas,
    Crowd,
    Connections,
    /// Only on demand: it takes longer than all others.
    Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum ReportFormat {
    #[default]
    Table,
    Json,
}

/// The durations and numbers of the measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BenchPlan {
    /// The length of one slice.
    pub(crate) slice: Duration,
    /// The time before a slice that is not counted.
    pub(crate) warm_up: Duration,
    /// The number of pairs of slices: Usher and the reference, in turn.
    pub(crate) pairs: usize,
    /// The sizes of routing tables under which joins are measured, in meetings.
    pub(crate) tables: &'static [usize],
    /// The number of meetings in the table while deltas are measured.
    pub(crate) meetings: usize,
    /// The number of streams that follow the deltas.
    pub(crate) streams: usize,
    /// The length of one slice of the well-behaved tenant, alone or beside a crowd.
    pub(crate) crowd_slice: Duration,
    /// The divisor of the number of connections of each crowd.
    pub(crate) crowd_divisor: usize,
    /// The number of idle connections, if there are descriptors for so many.
    pub(crate) idle_connections: usize,
}

impl BenchArgs {
    pub(crate) fn wants(&self, part: BenchPart) -> bool {
        let by_itself = self.only.is_empty() && (self.quick || part != BenchPart::Size);
        by_itself || self.only.contains(&part)
    }

    pub(crate) fn plan(&self) -> BenchPlan {
        if self.quick {
            BenchPlan {
                slice: Duration::from_millis(150),
                warm_up: Duration::from_millis(50),
                pairs: 1,
                tables: &[100, 1_000],
                meetings: 1_000,
                streams: 5,
                crowd_slice: Duration::from_millis(300),
                crowd_divisor: 16,
                idle_connections: 300,
            }
        } else {
            BenchPlan {
                slice: Duration::from_millis(1_500),
                warm_up: Duration::from_millis(300),
                pairs: 3,
                tables: &[1_000, 100_000, 1_000_000],
                meetings: 100_000,
                streams: 50,
                crowd_slice: Duration::from_secs(4),
                crowd_divisor: 1,
                idle_connections: 50_000,
            }
        }
    }
}
