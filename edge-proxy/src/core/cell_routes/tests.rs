use proptest::prelude::*;

use super::*;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("is an id")
}

fn claim(id: &str, hosts: &[&str]) -> TenantClaim {
    TenantClaim { tenant: tenant(id), hosts: hosts.iter().map(ToString::to_string).collect(), enabled: true }
}

fn disabled(id: &str, hosts: &[&str]) -> TenantClaim {
    TenantClaim { enabled: false, ..claim(id, hosts) }
}

/// Returns the routes of cells with these tenants, each with a store of its own.
fn routes(cells: Vec<Option<Vec<TenantClaim>>>) -> CellRoutes {
    let claims = (1..).zip(cells).map(|(epoch, tenants)| Some(CellClaims { epoch, tenants: tenants? }));
    CellRoutes::new(&claims.collect::<Vec<_>>())
}

/// Returns the chosen tenant with its cells.
fn chosen(routes: &CellRoutes, path: Option<&str>, host: Option<&str>) -> Option<(String, Vec<usize>)> {
    match routes.choose(path, host) {
        CellChoice::Claimed { tenant, cells, .. } => Some((tenant.to_string(), cells.to_vec())),
        CellChoice::Unread | CellChoice::Unknown => None,
    }
}

#[test]
fn a_tenant_is_found_in_its_cell_by_path_and_by_host() {
    let routes = self::routes(vec![
        Some(vec![claim("a", &["a.test"]), claim("default", &[])]),
        Some(vec![claim("b", &["b.test"])]),
    ]);
    let of = |name: &str, cell| Some((name.to_owned(), vec![cell]));
    assert_eq!(chosen(&routes, Some("a"), None), of("a", 0));
    assert_eq!(chosen(&routes, Some("b"), Some("a.test")), of("b", 1), "the path comes first");
    assert_eq!(chosen(&routes, None, Some("b.test")), of("b", 1));
    assert_eq!(chosen(&routes, None, Some("c.test")), of("default", 0));
    assert_eq!(routes.choose(Some("c"), None), CellChoice::Unknown);
    assert!(routes.conflicts().is_empty() && !routes.has_unread() && routes.len() == 3);
}

#[test]
fn the_default_tenant_is_always_that_of_the_first_cell() {
    let second = || Some(vec![claim("default", &["any.test"])]);
    let routes = self::routes(vec![Some(vec![claim("default", &[])]), second()]);
    assert_eq!(chosen(&routes, None, Some("any.test")), Some(("default".to_owned(), vec![0])));
    assert!(routes.conflicts().is_empty(), "every cluster has it");
    let routes = self::routes(vec![Some(vec![]), second()]);
    assert_eq!(routes.choose(None, None), CellChoice::Unknown);
    let routes = self::routes(vec![None, second()]);
    assert_eq!(routes.choose(None, None), CellChoice::Unread, "the secret may be the same in both");
    assert_eq!(routes.choose(Some("default"), None), CellChoice::Unread);
}

#[test]
fn an_unread_cell_makes_unknown_tenants_retryable_and_leaves_the_known_ones_alone() {
    let routes = self::routes(vec![Some(vec![claim("a", &["a.test"]), claim("default", &[])]), None]);
    assert_eq!(routes.choose(Some("b"), None), CellChoice::Unread);
    let certain = |path, host| match routes.choose(path, host) {
        CellChoice::Claimed { certain, .. } => Some(certain),
        _ => None,
    };
    assert_eq!(certain(Some("a"), None), Some(true));
    assert_eq!(certain(None, Some("a.test")), Some(true));
    assert_eq!(certain(None, Some("b.test")), Some(false), "the host may be that of an unread tenant");
    assert!(routes.need_host());
}

#[test]
fn of_two_cells_the_one_where_the_tenant_is_enabled_then_the_first_has_it() {
    let both = |first, second| self::routes(vec![Some(vec![first]), Some(vec![second])]);
    for (first, second, cells) in [
        (claim("a", &[]), claim("a", &[]), [0, 1]),
        (disabled("a", &[]), claim("a", &[]), [1, 0]),
        (claim("a", &[]), disabled("a", &[]), [0, 1]),
        (disabled("a", &[]), disabled("a", &[]), [0, 1]),
    ] {
        let routes = both(first, second);
        assert_eq!(chosen(&routes, Some("a"), None), Some(("a".to_owned(), cells.to_vec())));
        assert_eq!(routes.conflicts(), [ClaimConflict::Tenant(tenant("a"), cells.to_vec())]);
    }
}

#[test]
fn a_host_in_two_cells_leads_to_one_tenant() {
    // One tenant that moves: also its host leads to the owner, although only the other cell names it.
    let routes = self::routes(vec![Some(vec![claim("a", &[])]), Some(vec![claim("a", &["a.test"])])]);
    assert_eq!(chosen(&routes, None, Some("a.test")), Some(("a".to_owned(), vec![0, 1])));
    assert_eq!(routes.conflicts(), [ClaimConflict::Tenant(tenant("a"), vec![0, 1])]);
    // Two tenants: the host is that of the first cell.
    let routes = self::routes(vec![Some(vec![claim("b", &["x.test"])]), Some(vec![claim("a", &["x.test"])])]);
    assert_eq!(chosen(&routes, None, Some("x.test")), Some(("b".to_owned(), vec![0])));
    assert_eq!(routes.conflicts(), [ClaimConflict::Host("x.test".to_owned(), vec![0, 1])]);
    // Two tenants of one cell: the last one, as in the table of the cell, and no conflict of cells.
    let routes =
        self::routes(vec![Some(vec![claim("a", &["x.test"]), claim("b", &["x.test"])]), Some(vec![])]);
    assert_eq!(chosen(&routes, None, Some("x.test")), Some(("b".to_owned(), vec![0])));
    assert!(routes.conflicts().is_empty());
}

#[test]
fn one_cluster_that_is_configured_twice_counts_once() {
    let claims = |epoch| Some(CellClaims { epoch, tenants: vec![claim("a", &["a.test"])] });
    let routes = CellRoutes::new(&[claims(7), claims(7)]);
    assert_eq!(chosen(&routes, Some("a"), None), Some(("a".to_owned(), vec![0])), "its lists are whole");
    assert_eq!(routes.conflicts(), [ClaimConflict::Cluster(vec![0, 1])]);
    let routes = CellRoutes::new(&[claims(7), claims(8)]);
    assert_eq!(routes.conflicts(), [ClaimConflict::Tenant(tenant("a"), vec![0, 1])]);
}

fn any_cell() -> impl Strategy<Value = Option<Vec<TenantClaim>>> {
    let claim = (0..4_usize, proptest::collection::vec(0..3_usize, 0..3), any::<bool>());
    let claims = proptest::collection::btree_map(0..4_usize, claim, 0..4);
    proptest::option::weighted(0.8, claims).prop_map(|claims| {
        let claims = claims?.into_iter().map(|(id, (_, hosts, enabled))| TenantClaim {
            tenant: tenant(["default", "a", "b", "c"][id]),
            hosts: hosts.into_iter().map(|host| format!("h{host}.test")).collect(),
            enabled,
        });
        Some(claims.collect())
    })
}

proptest! {
    /// Every choice is a cell that has the tenant, a read cell's tenant is never unknown, and a cell that is
    /// read later never makes a definite answer of a retryable one wrong.
    #[test]
    fn x7_a_choice_is_a_function_of_the_tables(cells in proptest::collection::vec(any_cell(), 1..4)) {
        let routes = self::routes(cells.clone());
        let has = |cell: usize, name: &str| {
            cells[cell].iter().flatten().any(|claim| claim.tenant.as_str() == name)
        };
        for name in ["default", "a", "b", "c"] {
            let holders: Vec<usize> = (0..cells.len()).filter(|cell| has(*cell, name)).collect();
            match routes.choose(Some(name), None) {
                CellChoice::Claimed { tenant, cells: found, certain } => {
                    prop_assert!(certain && tenant.as_str() == name && !found.is_empty());
                    prop_assert!(found.iter().all(|cell| holders.contains(cell)));
                    prop_assert!(name == "default" || found.len() == holders.len());
                }
                CellChoice::Unread => prop_assert!(cells.iter().any(Option::is_none)),
                CellChoice::Unknown => {
                    prop_assert!(cells.iter().all(Option::is_some));
                    prop_assert!(holders.is_empty() || name == "default" && !holders.contains(&0));
                }
            }
        }
        for host in ["h0.test", "h1.test", "h9.test"] {
            if let CellChoice::Claimed { tenant, cells: found, .. } = routes.choose(None, Some(host)) {
                prop_assert!(has(found[0], tenant.as_str()));
            }
        }
    }
}
