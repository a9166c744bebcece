//! Which call a path names, and whose request it is: by path, by host, else `default`.

/// Where every BBB API begins.
const BASE: &str = "/bigbluebutton/api";

/// What a path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The tenant of `/TENANT/bigbluebutton/api/…`.
    pub tenant: Option<&'a str>,
    /// What stands after the base: the call's name, empty for the root.
    pub call: &'a str,
}

/// Reads a request's path; `None` when it is none of the BBB API.
pub fn target(path: &str) -> Option<Target<'_>> {
    let (tenant, rest) = if let Some(rest) = path.strip_prefix(BASE) {
        (None, rest)
    } else {
        let tenant = path.strip_prefix('/')?.split('/').next()?;
        (Some(tenant), path[1 + tenant.len()..].strip_prefix(BASE)?)
    };
    match rest.strip_prefix('/') {
        Some(call) => Some(Target { tenant, call }),
        None => rest.is_empty().then_some(Target { tenant, call: "" }),
    }
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
    fn hosts_are_compared_without_port_and_case() {
        for host in ["BBB.School.test", "bbb.school.test:8443", "bbb.school.test."] {
            assert_eq!(host_name(host), "bbb.school.test");
        }
        assert_eq!(host_name("[2001:DB8::1]:443"), "2001:db8::1");
    }
}
