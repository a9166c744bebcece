//! The metrics of the cells of an edge. The only cell of an edge has no name, and its metrics have no label; the
//! names of cells are a bounded set, because they are those of the configuration.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        TypedMetric,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use usher_model::revision::Revision;

use super::ShedCounters;
use crate::control::cell_directory::FollowedCell;

/// The label `cell`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CellLabel {
    cell: String,
}

/// The metrics of one cell.
#[derive(Debug, Clone, Default)]
pub struct CellMetrics {
    /// The metrics of the routing stream.
    pub stream: StreamMetrics,
    /// Requests to a second control plane because the first one had not answered yet (ADR 11).
    pub hedges: Counter,
}

/// The metrics of the routing stream.
#[derive(Debug, Clone, Default)]
pub struct StreamMetrics {
    resyncs: Counter,
    ends: Counter,
    rejected: Counter,
    applied: Arc<AtomicU64>,
    revision: Gauge<u64, AtomicU64>,
    /// Refusals because of a limit, which the edge reports to the control plane.
    pub shed: ShedCounters,
}

/// Registers a metric of every cell, and returns them in the order of `cells`.
fn of_cells<M>(registry: &mut Registry, name: &str, help: &str, cells: &[FollowedCell]) -> Vec<M>
where
    M: EncodeMetric + TypedMetric + Clone + Default + Send + Sync + fmt::Debug + 'static,
{
    if let [FollowedCell { name: None, .. }] = cells {
        let metric = M::default();
        registry.register(name, help, metric.clone());
        return vec![metric];
    }
    let family = Family::<CellLabel, M>::default();
    registry.register(name, help, family.clone());
    cells.iter().map(|cell| family.get_or_create(&label(cell)).clone()).collect()
}

fn label(cell: &FollowedCell) -> CellLabel {
    CellLabel { cell: cell.name.as_ref().map(ToString::to_string).unwrap_or_default() }
}

impl CellMetrics {
    /// Registers the metrics of all cells. `shed` has the refusals of the edge, which every cell is told.
    pub(super) fn register(
        registry: &mut Registry,
        cells: &[FollowedCell],
        shed: &ShedCounters,
    ) -> Vec<Self> {
        let help = "Requests to a second control plane because the first was silent";
        let hedges = of_cells(registry, "usher_edge_hedged_asks", help, cells);
        registry.register_collector(Box::new(TableMetrics { cells: cells.to_vec() }));
        let resyncs = of_cells(registry, "usher_edge_resyncs", "Snapshots requested", cells);
        let ends = of_cells(registry, "usher_edge_stream_ends", "Routing streams that ended", cells);
        let help = "Tables refused as old, shrunken or damaged";
        let rejected = of_cells(registry, "usher_edge_tables_rejected", help, cells);
        let revision =
            of_cells(registry, "usher_routing_table_revision", "Store revision of the table", cells);
        let streams = resyncs.into_iter().zip(ends).zip(rejected.into_iter().zip(revision));
        hedges
            .into_iter()
            .zip(streams)
            .map(|(hedges, ((resyncs, ends), (rejected, revision)))| Self {
                hedges,
                stream: StreamMetrics {
                    resyncs,
                    ends,
                    rejected,
                    revision,
                    applied: Arc::default(),
                    shed: shed.clone(),
                },
            })
            .collect()
    }
}

impl StreamMetrics {
    /// Returns the number of changes that were applied.
    pub fn acked(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Notes that the table has reached `revision`.
    pub fn applied(&self, revision: Revision) {
        self.applied.fetch_add(1, Ordering::Relaxed);
        self.revision.set(revision.seq);
    }

    /// Counts a request for a snapshot.
    pub fn count_resync(&self) {
        self.resyncs.inc();
    }

    /// Counts the end of a stream, and whether a table was refused.
    pub fn count_end(&self, rejected: bool) {
        self.ends.inc();
        if rejected {
            self.rejected.inc();
        }
    }
}

/// The metrics of the tables, which are read at the moment of the export.
struct TableMetrics {
    cells: Vec<FollowedCell>,
}

impl fmt::Debug for TableMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableMetrics")
    }
}

impl TableMetrics {
    /// Writes a metric of every cell that has a value for it.
    fn encode_one(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        value: impl Fn(&FollowedCell) -> Option<f64>,
    ) -> fmt::Result {
        let values: Vec<_> = self.cells.iter().filter_map(|cell| Some((cell, value(cell)?))).collect();
        if values.is_empty() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(name, help, None, ConstGauge::new(0.0).metric_type())?;
        for (cell, value) in values {
            let gauge = ConstGauge::new(value);
            match cell.name {
                None => return gauge.encode(metric),
                Some(_) => gauge.encode(metric.encode_family(&label(cell))?)?,
            }
        }
        Ok(())
    }
}

impl Collector for TableMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let age = ("usher_routing_table_age_seconds", "Time since a control plane vouched for the table");
        self.encode_one(encoder, age, |cell| cell.current.age().map(|age| age.as_secs_f64()))?;
        let counts = |cell: &FollowedCell| {
            cell.current.load().as_ref().map(|table| table.counts()).unwrap_or_default()
        };
        let meetings = ("usher_routing_table_meetings", "Meetings in the table");
        self.encode_one(encoder, meetings, |cell| Some(counts(cell).meetings as f64))?;
        let servers = ("usher_routing_table_servers", "Servers in the table");
        self.encode_one(encoder, servers, |cell| Some(counts(cell).servers as f64))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use usher_model::id::CellName;

    use super::*;

    fn exported(names: &[Option<&str>]) -> String {
        let cells: Vec<_> = names
            .iter()
            .map(|name| FollowedCell {
                name: name.map(|name| CellName::parse(name).expect("is a name")),
                current: Arc::default(),
            })
            .collect();
        let mut registry = Registry::default();
        let metrics = CellMetrics::register(&mut registry, &cells, &ShedCounters::default());
        metrics[0].stream.count_resync();
        let mut text = String::new();
        encode(&mut text, &registry).expect("is encoded");
        text
    }

    #[test]
    fn one_cell_has_no_label_and_several_have_their_names() {
        let one = exported(&[None]);
        for line in [
            "usher_edge_resyncs_total 1",
            "usher_routing_table_meetings 0.0",
            "usher_edge_hedged_asks_total 0",
        ] {
            assert!(one.lines().any(|found| found == line), "{line}\n{one}");
        }
        assert!(!one.contains("cell="), "{one}");
        let two = exported(&[Some("north"), Some("south")]);
        for line in [
            "usher_edge_resyncs_total{cell=\"north\"} 1",
            "usher_edge_resyncs_total{cell=\"south\"} 0",
            "usher_routing_table_meetings{cell=\"south\"} 0.0",
        ] {
            assert!(two.lines().any(|found| found == line), "{line}\n{two}");
        }
        assert_eq!(two.matches("# TYPE usher_routing_table_meetings").count(), 1);
    }
}
