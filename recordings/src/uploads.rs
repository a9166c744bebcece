//! Uploads of servers: an offer announces a format by its manifest, each file arrives in parts, a commit makes the
//! recording visible. Any replica may take the next request, because no part of an upload is kept in memory.

mod commit;
mod offer_document;
mod refusal;
mod routes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::RngExt as _;
use tokio::sync::RwLock;
use usher_model::id::ServerId;
use usher_runtime::clock::WallClock;

pub use offer_document::{MissingFile, OfferAnswer, OfferDocument};
pub use refusal::UploadRefusal;
pub use routes::router;

use crate::{
    core::{
        import::{ArrivingFormat, ImportDecision, ImportDefaults},
        manifest::{FormatManifest, ManifestFile},
        metadata_document,
    },
    fleet::FleetView,
    manifests::ManifestCache,
    ports::{ByteStream, FileKey, OfferId, RecordingIndex, RecordingStorage, StorageError, UploadOffer},
};

/// The script that BBB servers run after each format of a recording (Ruby, MIT licence).
pub const UPLOAD_SCRIPT: &str = include_str!("../script/usher_post_publish.rb");

/// The time for which an offer lives after its last byte.
const OFFER_TTL: Duration = Duration::from_hours(7 * 24);

/// The uploads; clones share the ports.
#[derive(Debug, Clone)]
pub struct UploadService {
    /// The facts of all recordings.
    pub index: Arc<dyn RecordingIndex>,
    /// The files of all recordings.
    pub storage: Arc<dyn RecordingStorage>,
    /// The manifests that were asked for last.
    pub manifests: ManifestCache,
    /// The servers and tenants.
    pub fleet: FleetView,
    /// The visibility of recordings that arrive.
    pub defaults: ImportDefaults,
    /// Space that must stay free, bytes.
    pub keep_free: u64,
    /// Held for others from the look at the files of an offer until the offer protects them from removal.
    pub removals: Arc<RwLock<()>>,
    /// The clock of expiries.
    pub clock: WallClock,
}

impl UploadService {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now_ms()).unwrap_or(0)
    }

    /// Takes an offer: returns the files that are missing, or that the content is here already.
    async fn offer(&self, server: ServerId, document: OfferDocument) -> Result<OfferAnswer, UploadRefusal> {
        let read = metadata_document::read(document.metadata.as_bytes())
            .map_err(|error| UploadRefusal::Document(format!("metadata: {error}")))?;
        let (tenant, facts) = (read.tenant, read.facts);
        if self.fleet.facts().tenant(&tenant).is_none() {
            return Err(UploadRefusal::UnknownTenant);
        }
        let manifest = FormatManifest::new(document.files)
            .map_err(|error| UploadRefusal::Document(format!("files: {error}")))?;
        let arriving = ArrivingFormat {
            facts: facts.clone(),
            generation: manifest.generation(),
            files: u32::try_from(manifest.files().len()).unwrap_or(u32::MAX),
            bytes: manifest.bytes(),
            tenant: tenant.clone(),
            server: Some(server.clone()),
        };
        // An offer that must be refused is refused before a byte is sent (R4, R8, R13).
        match self.decided(&arriving).await?.1 {
            ImportDecision::Refused(reason) => return Err(reason.into()),
            ImportDecision::Unchanged => return Ok(OfferAnswer::done()),
            ImportDecision::Commit { .. } => {}
        }
        if let Some(free) = self.storage.free().await?
            && free < self.keep_free.saturating_add(manifest.bytes())
        {
            return Err(UploadRefusal::Full);
        }
        let offer = UploadOffer {
            id: new_offer_id(),
            server,
            tenant,
            facts,
            generation: manifest.generation(),
            expires_ms: self.expiry(),
        };
        let _kept = self.removals.read().await;
        // The manifest is stored before the offer that needs it, so that each offer has one.
        let text =
            serde_json::to_vec(&manifest).map_err(|error| UploadRefusal::Document(error.to_string()))?;
        self.storage.put(&FileKey::manifest(&offer), Bytes::from(text)).await?;
        let offer = self.index.keep_offer(&offer).await?;
        let missing = self.missing(&offer, &manifest).await?;
        Ok(OfferAnswer::open(offer.id, missing))
    }

    fn expiry(&self) -> u64 {
        self.now_ms() + OFFER_TTL.as_millis() as u64
    }

    /// Returns the files of an offer that are not complete, with the number of bytes that are stored of each.
    async fn missing(
        &self,
        offer: &UploadOffer,
        manifest: &FormatManifest,
    ) -> Result<Vec<MissingFile>, UploadRefusal> {
        let mut missing = Vec::new();
        for (number, file) in manifest.files().iter().enumerate() {
            let key = FileKey::content(offer, &file.path);
            if !self.storage.is_complete(&key).await? {
                let offset = self.storage.stored(&key).await?;
                missing.push(MissingFile { path: file.path.clone(), n: number, offset });
            }
        }
        Ok(missing)
    }

    /// Returns an offer of the server, with its manifest.
    async fn opened(
        &self,
        server: &ServerId,
        id: &OfferId,
    ) -> Result<(UploadOffer, Arc<FormatManifest>), UploadRefusal> {
        let offer = self.index.offer(id).await?.filter(|offer| offer.server == *server);
        let offer = offer.ok_or(UploadRefusal::UnknownOffer)?;
        let manifest = self.manifests.manifest(&*self.storage, &FileKey::manifest(&offer)).await?;
        Ok((offer, manifest))
    }

    /// Returns the number of stored bytes of a file.
    async fn offset(&self, server: &ServerId, id: &OfferId, number: usize) -> Result<u64, UploadRefusal> {
        let (offer, manifest) = self.opened(server, id).await?;
        let file = manifest.files().get(number).ok_or(UploadRefusal::UnknownFile)?;
        Ok(self.storage.stored(&FileKey::content(&offer, &file.path)).await?)
    }

    /// Appends a part of a file, and completes the file with its last byte.
    async fn append(
        &self,
        server: &ServerId,
        id: &OfferId,
        (number, offset): (usize, u64),
        bytes: ByteStream,
    ) -> Result<u64, UploadRefusal> {
        let (offer, manifest) = self.opened(server, id).await?;
        let file = manifest.files().get(number).ok_or(UploadRefusal::UnknownFile)?;
        let key = FileKey::content(&offer, &file.path);
        self.index.postpone_offer(id, self.expiry()).await?;
        let stored = self.storage.append(&key, offset, file.size, bytes).await?;
        if stored == file.size {
            self.complete(&key, file).await?;
        }
        Ok(stored)
    }

    /// Completes a file whose bytes are all stored.
    async fn complete(&self, key: &FileKey, file: &ManifestFile) -> Result<(), UploadRefusal> {
        match self.storage.complete(key, file).await {
            // Another request has completed it.
            Err(StorageError::Absent) if self.storage.is_complete(key).await? => Ok(()),
            done => Ok(done?),
        }
    }
}

/// Returns a new name of an offer, which cannot be guessed.
fn new_offer_id() -> OfferId {
    let chance: u128 = rand::rng().random();
    OfferId(format!("{chance:032x}"))
}
