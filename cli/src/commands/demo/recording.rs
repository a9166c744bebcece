//! The recording of the demo: a short melody, uploaded to the library as a BBB server would.

use anyhow::{Context as _, ensure};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use usher_bbb::secret::Secret;
use usher_model::callback::jwt;
use usher_runtime::clock::WallClock;

/// The id of the recording, which is that of its meeting.
const ID: &str = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";
/// The path of the sound below the recording.
const SOUND: &str = "audio.wav";
/// Where uploads begin.
const OFFERS: &str = "/usher/recordings/offers";
/// The samples in a second, one byte each.
const RATE: u32 = 8_000;
/// The notes of the melody, Hz; each takes a third of a second.
const NOTES: [f64; 8] = [261.6, 293.7, 329.6, 349.2, 392.0, 392.0, 440.0, 392.0];

/// Returns the address at which the recording plays.
pub(super) fn address(edge: &str) -> String {
    format!("{edge}/podcast/{ID}/{SOUND}")
}

/// Uploads the recording through the edge at `edge`, signed by the server with this secret.
pub(super) async fn upload(edge: &str, secret: &Secret) -> anyhow::Result<()> {
    let client = Client::builder().no_proxy().build()?;
    let sound = melody();
    let digest: String = Sha256::digest(&sound).iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = |request: RequestBuilder, path: &str| -> anyhow::Result<RequestBuilder> {
        let expiry = WallClock::system().now_ms() / 1000 + 300;
        let claims = json!({ "path": path, "exp": expiry });
        let claims = claims.as_object().context("the claims are an object")?;
        Ok(request.bearer_auth(jwt::sign_claims(claims, secret)?))
    };
    let post = |path: &str| signed(client.post(format!("{edge}{path}")), path);
    let files = json!([{ "path": SOUND, "size": sound.len(), "sha256": digest }]);
    let offer = post(OFFERS)?
        .body(json!({ "metadata": metadata(sound.len()), "files": files }).to_string())
        .send()
        .await?;
    ensure!(offer.status() == StatusCode::CREATED, "the offer was answered with {}", offer.status());
    let offer: Value = serde_json::from_slice(&offer.bytes().await?)?;
    let offer = offer["offer"].as_str().context("the answer names the offer")?;
    let file = format!("{OFFERS}/{offer}/files/0");
    let part = client.patch(format!("{edge}{file}")).header("upload-offset", 0).body(sound);
    let stored = signed(part, &file)?.send().await?;
    ensure!(stored.status() == StatusCode::NO_CONTENT, "the file was answered with {}", stored.status());
    let committed = post(&format!("{OFFERS}/{offer}/commit"))?.send().await?;
    ensure!(committed.status().is_success(), "the commit was answered with {}", committed.status());
    Ok(())
}

fn metadata(size: usize) -> String {
    format!(
        "<recording><id>{ID}</id><state>published</state><published>true</published>\
         <start_time>1700000000000</start_time><end_time>1700000003000</end_time><participants>1</participants>\
         <meeting id=\"{ID}\" externalId=\"demo\" name=\"A melody\" breakout=\"false\"/>\
         <meta><meetingId>demo</meetingId><meetingName>A melody</meetingName><isBreakout>false</isBreakout></meta>\
         <playback><format>podcast</format><link>/podcast/{ID}/{SOUND}</link><processing_time>1</processing_time>\
         <duration>3000</duration><size>{size}</size></playback><raw_size>{size}</raw_size></recording>"
    )
}

/// Returns the melody as a WAV file.
fn melody() -> Vec<u8> {
    let samples: Vec<u8> = NOTES
        .iter()
        .flat_map(|note| {
            (0..RATE / 3).map(move |at| {
                let fade = 1.0 - f64::from(at) / f64::from(RATE / 3);
                let angle = f64::from(at) / f64::from(RATE) * note * std::f64::consts::TAU;
                (128.0 + 90.0 * fade * angle.sin()) as u8
            })
        })
        .collect();
    let size = samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    // The length of the format, PCM, one channel, samples and bytes a second, bytes and bits of a sample.
    file.extend(16_u32.to_le_bytes());
    file.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    file.extend([RATE, RATE].map(u32::to_le_bytes).concat());
    file.extend([1_u16, 8].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(samples);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_melody_is_a_whole_wav_file() {
        let file = melody();
        let number =
            |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]) as usize;
        assert_eq!((&file[..4], &file[8..16], &file[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
        assert_eq!((number(4) + 8, number(40) + 44), (file.len(), file.len()));
    }
}
