//! Reads the call and the tenant of a request. The tenant is in the path, or is found by the host,
//! or is `default`.

/// The call and the tenant that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The tenant of `/TENANT/bigbluebutton/api/…`.
    pub tenant: Option<&'a str>,
    /// The name of the call, after the base; empty for the root.
    pub call: &'a str,
}

/// Reads the path of a request. Returns `None` if the path is not one of the BBB API. Repeated
/// slashes are accepted, as BBB does, because applications concatenate URLs that people typed. The
/// path without `api` is the root too, as BBB answers it.
pub fn target(path: &str) -> Option<RequestTarget<'_>> {
    if let Some(rest) = below_base(path) {
        return Some(RequestTarget { tenant: None, call: rest.trim_matches('/') });
    }
    let (tenant, rest) = segment(path)?;
    let rest = below_base(rest)?;
    Some(RequestTarget { tenant: Some(tenant), call: rest.trim_matches('/') })
}

/// Returns the part after `/bigbluebutton/api`, where every call of the BBB API begins. The part
/// after `/bigbluebutton` alone is empty.
fn below_base(path: &str) -> Option<&str> {
    let (product, rest) = segment(path)?;
    if product != "bigbluebutton" {
        return None;
    }
    match segment(rest) {
        Some(("api", rest)) => Some(rest),
        Some(("", _)) | None => Some(""),
        Some(_) => None,
    }
}

/// Splits off the first segment of a path.
fn segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?.trim_start_matches('/');
    Some(path.split_at(path.find('/').unwrap_or(path.len())))
}

/// Returns a `Host` in the form in which tenants are looked up: lower case, no port, no final dot.
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
        for root in ["/bigbluebutton", "/bigbluebutton/", "//bigbluebutton//"] {
            assert_eq!(of(root), Some((None, "")), "{root}");
        }
        assert_eq!(of("/school/bigbluebutton/"), Some((Some("school"), "")));
        assert_eq!(
            of("/bigbluebutton/bigbluebutton/api/join"),
            Some((Some("bigbluebutton"), "join")),
            "a tenant of that name"
        );
        for other in [
            "/",
            "",
            "/bigbluebutton/apix",
            "/bigbluebutton/create",
            "/school",
            "/a/b/bigbluebutton/api/join",
            "create",
        ] {
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
