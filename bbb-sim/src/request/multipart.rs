//! Bodies of `multipart/form-data`: text fields and uploaded files.

/// Returns name and value of each text field.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let plain = |part: FormPart| (!part.is_file).then_some((part.name, part.value));
    parts(content_type, body).into_iter().filter_map(plain).collect()
}

/// Returns the text of the first file with this name.
pub(super) fn file(content_type: &str, body: &[u8], name: &str) -> Option<String> {
    let found = parts(content_type, body).into_iter().find(|part| part.is_file && part.name == name);
    found.map(|part| part.value)
}

struct FormPart {
    name: String,
    value: String,
    is_file: bool,
}

fn parts(content_type: &str, body: &[u8]) -> Vec<FormPart> {
    let Some(boundary) = parameter(content_type, "boundary") else { return Vec::new() };
    let body = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    body.split(&delimiter).filter_map(part).collect()
}

fn part(part: &str) -> Option<FormPart> {
    let (head, value) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
    let disposition =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    Some(FormPart {
        name: parameter(disposition, "name")?,
        value: value.strip_suffix("\r\n").unwrap_or(value).to_owned(),
        is_file: parameter(disposition, "filename").is_some(),
    })
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{fields, file};

    #[test]
    fn text_fields_and_files_are_distinguished() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nroom 42\r\n\
                    --X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\
                    Content-Type: text/vtt\r\n\r\nWEBVTT\r\n\
                    --X\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--X--\r\n";
        let kind = "multipart/form-data; boundary=\"X\"";
        assert_eq!(file(kind, body.as_bytes(), "file").as_deref(), Some("WEBVTT"));
        let fields = fields(kind, body.as_bytes());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(fields, [pair("meetingID", "room 42"), pair("empty", "")]);
    }
}
