//! The text fields of a `multipart/form-data` body; its files are passed over.

/// Returns name and value of each text field.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let Some(boundary) = parameter(content_type, "boundary") else { return Vec::new() };
    let body = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    body.split(&delimiter).filter_map(field).collect()
}

fn field(part: &str) -> Option<(String, String)> {
    let (head, value) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
    let disposition =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    if parameter(disposition, "filename").is_some() {
        return None;
    }
    Some((parameter(disposition, "name")?, value.strip_suffix("\r\n").unwrap_or(value).to_owned()))
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn text_fields_are_read_and_files_passed_over() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nroom 42\r\n\
                    --X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\
                    Content-Type: text/vtt\r\n\r\nWEBVTT\r\n\
                    --X\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--X--\r\n";
        let fields = fields("multipart/form-data; boundary=\"X\"", body.as_bytes());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(fields, [pair("meetingID", "room 42"), pair("empty", "")]);
    }
}
