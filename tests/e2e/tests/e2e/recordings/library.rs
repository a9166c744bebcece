//! One process with the library on: upload, list, play, change, delete.

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode, header};
use tempfile::TempDir;
use usher_harness::{servers::SERVER_SECRET, standalone::RunningStandalone, wait};

use super::server_folder::{PublishedFormat, ServerFolder};

/// The address of playback in lists.
const PLAY: &str = "https://play.example.org";

struct LibrarySite {
    standalone: RunningStandalone,
    server: ServerFolder,
    http: reqwest::Client,
    _data: TempDir,
}

impl LibrarySite {
    async fn start() -> Result<Self> {
        Self::start_keeping("0").await
    }

    /// Starts a library that keeps this space free.
    async fn start_keeping(free: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let settings = [
            ("recordings.library", "true"),
            ("recordings.listen", "127.0.0.1:0"),
            ("recordings.url", PLAY),
            ("recordings.keep_free", free),
            ("store.kind", "embedded"),
        ];
        let standalone = RunningStandalone::start_on(Some(data.path()), 1, &settings).await?;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { standalone, server: ServerFolder::new(SERVER_SECRET)?, http, _data: data })
    }

    fn address(&self) -> String {
        format!("http://{}", self.standalone.process.address("listen"))
    }

    /// Publishes a format on the server, runs its script, and waits until the queue is empty.
    async fn upload(&self, format: &PublishedFormat) -> Result<()> {
        self.server.publish(format, &self.address())?;
        // A library that has just started may not know its server yet; the queue is for that.
        self.server.post_publish(format)?;
        wait::until("the upload", || async {
            if !self.server.queue(".pending").is_empty() {
                self.server.script(&["--pending", "--all"])?;
            }
            ensure!(self.server.queue(".pending").is_empty(), "still waiting");
            Ok(())
        })
        .await
    }

    async fn list(&self, query: &str) -> Result<usher_harness::client::HttpAnswer> {
        let answer = self.standalone.client().get("getRecordings", query).await?;
        ensure!(answer.is_success(), "{}", answer.body);
        Ok(answer)
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<reqwest::Response> {
        self.request(Method::GET, path, headers).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.send().await?)
    }
}

#[tokio::test]
async fn r2_r15_a_recording_is_uploaded_listed_and_played() -> Result<()> {
    let site = LibrarySite::start().await?;
    let format = PublishedFormat::presentation(1_700_000_000_000);
    let id = &format.id;
    site.upload(&format).await?;
    assert_eq!(site.server.queue(".committed").len(), 1);
    let list = site.list("").await?;
    assert_eq!(list.text("recordID"), Some(id.as_str()), "{}", list.body);
    for (element, value) in
        [("name", "Algebra"), ("meetingID", "room"), ("state", "published"), ("length", "2")]
    {
        assert_eq!(list.text(element), Some(value), "{}", list.body);
    }
    let url = format!("{PLAY}/playback/presentation/2.3/{id}");
    assert_eq!(list.text("url"), Some(url.as_str()));
    assert!(!list.body.contains("usher-"), "marks are not shown: {}", list.body);
    let page = site.list("limit=10&meta_isBreakout=false").await?;
    assert_eq!((page.text("totalElements"), page.texts("recordID").len()), (Some("1"), 1), "{}", page.body);
    assert!(site.list("meetingID=other").await?.texts("recordID").is_empty());

    let video = format!("/presentation/{id}/video/webcams.webm");
    let whole = site.get(&video, &[]).await?;
    assert_eq!(whole.status(), StatusCode::OK);
    let headers = whole.headers().clone();
    assert_eq!(
        (&headers[header::CONTENT_TYPE], &headers[header::CONTENT_LENGTH]),
        (&"video/webm".parse()?, &"300000".parse()?)
    );
    assert_eq!(whole.bytes().await?, format.files[1].1);
    let part = site.get(&video, &[("range", "bytes=1000-1999")]).await?;
    assert_eq!(
        (part.status(), part.headers()[header::CONTENT_RANGE].to_str()?),
        (StatusCode::PARTIAL_CONTENT, "bytes 1000-1999/300000")
    );
    assert_eq!(part.bytes().await?, format.files[1].1[1000..2000]);
    assert_eq!(
        site.get(&video, &[("range", "bytes=300000-")]).await?.status(),
        StatusCode::RANGE_NOT_SATISFIABLE
    );
    let etag = headers[header::ETAG].to_str()?;
    assert_eq!(site.get(&video, &[("if-none-match", etag)]).await?.status(), StatusCode::NOT_MODIFIED);
    let head = site.request(Method::HEAD, &video, &[]).await?;
    assert_eq!(
        (head.status(), &head.headers()[header::CONTENT_LENGTH]),
        (StatusCode::OK, &"300000".parse()?)
    );
    let image =
        site.get(&format!("/presentation/{id}/presentation/p1/thumbnails/thumb%201.png"), &[]).await?;
    assert_eq!(image.bytes().await?, "png");
    assert_eq!(site.get(&format!("/presentation/{id}/empty.json"), &[]).await?.status(), StatusCode::OK);
    for absent in ["/x", "/files/shapes.svg", "/manifest.json"] {
        let answer = site.get(&format!("/presentation/{id}{absent}"), &[]).await?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{absent}");
    }
    let metadata = site.get(&format!("/presentation/{id}/metadata.xml"), &[]).await?.text().await?;
    assert!(
        metadata.contains("<meetingName>Algebra</meetingName>") && !metadata.contains("usher-"),
        "{metadata}"
    );
    Ok(())
}

#[tokio::test]
async fn r4_r5_r9_edits_survive_an_import_and_a_deleted_recording_stays_deleted() -> Result<()> {
    let mut site = LibrarySite::start().await?;
    let mut format = PublishedFormat::presentation(1_700_000_000_001);
    let id = format.id.clone();
    site.upload(&format).await?;
    let client = site.standalone.client();
    let renamed =
        client.get("updateRecordings", &format!("recordID={id}&meta_name=Better&meta_Course=A")).await?;
    assert_eq!(renamed.text("updated"), Some("true"), "{}", renamed.body);
    // The server renders the recording again, with another file.
    format.files[0].1 = b"<svg>new</svg>".to_vec();
    site.upload(&format).await?;
    let shapes = format!("/presentation/{id}/shapes.svg");
    wait::until("the new generation to play", || async {
        let text = site.get(&shapes, &[]).await?.text().await?;
        ensure!(text == "<svg>new</svg>", "{text}");
        Ok(())
    })
    .await?;
    let list = site.list("meta_course=A").await?;
    assert_eq!((list.text("name"), list.text("course")), (Some("Better"), Some("A")), "{}", list.body);
    let metadata = site.get(&format!("/presentation/{id}/metadata.xml"), &[]).await?.text().await?;
    assert!(metadata.contains("<meetingName>Better</meetingName>"), "{metadata}");

    let hidden = client.get("publishRecordings", &format!("recordID={id}&publish=false")).await?;
    assert_eq!(hidden.text("published"), Some("false"), "{}", hidden.body);
    assert_eq!(site.list("state=unpublished").await?.texts("recordID").len(), 1);
    let gone = async |site: &LibrarySite| {
        wait::until("the file to be gone", || async {
            let status = site.get(&shapes, &[]).await?.status();
            ensure!(status == StatusCode::NOT_FOUND, "{status}");
            Ok(())
        })
        .await
    };
    gone(&site).await?;
    site.standalone.process.terminate().await?;
    site.standalone.restart().await?;
    let client = site.standalone.client();
    assert_eq!(site.list("state=unpublished").await?.texts("recordID").len(), 1, "after a restart");

    let deleted = client.get("deleteRecordings", &format!("recordID={id}")).await?;
    assert_eq!(deleted.text("deleted"), Some("true"), "{}", deleted.body);
    assert!(site.list("").await?.texts("recordID").is_empty());
    let again = client.get("deleteRecordings", &format!("recordID={id}")).await?;
    assert_eq!(again.key(), "notFound", "{}", again.body);
    site.upload(&format).await?;
    assert!(site.list("").await?.texts("recordID").is_empty(), "an upload does not revive it");
    gone(&site).await
}

#[tokio::test]
async fn r8_uploads_need_the_secret_of_a_server() -> Result<()> {
    let site = LibrarySite::start().await?;
    let format = PublishedFormat::presentation(1_700_000_000_002);
    let stranger = ServerFolder::new("another secret")?;
    stranger.publish(&format, &site.address())?;
    stranger.post_publish(&format)?;
    assert_eq!(stranger.queue(".pending").len(), 1, "the upload waits for a right secret");
    assert!(site.list("").await?.texts("recordID").is_empty());
    let refused = site.request(Method::POST, "/usher/recordings/offers", &[]).await?;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn r16_the_copy_on_the_server_goes_after_the_commit() -> Result<()> {
    let site = LibrarySite::start().await?;
    let format = PublishedFormat::presentation(1_700_000_000_003);
    site.upload(&format).await?;
    site.server.script(&["--pending"])?;
    assert!(site.server.has_copy(&format), "it stays for a day");
    // The server renders the recording again, and its script does not run.
    let mut again = format.clone();
    again.files[0].1 = b"<svg>again</svg>".to_vec();
    site.server.publish(&again, &site.address())?;
    site.server.keep_hours(0)?;
    site.server.script(&["--pending"])?;
    assert!(site.server.has_copy(&format), "the library had other content; now it has this");
    site.server.script(&["--pending"])?;
    assert!(!site.server.has_copy(&format) && site.server.queue("").iter().all(|name| name == "lock"));
    let shapes = site.get(&format!("/presentation/{}/shapes.svg", format.id), &[]).await?;
    assert_eq!(shapes.text().await?, "<svg>again</svg>");
    assert_eq!(site.list("").await?.texts("recordID").len(), 1);
    Ok(())
}

#[tokio::test]
async fn r13_an_upload_without_space_is_refused_and_waits() -> Result<()> {
    let site = LibrarySite::start_keeping("1000000GiB").await?;
    let format = PublishedFormat::presentation(1_700_000_000_004);
    site.server.publish(&format, &site.address())?;
    site.server.post_publish(&format)?;
    assert_eq!((site.server.queue(".pending").len(), site.server.queue(".committed").len()), (1, 0));
    assert!(site.server.has_copy(&format) && site.list("").await?.texts("recordID").is_empty());
    Ok(())
}
