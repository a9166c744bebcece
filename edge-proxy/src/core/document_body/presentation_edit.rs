//! Puts a tenant's presentation into the body of a `create` while it streams through the edge
//! (wire-contract 4.9). Every other module keeps its bytes.
//!
//! BBB takes the children of the root for modules and the name of each from its attribute `name`:
//! 2.x loads the documents of every presentation module, 3.0 those of the last. So all of them are
//! left out if the tenant's document is forced, and the module of the tenant stands last, before the
//! end of the root.

use usher_bbb::work;

use super::{BodyFault, DocumentBody, State};

/// The treatment of the presentation modules of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresentationMode {
    /// The modules are left out.
    Forced,
    /// The modules stay. The tenant's module is added only if there is none, as BBB then adds its own
    /// default presentation.
    Default,
}

/// The edit of one body. It holds one tag at a time, which is limited as the check of a body limits
/// it, and no text.
#[derive(Debug)]
pub struct PresentationEdit {
    body: DocumentBody,
    mode: PresentationMode,
    /// The module that is added.
    module: String,
    /// The markup that is being read, with its `<`.
    held: Vec<u8>,
    /// Whether the open module is left out.
    is_left_out: bool,
    /// Whether a presentation module was read.
    has_presentation: bool,
}

impl PresentationEdit {
    /// Returns an edit that adds `module`, a complete module element.
    pub fn new(mode: PresentationMode, module: String) -> Self {
        Self {
            body: DocumentBody::default(),
            mode,
            module,
            held: Vec::new(),
            is_left_out: false,
            has_presentation: false,
        }
    }

    /// Reads the next part of the body, and appends the part that servers get to `out`.
    ///
    /// # Errors
    /// Every server would refuse the body, however it continues.
    pub fn pass(&mut self, part: &[u8], out: &mut Vec<u8>) -> Result<(), BodyFault> {
        work::count(part.len());
        out.reserve(part.len());
        for byte in part {
            let (before, depth) = (self.body.state, self.body.open.len());
            self.body.byte(*byte)?;
            self.body.has_begun = true;
            self.held.push(*byte);
            match (before, self.body.state) {
                (State::Tag(_), State::Text) => self.tag(depth, out),
                // The kind of this markup is not known yet, or it may turn out to be the end of the root.
                (_, State::Opening | State::Tag(_) | State::Instruction(_)) => {}
                _ => self.release(out),
            }
        }
        Ok(())
    }

    /// Returns whether the body is complete. Then it has been passed on entirely.
    ///
    /// # Errors
    /// The body breaks off.
    pub fn end(&self) -> Result<(), BodyFault> {
        self.body.end()
    }

    /// Passes on the bytes that are held, unless their module is left out.
    fn release(&mut self, out: &mut Vec<u8>) {
        work::count(self.held.len());
        if !self.is_left_out {
            out.extend_from_slice(&self.held);
        }
        self.held.clear();
    }

    /// Decides about a complete tag that was read at `depth`.
    fn tag(&mut self, depth: usize, out: &mut Vec<u8>) {
        let is_end = self.held.starts_with(b"</");
        let is_empty = !is_end && self.body.open.len() == depth;
        match (depth, is_end) {
            (0, false) if is_empty && self.adds() => {
                // `<modules/>` gets a start tag and an end tag.
                let tag = std::mem::take(&mut self.held);
                out.extend_from_slice(tag.strip_suffix(b"/>").unwrap_or(&tag));
                out.push(b'>');
                out.extend_from_slice(self.module.as_bytes());
                out.extend_from_slice(b"</");
                let name = |byte: &&u8| !byte.is_ascii_whitespace() && !b"/>".contains(byte);
                out.extend(tag.iter().skip(1).take_while(name));
                out.push(b'>');
                return;
            }
            (1, true) if self.adds() => out.extend_from_slice(self.module.as_bytes()),
            (1, false) if self.body.in_presentation => {
                self.has_presentation = true;
                self.is_left_out = self.mode == PresentationMode::Forced;
            }
            _ => {}
        }
        self.release(out);
        // The module ends with its end tag, or is an empty element.
        if self.body.open.len() == 1 && (is_end || is_empty) {
            self.is_left_out = false;
        }
    }

    fn adds(&self) -> bool {
        self.mode == PresentationMode::Forced || !self.has_presentation
    }
}

#[cfg(test)]
mod tests;
