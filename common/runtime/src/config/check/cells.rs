//! The rules of `edge.cells`: each cell has a name and control planes of its own (ADR 39).

use std::collections::{BTreeMap, BTreeSet};

use ::url::Url;
use http::HeaderValue;

use usher_model::{
    id::CellName,
    settings::{CellSettings, EdgeSettings},
};

use super::url::is_http;
use crate::config::{fault::ConfigFault, loading::Loading};

const KEY: &str = "edge.cells";

/// The largest number of cells. An edge tries the key of each cell on an address of a callback.
const CELLS_MAX: usize = 64;

/// A fault of the cells in words, with its remedy.
type CellFault = (String, &'static str);

/// Adds every fault of the cells.
pub(super) fn check(loading: &mut Loading) {
    if loading.is_faulty(KEY) {
        return;
    }
    let edge = &loading.settings.edge;
    let mut found = faults(&edge.cells);
    // The default is printed as a setting too, and printed settings load back.
    let is_default = edge.control_plane == EdgeSettings::default().control_plane;
    if !edge.cells.is_empty() && !is_default {
        let both = loading.origin("edge.control_plane");
        let problem = format!("is set together with edge.control_plane (from {both})");
        found.push((problem, "name those control planes as the first cell"));
    }
    let origin = loading.origin(KEY);
    let faults = found.into_iter().map(|(what, remedy)| ConfigFault::new(origin.clone(), KEY, what, remedy));
    loading.faults.extend(faults);
}

/// Returns every fault of the cells.
fn faults(cells: &[CellSettings]) -> Vec<CellFault> {
    let mut found = Vec::new();
    if cells.len() > CELLS_MAX {
        found.push((format!("has more than {CELLS_MAX} cells"), "name fewer"));
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeMap::new());
    for (number, cell) in (1..).zip(cells) {
        if CellName::parse(&cell.name).is_err() {
            found.push((format!("has no usable name in cell {number}"), "use 1 to 64 of A-Z a-z 0-9 - _ ."));
        } else if !names.insert(cell.name.to_ascii_lowercase()) {
            // Names are parts of file names, and some file systems do not distinguish case.
            let problem = format!("has the name `{}` twice", cell.name);
            found.push((problem, "give each cell a name of its own"));
        }
        if cell.control_plane.is_empty() {
            let problem = format!("has no control plane in cell {number}");
            found.push((problem, "name all replicas of the cell"));
        }
        for address in &cell.control_plane {
            if !is_http(address) {
                let problem = format!("has an address in cell {number} that is not a URL");
                found.push((problem, "write each as http://HOST:9090"));
            } else if addresses.insert(normal(address), number).is_some_and(|other| other != number) {
                let problem = format!("has the control plane {address} in two cells");
                found.push((problem, "name each replica in its own cell only"));
            }
        }
        let sendable = |token: &str| HeaderValue::from_str(token).is_ok_and(|value| value.to_str().is_ok());
        if cell.token.as_ref().is_some_and(|token| !sendable(token.expose())) {
            let problem = format!("has a token in cell {number} with characters that a header cannot carry");
            found.push((problem, "use visible ASCII characters"));
        }
    }
    found
}

/// Returns an address in the one form in which it is compared: case of the host, a final slash and the usual
/// port do not matter.
fn normal(address: &str) -> String {
    Url::parse(address).map_or_else(
        |_| address.to_owned(),
        |url| {
            format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;

    use super::*;

    fn cell(name: &str, addresses: &[&str]) -> CellSettings {
        let control_plane = addresses.iter().map(ToString::to_string).collect();
        CellSettings { name: name.into(), control_plane, token: None }
    }

    #[test]
    fn every_fault_of_the_cells_is_found_at_once() {
        assert_eq!(faults(&[]), []);
        assert_eq!(faults(&[cell("a", &["http://a:1"]), cell("b", &["http://b:1", "http://c:1"])]), []);
        let bad_token = CellSettings { token: Some(Secret::new("ü")), ..cell("c", &["HTTP://A:80/"]) };
        let cells = [
            cell("a", &["http://a"]),
            cell("A", &[]),
            cell("", &["a:1"]),
            cell("b/c", &["http://b:1"]),
            bad_token,
        ];
        let found: Vec<String> = faults(&cells).into_iter().map(|(what, _)| what).collect();
        assert_eq!(
            found,
            [
                "has the name `A` twice",
                "has no control plane in cell 2",
                "has no usable name in cell 3",
                "has an address in cell 3 that is not a URL",
                "has no usable name in cell 4",
                "has the control plane HTTP://A:80/ in two cells",
                "has a token in cell 5 with characters that a header cannot carry",
            ]
        );
        let many: Vec<_> = (0..65).map(|n| cell(&format!("c{n}"), &[&format!("http://h{n}:1")])).collect();
        assert_eq!(faults(&many).len(), 1);
        assert_eq!(faults(&[cell("a", &["http://a:1", "http://a:1/"])]), [], "twice in one cell");
    }
}
