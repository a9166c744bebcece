//! Writes XML in the form of BBB.

/// An XML document that is being written.
#[derive(Debug, Default)]
pub struct XmlDocument(String);

impl XmlDocument {
    /// Returns an empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `<name>`, the elements that `body` writes, and `</name>`, each on its own line.
    pub fn element(&mut self, name: &str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.tag("<", name, ">\n");
        body(self);
        self.tag("</", name, ">\n");
        self
    }

    /// Appends `<name>text</name>` with the text escaped.
    pub fn leaf(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        self.tag("<", name, ">");
        push_escaped(&mut self.0, text.as_ref());
        self.tag("</", name, ">\n");
        self
    }

    /// Appends `<name attribute="value" …>text</name>`, with text and values escaped.
    pub fn leaf_with(&mut self, name: &str, attributes: &[(&str, &str)], text: impl AsRef<str>) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.tag(" ", attribute, "=\"");
            push_escaped(&mut self.0, value);
            self.0.push('"');
        }
        self.0.push('>');
        push_escaped(&mut self.0, text.as_ref());
        self.tag("</", name, ">\n");
        self
    }

    /// Appends the empty element `<name/>`.
    pub fn empty(&mut self, name: &str) -> &mut Self {
        self.tag("<", name, "/>\n");
        self
    }

    /// Appends a complete element unchanged.
    pub fn raw(&mut self, element: &str) -> &mut Self {
        self.0.push_str(element);
        self.0.push('\n');
        self
    }

    /// Returns the text of the document.
    pub fn finish(self) -> String {
        self.0
    }

    fn tag(&mut self, open: &str, name: &str, close: &str) {
        self.0.push_str(open);
        self.0.push_str(name);
        self.0.push_str(close);
    }
}

/// Appends `text`. Characters that XML reserves are escaped, and characters that XML forbids are left out.
pub fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(c),
        }
    }
}
