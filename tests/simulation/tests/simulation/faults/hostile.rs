//! A hostile edge: it claims a revision that the store never had.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::sleep;
use usher_proto::v1::{Hello, Revision, Seal, StreamRoutesRequest, stream_routes_request::Message};

use crate::cluster::SimCluster;

impl SimCluster {
    /// Sends hellos to every replica under several names, with a revision that is far ahead and
    /// without a seal, with a forged one, or with one that an honest edge got for another revision.
    /// The streams stay open.
    pub(super) async fn claims_a_past(&self, lasts: Duration) {
        self.witness.note("! an edge claims a later past of the store");
        let given = self.some_edge().current.seal();
        let mut streams = Vec::new();
        for (number, plane) in self.running().into_iter().enumerate() {
            let now = plane.engine.fleet.revision();
            let forged = (0..32).map(|_| self.chance.below(256) as u8).collect();
            let macs = [None, Some(forged), given.clone().map(|seal| seal.mac)];
            for (turn, mac) in macs.into_iter().enumerate() {
                let seq = now.seq.saturating_add(1 + self.chance.below(1 << (1 + 20 * turn)));
                let have = Some(Revision { epoch: now.epoch, seq });
                let seal = mac.map(|mac| Seal { revision: have, mac });
                let hello =
                    Hello { edge_id: format!("hostile-{number}-{turn}"), have, seal, ..Hello::default() };
                let said = StreamRoutesRequest { message: Some(Message::Hello(hello)) };
                // The stream of requests never ends.
                let said = futures::stream::iter([Ok(said)]).chain(futures::stream::pending());
                let Ok(routing) = plane.routing() else { continue };
                streams.extend(routing.open(Box::pin(said)).await.ok());
            }
        }
        sleep(lasts).await;
        drop(streams);
    }
}
