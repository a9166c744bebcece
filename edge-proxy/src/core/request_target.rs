//! Which call a path names, and whose request it is: by path, by host, else `default`.

/// What a path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The tenant of `/TENANT/bigbluebutton/api/…`.
    pub tenant: Option<&'a str>,
    /// What stands after the base: the call's name, empty for the root.
    pub call: &'a str,
}

/// Reads a request's path; `None` when it is none of the BBB API. More slashes than needed do not
/// matter, as they do not to BBB: applications join what people typed.
pub fn target(path: &str) -> Option<RequestTarget<'_>> {
    if let Some(rest) = below_base(path) {
        return Some(RequestTarget { tenant: None, call: rest.trim_matches('/') });
    }
    let (tenant, rest) = segment(path)?;
    let rest = below_base(rest)?;
    Some(RequestTarget { tenant: Some(tenant), call: rest.trim_matches('/') })
}

/// Returns what follows `/bigbluebutton/api`, where every BBB API begins.
fn below_base(path: &str) -> Option<&str> {
    let (product, rest) = segment(path)?;
    let (api, rest) = segment(rest)?;
    (product == "bigbluebutton" && api == "api").then_some(rest)
}

/// Splits off a path's first segment.
fn segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?.trim_start_matches('/');
    Some(path.split_at(path.find('/').unwrap_or(path.len())))
}

/// Returns a `Host` as tenants are looked up by: lower case, no port, no final dot.
pub fn host_name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_call_and_tenant_with_and_without_a_final_slash() {
        let of = |path| target(path).map(|t| (t.tenant, t.call));
        assert_eq!(of("/bigbluebutton/api"), Some((None, "")));
        assert_eq!(of("/bigbluebutton/api/"), Some((None, "")));
        assert_eq!(of("/bigbluebutton/api/create"), Some((None, "create")));
        assert_eq!(of("/bigbluebutton/api/hooks/list"), Some((None, "hooks/list")));
        assert_eq!(of("/school/bigbluebutton/api/join"), Some((Some("school"), "join")));
        assert_eq!(of("/school/bigbluebutton/api"), Some((Some("school"), "")));
        for other in
            ["/", "", "/bigbluebutton", "/bigbluebutton/apix", "/a/b/bigbluebutton/api/join", "create"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn slashes_too_many_do_not_matter() {
        let of = |path| target(path).map(|t| (t.tenant, t.call));
        for path in [
            "//bigbluebutton/api/create",
            "/bigbluebutton//api/create",
            "/bigbluebutton/api//create",
            "/bigbluebutton/api/create/",
        ] {
            assert_eq!(of(path), Some((None, "create")), "{path}");
        }
        assert_eq!(of("/bigbluebutton/api//"), Some((None, "")));
        assert_eq!(of("/school//bigbluebutton/api//join"), Some((Some("school"), "join")));
        assert_eq!(of("/bigbluebutton/api/hooks//list"), Some((None, "hooks//list")));
    }

    #[test]
    fn hosts_are_compared_without_port_and_case() {
        for host in ["BBB.School.test", "bbb.school.test:8443", "bbb.school.test."] {
            assert_eq!(host_name(host), "bbb.school.test");
        }
        assert_eq!(host_name("[2001:DB8::1]:443"), "2001:db8::1");
    }
}
