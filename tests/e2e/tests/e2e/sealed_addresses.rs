//! Sealed addresses of callbacks: they reveal no secret of another tenant, and cause no endless
//! delivery.

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use usher_bbb::query::RawQuery;
use usher_bbb_sim::BbbSim;
use usher_harness::{application::TestApplication, forwarder::SwitchingForwarder, wait};

use crate::site::UsherSite;

/// One call for each attempt, and the calls that may be in flight.
const MARGIN: usize = 2;

fn encoded(text: &str) -> String {
    let mut url = Url::parse("http://x").expect("is a URL");
    url.query_pairs_mut().append_pair("", text);
    url.query().unwrap_or_default().trim_start_matches('=').to_owned()
}

/// An Usher that servers can reach, an application, and a second address of the edge that Usher
/// does not know.
struct Scene {
    site: UsherSite,
    application: TestApplication,
    public: SwitchingForwarder,
    alias: SwitchingForwarder,
}

impl Scene {
    async fn start(is_etcd: bool) -> Result<Self> {
        let application = TestApplication::start().await?;
        let (public, alias) = (SwitchingForwarder::start().await?, SwitchingForwarder::start().await?);
        let url = public.url();
        let settings = [("public_url", url.as_str()), ("callbacks.allow", "127.0.0.1/32")];
        let site = if is_etcd {
            UsherSite::on_etcd(&settings).await?
        } else {
            UsherSite::embedded(&settings).await?
        };
        for forwarder in [&public, &alias] {
            forwarder.lead_to([site.edge()]);
        }
        Ok(Self { site, application, public, alias })
    }

    /// Returns the address that a server got in a parameter of the create of a meeting.
    fn given(&self, id: &str, name: &str) -> Result<String> {
        let calls = self.site.sims().iter().flat_map(BbbSim::calls);
        let mut created = calls.filter(|call| call.name == "create");
        let call = created.find(|call| RawQuery::new(&call.query).first("meetingID").as_deref() == Some(id));
        let query = call.context("was created")?.query;
        Ok(RawQuery::new(&query).first(name).context("has the parameter")?.into_owned())
    }

    fn end(&self, id: &str) -> Result<()> {
        ensure!(self.site.sims().iter().any(|sim| sim.end_meeting(id)), "{id} runs");
        Ok(())
    }

    /// Returns the number of calls to a path of the application.
    fn received(&self, path: &str) -> usize {
        self.application.received().iter().filter(|received| received.path.starts_with(path)).count()
    }
}

async fn no_tenant_reads_anothers_address(is_etcd: bool) -> Result<()> {
    let world = Scene::start(is_etcd).await?;
    let (owner, thief) = (world.site.client(), world.site.tenant("thief").await?);
    let capability = world.application.url("/end?token=capability");
    let query = format!("name=Room&meetingID=class&meta_endCallbackUrl={}", encoded(&capability));
    ensure!(owner.get("create", &query).await?.is_success());
    let sealed = world.given("class", "meta_endCallbackUrl")?;
    ensure!(sealed.starts_with(&world.public.url()), "{sealed}");
    let (sealed, alias) =
        (encoded(&sealed), encoded(&sealed.replace(&world.public.url(), &world.alias.url())));
    let query = format!(
        "name=Room&meetingID=den&record=true&meta_x={sealed}&meta_y=a+{sealed}&meta_endCallbackUrl={sealed}\
         &meta_bn-recording-ready-url={sealed}&meta_z-callback-url={alias}&logoutURL={sealed}"
    );
    ensure!(
        thief.get("create", &query).await?.is_success(),
        "the meeting is created, without addresses of Usher"
    );
    world.end("thief~den")?;
    ensure!(world.site.sims().iter().any(|sim| sim.publish_recording("thief~den")));
    wait::until("the id to be free", || async {
        ensure!(thief.get("getMeetingInfo", "meetingID=den").await?.key() == "notFound");
        Ok(())
    })
    .await?;
    ensure!(thief.get("create", &query).await?.is_success());
    for (call, query) in [("getMeetingInfo", "meetingID=den"), ("getMeetings", ""), ("getRecordings", "")] {
        let shown = thief.get(call, query).await?;
        ensure!(shown.is_success() && shown.body.contains("<x>"), "{call}: {}", shown.body);
        ensure!(!shown.body.contains("capability"), "{call}: {}", shown.body);
    }
    // The meeting with the copied address runs on, and its application gets one callback about its
    // end.
    ensure!(world.received("/end") == 0, "no callback of the thief reached it");
    let own = owner.get("getMeetingInfo", "meetingID=class").await?;
    ensure!(own.body.contains("token=capability"), "{}", own.body);
    owner.get("join", "meetingID=class&fullName=Ada&role=MODERATOR").await?;
    world.end("class")?;
    wait::until("the end callback to be delivered", || async {
        ensure!(
            world.received("/end?token=capability") == 1 && world.site.admin().deliveries().await?.is_empty()
        );
        Ok(())
    })
    .await
}

async fn no_delivery_is_endless(is_etcd: bool) -> Result<()> {
    let world = Scene::start(is_etcd).await?;
    let (school, owner) = (world.site.tenant("school").await?, world.site.client());
    school.created("class").await?;
    let before = world.site.running();
    for (name, base) in [("public", world.public.url()), ("alias", world.alias.url())] {
        let url = encoded(&world.application.url(&format!("/{name}")));
        let query = format!("name=Room&meetingID={name}&meta_endCallbackUrl={url}");
        ensure!(owner.get("create", &query).await?.is_success());
        let sealed = world.given(name, "meta_endCallbackUrl")?.replace(&world.public.url(), &base);
        world.application.redirect(302, &sealed);
        world.end(name)?;
        let attempts = wait::until("some tries to have failed", || async {
            let waiting = world.site.admin().deliveries().await?;
            let one = waiting.iter().find(|delivery| delivery.meeting_id == name).context("it waits")?;
            ensure!(one.attempts >= 3, "{one:?}");
            ensure!(waiting.len() == 1, "it has become several: {waiting:?}");
            Ok(one.attempts as usize)
        })
        .await?;
        let received = world.received(&format!("/{name}"));
        ensure!(received <= attempts + MARGIN, "{name}: {received} calls in {attempts} tries");
        world.application.answer(200);
        wait::until("it to be accepted", || async {
            ensure!(world.site.admin().deliveries().await?.is_empty());
            Ok(())
        })
        .await?;
    }
    let hook = |base: &str| format!("callbackURL={}", encoded(&format!("{base}/usher/callback/1abc")));
    let refused = owner.get("hooks/create", &hook(&world.public.url())).await?;
    ensure!(refused.key() == "validationError", "{}", refused.body);
    let after = world.site.running();
    ensure!(before.iter().all(|instance| after.contains(instance)), "{before:?} {after:?}");
    school.joined("class").await?;
    Ok(())
}

/// On etcd, a tenant copies the sealed address of another tenant's callback into its own create →
/// no answer, list or recording reveals the original, and no callback goes to it.
#[tokio::test]
async fn a_sealed_address_reveals_no_secret_to_other_tenants_on_etcd() -> Result<()> {
    no_tenant_reads_anothers_address(true).await
}

/// On the embedded store, a tenant copies the sealed address of another tenant's callback into its
/// own create → no answer, list or recording reveals the original, and no callback goes to it.
#[tokio::test]
async fn a_sealed_address_reveals_no_secret_to_other_tenants_on_the_embedded_store() -> Result<()> {
    no_tenant_reads_anothers_address(false).await
}

/// On etcd, an application redirects a callback to Usher's own sealed address → the delivery stays
/// one, with a bounded number of calls, and is delivered when the application accepts it.
#[tokio::test]
async fn a_redirect_to_our_own_address_is_no_endless_delivery_on_etcd() -> Result<()> {
    no_delivery_is_endless(true).await
}

/// On the embedded store, an application redirects a callback to Usher's own sealed address → the
/// delivery stays one, with a bounded number of calls, and is delivered when the application
/// accepts it.
#[tokio::test]
async fn a_redirect_to_our_own_address_is_no_endless_delivery_on_the_embedded_store() -> Result<()> {
    no_delivery_is_endless(false).await
}
