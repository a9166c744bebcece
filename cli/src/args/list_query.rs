//! The arguments that choose and order the rows of a list.

use clap::Args;

/// The arguments that choose and order the rows of a list.
#[derive(Debug, Clone, Default, Args)]
pub struct ListQueryArgs {
    /// List only rows that meet a condition, for example 'users > 50 AND age > 1h'
    #[arg(long, value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Order the rows by a number or a duration, for example 'users desc'; at most 1000 rows are listed then
    #[arg(long, value_name = "FIELD")]
    pub order_by: Option<String>,
    /// List at most this many rows
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}
