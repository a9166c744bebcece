//! The reading of answers. A leader that takes over polls every server at once, and a large fleet
//! then answers with some hundred megabytes of lists. So a limited number of large answers is in
//! memory at a time, and the others wait at their servers. The wait for a turn is no fault of a
//! server: it does not count towards the deadline of the call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use usher_bbb::parse::{self, UnreadableReply};

use super::call_failure;
use crate::ports::BbbCallError;

/// The largest answer that is read without a turn, bytes.
const SMALL: usize = 64 << 10;
/// The number of large answers that are read at a time. A fleet of a thousand servers at 10 s makes
/// a hundred polls a second, of which each may take some 0.5 s on a slow network.
const TURNS: usize = 64;
/// The longest wait for further bytes with a turn. After it, another answer gets the turn.
const STALL: Duration = Duration::from_millis(100);
/// The largest buffer that is kept for the next answer, bytes.
const KEPT: usize = 4 << 20;

/// The turns in which large answers are read; clones share them.
#[derive(Debug, Clone)]
pub(super) struct AnswerTurns {
    free: Arc<Semaphore>,
    /// Buffers of earlier answers, at most one for each turn. A new buffer for each poll would cost a
    /// third of the processor time of all polls, because the system clears new memory.
    buffers: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A complete body. It holds its turn until it is dropped, so that it is also parsed in its turn.
#[derive(Debug)]
pub(super) struct AnswerBody {
    bytes: Vec<u8>,
    turn: Option<OwnedSemaphorePermit>,
    turns: AnswerTurns,
}

impl Default for AnswerTurns {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(TURNS)), buffers: Arc::default() }
    }
}

impl AnswerTurns {
    /// Reads a body until `deadline`, which is the end of a call of the length `budget`.
    pub(super) async fn read(
        &self,
        mut body: Incoming,
        budget: Duration,
        mut deadline: Instant,
    ) -> Result<AnswerBody, BbbCallError> {
        let mut answer = AnswerBody { bytes: Vec::new(), turn: None, turns: self.clone() };
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(BbbCallError::Timeout(budget));
            }
            let until = if answer.turn.is_some() { deadline.min(now + STALL) } else { deadline };
            let Ok(frame) = timeout_at(until, body.frame()).await else {
                answer.turn = None;
                continue;
            };
            let Some(frame) = frame else { return Ok(answer) };
            let frame = frame.map_err(|error| BbbCallError::Broken(call_failure::cause(&error)))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = answer.bytes.len() + data.len();
            if length > parse::MAX_BYTES {
                return Err(call_failure::unreadable(&UnreadableReply::TooLarge));
            }
            if length > SMALL && answer.turn.is_none() {
                let asked = Instant::now();
                answer.turn = Arc::clone(&self.free).acquire_owned().await.ok(); // it is never closed
                deadline += asked.elapsed();
                answer.enlarge();
            }
            answer.bytes.extend_from_slice(&data);
        }
    }

    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerBody {
    /// Returns the text of the answer.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(super) fn text(&self) -> Result<&str, BbbCallError> {
        str::from_utf8(&self.bytes).map_err(|_| BbbCallError::Unreadable("the answer is not UTF-8".into()))
    }

    /// Moves the first bytes into a buffer of an earlier answer, if there is a larger one.
    fn enlarge(&mut self) {
        let Some(mut buffer) = self.turns.buffers().pop() else { return };
        if buffer.capacity() > self.bytes.capacity() {
            buffer.extend_from_slice(&self.bytes);
            self.bytes = buffer;
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.bytes);
        if (SMALL..=KEPT).contains(&buffer.capacity()) {
            buffer.clear();
            let mut buffers = self.turns.buffers();
            if buffers.len() < TURNS {
                buffers.push(buffer);
            }
        }
    }
}
