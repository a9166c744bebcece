//! Session tickets of TLS: they are sealed and opened with the keys of the fleet (ADR 29), so that a
//! client resumes its session at another edge, and after the certificate was read again.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::server::ProducesTickets;
use tokio::sync::watch;
use usher_model::session_ticket::{TICKET_PERIOD, TicketKeys, TicketSecret};
use usher_runtime::clock::WallClock;

/// The secret of the fleet, once a control plane has told it.
pub(crate) type TicketSecretWatch = watch::Receiver<Option<Arc<TicketSecret>>>;

/// Makes and reads tickets.
#[derive(Debug)]
pub(super) struct SessionTickets {
    fleet: TicketSecretWatch,
    /// The secret of this edge alone, used until the fleet's is known.
    own: Arc<TicketSecret>,
    wall: WallClock,
    current: ArcSwapOption<DerivedKeys>,
}

/// The keys of a period, with the secret that they were derived from.
#[derive(Debug)]
struct DerivedKeys {
    secret: Arc<TicketSecret>,
    keys: TicketKeys,
}

impl SessionTickets {
    /// Returns tickets with the secret of the fleet.
    pub(super) fn new(fleet: TicketSecretWatch) -> Self {
        let own = Arc::new(TicketSecret::of_random(rand::random()));
        Self { fleet, own, wall: WallClock::system(), current: ArcSwapOption::empty() }
    }

    /// Returns the keys of now; `None` if they cannot be derived.
    fn keys(&self) -> Option<Arc<DerivedKeys>> {
        let (secret, now_ms) = (self.secret(), self.wall.now_ms());
        let current = self.current.load_full();
        let is_current = |derived: &Arc<DerivedKeys>| {
            Arc::ptr_eq(&derived.secret, &secret) && derived.keys.are_for(now_ms)
        };
        if let Some(derived) = current.filter(is_current) {
            return Some(derived);
        }
        let keys = secret.keys(now_ms).ok()?;
        let derived = Arc::new(DerivedKeys { secret, keys });
        self.current.store(Some(Arc::clone(&derived)));
        Some(derived)
    }

    fn secret(&self) -> Arc<TicketSecret> {
        self.fleet.borrow().as_ref().map_or_else(|| Arc::clone(&self.own), Arc::clone)
    }
}

impl ProducesTickets for SessionTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TICKET_PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        if !is_tls13(plain) {
            return None;
        }
        self.keys()?.keys.seal(plain, rand::random())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys()?.keys.open(cipher)
    }
}

/// Returns whether the state of a session, in the form of rustls, is one of TLS 1.3. It begins with the
/// name of the server, if the client gave one, and the version. A ticket of TLS 1.2 would contain the
/// very key of its session. A form that this function does not know gets no ticket.
fn is_tls13(session: &[u8]) -> bool {
    const VERSION: [u8; 2] = [3, 4];
    let after_name = match session {
        [0, rest @ ..] => Some(rest),
        [1, length, rest @ ..] => rest.get(usize::from(*length)..),
        _ => None,
    };
    after_name.is_some_and(|rest| rest.starts_with(&VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sessions_of_tls13_get_tickets_and_a_new_secret_ends_them() {
        let (fleet, watched) = watch::channel(None);
        let tickets = SessionTickets::new(watched);
        for session in [&b"\0\x03\x03x"[..], b"\x01\x02ab\x03\x03x", b"\x01\x09a", b"\x02", b""] {
            assert_eq!(tickets.encrypt(session), None);
        }
        for session in [&b"\0\x03\x04x"[..], b"\x01\x02ab\x03\x04x"] {
            let ticket = tickets.encrypt(session).expect("is sealed");
            assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(session));
        }
        let own = tickets.encrypt(b"\0\x03\x04x").expect("is sealed");
        fleet.send_replace(Some(Arc::new(TicketSecret::of_random([1; 32]))));
        assert_eq!(tickets.decrypt(&own), None);
        let other = SessionTickets::new(fleet.subscribe());
        let ticket = tickets.encrypt(b"\0\x03\x04x").expect("is sealed");
        assert_eq!(other.decrypt(&ticket).as_deref(), Some(&b"\0\x03\x04x"[..]), "another edge");
    }
}
